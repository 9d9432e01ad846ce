"""Calibration against loops over samples and bins, and scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss

from analysis.mistakes.confidence import BINS, calibrated, ece, ece_equal_mass
from analysis.mistakes.predicted import Predicted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

a_property = settings(deadline=None, max_examples=60)
seeds = st.integers(0, 2**32 - 1)


def naive_ece(confidence: Floats, right: Floats) -> float:
    """A loop over the bins (0, 1/15], (1/15, 2/15], …"""
    total = 0.0
    for number in range(BINS):
        of = [i for i, c in enumerate(confidence) if number / BINS < c <= (number + 1) / BINS]
        if of:
            gap = np.mean([right[i] for i in of]) - np.mean([confidence[i] for i in of])
            total += len(of) / len(right) * abs(gap)
    return float(total)


def naive_equal_mass(confidence: Floats, right: Floats) -> float:
    """A loop over as many samples at a time, each as right as all of its confidence."""
    accuracy_of = {
        c: np.mean([r for other, r in zip(confidence, right, strict=True) if other == c]) for c in confidence
    }
    ordered, total, start = sorted(confidence), 0.0, 0
    for number in range(BINS):
        size = len(ordered) // BINS + (number < len(ordered) % BINS)
        of = ordered[start : start + size]
        total += abs(sum(accuracy_of[c] - c for c in of))
        start += size
    return total / len(right)


@a_property
@given(seed=seeds, n=st.integers(1, 90), steps=st.sampled_from([15, 30, 97, 10**9]))
def test_both_errors_are_those_of_loops(seed: int, n: int, steps: int) -> None:
    """On confidences with ties, and on the borders of the bins."""
    generator = np.random.default_rng(seed)
    confidence = generator.integers(1, steps + 1, n) / steps
    right = (generator.random(n) < confidence).astype(float)
    assert ece(confidence, right) == pytest.approx(naive_ece(confidence, right), abs=1e-12)
    assert ece_equal_mass(confidence, right) == pytest.approx(naive_equal_mass(confidence, right), abs=1e-12)
    order = generator.permutation(n)
    assert ece_equal_mass(confidence[order], right[order]) == pytest.approx(
        ece_equal_mass(confidence, right), abs=1e-12
    )


def test_a_border_belongs_to_the_bin_below_it() -> None:
    """1/3 and 0.34 are in two bins, so that their gaps do not cancel."""
    confidence, right = np.array([1 / 3, 0.34, 1.0]), np.array([1.0, 0.0, 1.0])
    assert ece(confidence, right) == pytest.approx((2 / 3 + 0.34) / 3)


@a_property
@given(seed=seeds)
def test_means_are_those_of_sklearn_and_of_whole_distributions(seed: int) -> None:
    generator = np.random.default_rng(seed)
    logits, labels = generator.normal(size=(60, 5)) * 3, generator.integers(0, 5, 60)
    found = calibrated(Predicted.of(np.arange(60), logits, labels))
    p = softmax(logits, axis=1)
    assert found.nll == pytest.approx(log_loss(labels, p, labels=range(5)), abs=1e-12)
    assert found.brier == pytest.approx(np.mean(np.sum((p - np.eye(5)[labels]) ** 2, axis=1)), abs=1e-12)
    assert found.confidence == pytest.approx(p.max(axis=1).mean(), abs=1e-12)
    assert found.accuracy == np.mean(p.argmax(axis=1) == labels)
    assert found.n == 60


def test_a_model_that_is_right_as_often_as_it_is_sure_has_no_error() -> None:
    right = np.arange(100) % 4 > 0
    certain = Predicted(np.arange(100), right, np.full(100, 0.75), np.zeros(100), np.zeros(100))
    assert (calibrated(certain).ece, calibrated(certain).ece_equal_mass) == pytest.approx((0, 0), abs=1e-12)
