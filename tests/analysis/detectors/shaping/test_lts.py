from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp

from analysis.detectors import get, score_checked
from analysis.rows.activations import Activations
from tests.analysis.modelled import modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.conftest import Labelled


def naive(feature: NDArray[np.float64], logits: NDArray[np.float64], percentile: int) -> float:
    """One entry at a time, at the scale of the largest."""
    positive = sorted((max(h, 0.0) / max(np.abs(feature).max(), 1e-300) for h in feature), reverse=True)
    top = math.fsum(positive[: max(len(positive) - round(len(positive) * percentile / 100), 1)])
    return float(logsumexp((math.fsum(positive) / top) ** 2 * logits)) if top else float(logsumexp(logits))


@pytest.mark.parametrize("percentile", [95, 60])
@pytest.mark.parametrize("normalizes", [False, True])
def test_scores_equal_the_formula(labelled: Labelled, normalizes: bool, percentile: int) -> None:
    """On random, degenerate and real features; at what length the head is fed them does not matter."""
    queries = modelled(labelled, normalizes=normalizes).queries
    detector = get("lts").with_values(percentile=percentile)
    slow = [naive(h, z, percentile) for h, z in zip(queries.feature64, queries.logits64, strict=True)]
    assert_allclose(score_checked(detector, None, queries), slow, rtol=1e-9)


def test_a_feature_without_positive_entries_has_the_energy_of_its_logits() -> None:
    """Nothing of it is to be scaled."""
    rows = Activations(-np.ones((2, 40)) * [[0], [1]], np.array([[1.0, 2], [3, 4]]))
    assert_allclose(score_checked(get("lts"), None, rows), score_checked(get("energy"), None, rows), rtol=1e-12)
