from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import linalg

from analysis.detectors import FitInputs, get, score_checked
from analysis.detectors.covariances import mahalanobis
from analysis.rows.activations import Activations
from analysis.statistics.class_statistics import CLASS_STATISTICS, UNIT_CLASS_STATISTICS, scaled_class_statistics
from tests.analysis.conftest import Labelled
from tests.analysis.gathered import gathered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[Any]
    Labels = NDArray[np.int64]

NAMES = ["mahalanobis", "relative-mahalanobis", "mahalanobis-pp", "relative-mahalanobis-pp"]
SCALED = [*NAMES, "radial-mahalanobis"]


def inputs_from(case: Labelled) -> FitInputs:
    statistics = [CLASS_STATISTICS, UNIT_CLASS_STATISTICS, scaled_class_statistics(0.5)]
    return FitInputs(gathered(statistics, Activations(case.features), case.labels, classes=case.num_classes))


def scores_of(name: str, inputs: FitInputs, block: Activations) -> Float64:
    detector = get(name)
    assert detector.fit is not None
    return score_checked(detector, detector.fit_to(inputs), block)


def naive_scores(name: str, features: Float64, labels: Labels, queries: Float64) -> Float64:
    """The formulas, with explicit pseudo-inverses and one query and one class at a time."""
    features, queries = features.astype(float), queries.astype(float)
    beta = 1.0 if name.endswith("-pp") else 0.5 if name.startswith("radial") else 0.0
    features = features / np.linalg.norm(features, axis=1, keepdims=True) ** beta
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True) ** beta
    means = {c: features[labels == c].mean(axis=0) for c in np.unique(labels)}
    residuals = np.array([row - means[c] for row, c in zip(features, labels, strict=True)])
    centred = features - features.mean(axis=0)
    tied, total = (linalg.pinvh(rows.T @ rows / len(rows), rtol=1e-12) for rows in (residuals, centred))
    scores = []
    for query in queries:
        score = -min((query - mean) @ tied @ (query - mean) for mean in means.values())
        away = query - features.mean(axis=0)
        scores.append(score + (away @ total @ away if name.startswith("relative") else 0.0))
    return np.array(scores)


@pytest.mark.parametrize("name", SCALED)
def test_scores_equal_the_formula_on_real_images(name: str, seven_digits: Labelled, other_digits: Float64) -> None:
    """Digits 0-6 fit the detector, digits 7-9 are scored; three of the 64 pixels never vary."""
    queries = np.concatenate([seven_digits.features[:60], other_digits[:60]])
    slow = naive_scores(name, seven_digits.features, seven_digits.labels, queries)
    fast = scores_of(name, inputs_from(seven_digits), Activations(queries))
    assert_allclose(fast, slow, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scores_equal_the_formula_with_odd_classes(name: str, dtype: type[np.floating[Any]]) -> None:
    """A class of one sample counts, a class of none does not, and narrow floats are widened first."""
    rng = np.random.default_rng(3)
    features = (rng.normal(size=(90, 5)) + 2).astype(dtype)
    labels = np.where(np.arange(90) == 4, 6, rng.integers(0, 3, 90))
    fast = scores_of(name, inputs_from(Labelled(features, labels, 8)), Activations(features))
    assert_allclose(fast, naive_scores(name, features, labels, features), rtol=1e-9, atol=1e-9)


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> Mock:
    """Record the calls of one function of the family."""
    recorded = Mock(wraps=getattr(mahalanobis, name))
    monkeypatch.setattr(mahalanobis, name, recorded)
    return recorded


def test_one_eigendecomposition_serves_both_detectors(monkeypatch: pytest.MonkeyPatch, seven_digits: Labelled) -> None:
    """Mahalanobis and relative Mahalanobis fit the tied Gaussian once per set of statistics."""
    calls = counted(monkeypatch, "fit_gaussian")
    inputs = inputs_from(seven_digits)
    for name in NAMES:
        scores_of(name, inputs, Activations(seven_digits.features[:5]))
    assert calls.call_count == 2


def test_one_class_distance_serves_both_detectors_on_a_block(
    monkeypatch: pytest.MonkeyPatch, seven_digits: Labelled
) -> None:
    """The class distance is computed once per block and fit, and afresh for another block or another fit."""
    calls = counted(monkeypatch, "squared_distance")
    inputs = inputs_from(seven_digits)
    block = Activations(seven_digits.features[:5])
    for name in NAMES[:2]:
        scores_of(name, inputs, block)
    assert calls.call_count == 2  # classes once, background once
    scores_of("mahalanobis", inputs, Activations(seven_digits.features[5:9]))
    scores_of("mahalanobis", inputs_from(Labelled(seven_digits.features[::2], seven_digits.labels[::2], 7)), block)
    assert calls.call_count == 4
