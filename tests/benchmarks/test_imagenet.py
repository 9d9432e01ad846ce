"""The made-up model of ImageNet is as good and as sure as a real one, so that what is timed on it is timed on real numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from benchmarks.lakes.imagenet import CLASSES, World


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_it_errs_as_often_and_is_as_sure_as_a_real_one(world: World) -> None:
    """Accuracy, mean confidence, and a temperature that is worth fitting but near 1."""
    labels = np.random.default_rng(0).integers(0, CLASSES, 2_000)
    logits = world.rows(1, labels, "val")[1].astype(np.float64)
    assert (logits.argmax(axis=1) == labels).mean() == pytest.approx(0.8, abs=0.03)
    assert softmax(logits, axis=1).max(axis=1).mean() == pytest.approx(0.77, abs=0.03)
    own = logits[np.arange(len(labels)), labels]
    loss = {t: float((logsumexp(logits / t, axis=1) - own / t).mean()) for t in (0.4, 0.8, 1.6)}
    assert min(loss, key=loss.__getitem__) == 0.8


def test_ood_samples_have_smaller_logits(world: World) -> None:
    """The far ones more so than the near ones."""
    labels = np.random.default_rng(0).integers(0, CLASSES, 500)
    largest = [world.rows(1, labels, name)[1].max(axis=1).mean() for name in ("val", "ninco", "unit-tests")]
    assert largest == sorted(largest, reverse=True)
