from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg

from analysis.algebra.class_scatter import class_statistics
from analysis.detectors import FitInputs, get, score_checked
from analysis.detectors.covariances import mahalanobis
from analysis.rows.activations import Activations, normalise
from analysis.statistics.class_statistics import CLASS_STATISTICS, UNIT_CLASS_STATISTICS
from tests.analysis.metrics.oracle import auroc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.conftest import Labelled

    Float64 = NDArray[Any]
    Labels = NDArray[np.int64]

NAMES = ["mahalanobis", "relative-mahalanobis", "mahalanobis-pp", "relative-mahalanobis-pp"]
a_property = settings(deadline=None, max_examples=25)


def inputs_from(features: Float64, labels: Labels, num_classes: int) -> FitInputs:
    return FitInputs(
        {
            CLASS_STATISTICS.name: class_statistics(features, labels, num_classes).to_arrays(),
            UNIT_CLASS_STATISTICS.name: class_statistics(normalise(features), labels, num_classes).to_arrays(),
        }
    )


def scores_of(name: str, inputs: FitInputs, block: Activations) -> Float64:
    detector = get(name)
    assert detector.fit is not None
    return score_checked(detector, detector.fit(inputs), block)


def naive_scores(name: str, features: Float64, labels: Labels, queries: Float64) -> Float64:
    """The formulas, with explicit pseudo-inverses and one query and one class at a time."""
    features, queries = features.astype(float), queries.astype(float)
    if name.endswith("-pp"):
        features = features / np.linalg.norm(features, axis=1, keepdims=True)
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
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


@pytest.mark.parametrize("name", NAMES)
def test_scores_equal_the_formula_on_real_images(name: str, seven_digits: Labelled, other_digits: Float64) -> None:
    """Digits 0-6 fit the detector, digits 7-9 are scored; three of the 64 pixels never vary."""
    features, labels = seven_digits.features, seven_digits.labels
    queries = np.concatenate([features[:60], other_digits[:60]])
    slow = naive_scores(name, features, labels, queries)
    fast = scores_of(name, inputs_from(features, labels, 7), Activations(queries))
    assert_allclose(fast, slow, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scores_equal_the_formula_with_odd_classes(name: str, dtype: type[np.floating[Any]]) -> None:
    """A class of one sample counts, a class of none does not, and narrow floats are widened first."""
    rng = np.random.default_rng(3)
    features = (rng.normal(size=(90, 5)) + 2).astype(dtype)
    labels = np.where(np.arange(90) == 4, 6, rng.integers(0, 3, 90))
    fast = scores_of(name, inputs_from(features, labels, 8), Activations(features))
    assert_allclose(fast, naive_scores(name, features, labels, features), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_unseen_digits_score_lower(name: str, seven_digits: Labelled, other_digits: Float64) -> None:
    """Digits 7-9 are told from held-out digits 0-6 far better than by chance."""
    features, labels = seven_digits.features, seven_digits.labels
    inputs = inputs_from(features[::2], labels[::2], 7)
    held_out, unseen = (scores_of(name, inputs, Activations(rows)) for rows in (features[1::2], other_digits))
    assert auroc(held_out, unseen) > 0.85


@pytest.mark.parametrize("name", NAMES)
@a_property
@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-100, 100))
def test_logits_do_not_matter(name: str, seed: int, shift: float) -> None:
    """A common logit shift, or no logits at all, leaves feature detectors as they are."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(40, 3))
    inputs = inputs_from(features, np.arange(40) % 2, 2)
    alone = scores_of(name, inputs, Activations(features))
    assert_array_equal(scores_of(name, inputs, Activations(features, features + shift)), alone)


@pytest.mark.parametrize("name", ["mahalanobis-pp", "relative-mahalanobis-pp"])
@a_property
@given(seed=st.integers(0, 2**32 - 1))
def test_the_norm_does_not_matter_after_normalisation(name: str, seed: int) -> None:
    """Rescaling every sample by its own positive factor changes no ++ score, at fit or at test."""
    rng = np.random.default_rng(seed)
    features, labels = rng.normal(size=(60, 4)) + 1, np.arange(60) % 3
    scaled = features * rng.uniform(0.01, 100, (60, 1))
    before = scores_of(name, inputs_from(features, labels, 3), Activations(features))
    after = scores_of(name, inputs_from(scaled, labels, 3), Activations(scaled))
    assert_allclose(after, before, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["mahalanobis", "relative-mahalanobis"])
def test_other_samples_of_the_block_do_not_matter(name: str, seven_digits: Labelled) -> None:
    """A sample has the same score alone as in company."""
    features, labels = seven_digits.features, seven_digits.labels
    inputs = inputs_from(features, labels, 7)
    together = scores_of(name, inputs, Activations(features[:10]))
    alone = [scores_of(name, inputs, Activations(features[i : i + 1]))[0] for i in range(10)]
    assert_allclose(alone, together, rtol=1e-11)


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[object]:
    """Record the calls of one function of the family."""
    calls: list[object] = []
    original = getattr(mahalanobis, name)

    def recorded(*arguments: object) -> object:
        calls.append(arguments[0])
        return original(*arguments)

    monkeypatch.setattr(mahalanobis, name, recorded)
    return calls


def test_one_eigendecomposition_serves_both_detectors(monkeypatch: pytest.MonkeyPatch, seven_digits: Labelled) -> None:
    """Mahalanobis and relative Mahalanobis fit the tied Gaussian once per set of statistics."""
    calls = counted(monkeypatch, "fit_gaussian")
    inputs = inputs_from(seven_digits.features, seven_digits.labels, 7)
    for name in NAMES:
        fit = get(name).fit
        assert fit is not None
        fit(inputs)
    assert len(calls) == 2


def test_one_class_distance_serves_both_detectors_on_a_block(
    monkeypatch: pytest.MonkeyPatch, seven_digits: Labelled
) -> None:
    """The class distance is computed once per block and fit, and afresh for another block or another fit."""
    calls = counted(monkeypatch, "squared_distance")
    inputs = inputs_from(seven_digits.features, seven_digits.labels, 7)
    block = Activations(seven_digits.features[:5])
    for name in NAMES[:2]:
        scores_of(name, inputs, block)
    assert len(calls) == 2  # classes once, background once
    scores_of("mahalanobis", inputs, Activations(seven_digits.features[5:9]))
    scores_of("mahalanobis", inputs_from(seven_digits.features[::2], seven_digits.labels[::2], 7), block)
    assert len(calls) == 4
