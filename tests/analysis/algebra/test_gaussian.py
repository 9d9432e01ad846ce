from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg

from analysis.algebra import gaussian
from analysis.algebra.class_scatter import class_statistics, empty_statistics
from analysis.algebra.gaussian import fit_background, fit_gaussian, squared_distance, varying_directions
from featurestore.errors import InputError, NumericalError
from tests.analysis.conftest import CASES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.algebra.class_scatter import ClassStatistics
    from analysis.algebra.gaussian import GaussianFit
    from tests.analysis.conftest import Labelled

    Float64 = NDArray[Any]
    Labels = NDArray[np.int64]

seeds = st.integers(0, 2**32 - 1)
a_property = settings(deadline=None, max_examples=30)


def naive_parts(features: Float64, labels: Labels) -> tuple[dict[int, Float64], Float64]:
    """Class means and the residuals about them, class by class."""
    rows = features.astype(np.longdouble)
    means = {c: rows[labels == c].mean(axis=0) for c in np.unique(labels)}
    residuals = np.stack([row - means[c] for row, c in zip(rows, labels, strict=True)])
    return means, residuals.astype(float)


def naive_distance(features: Float64, labels: Labels, queries: Float64) -> Float64:
    """min_c (h - mu_c)' pinv(S) (h - mu_c), with loops over queries and classes and the pseudo-inverse written out."""
    means, residuals = naive_parts(features, labels)
    precision = linalg.pinvh(residuals.T @ residuals / len(features), rtol=1e-12)
    queries = queries.astype(np.longdouble)
    apart = [[(query - mean).astype(float) for mean in means.values()] for query in queries]
    return np.array([min(d @ precision @ d for d in row) for row in apart])


def naive_background(statistics: ClassStatistics, features: Float64, queries: Float64) -> Float64:
    """The distance to the mean under the covariance of all samples, both taken to the directions that vary within classes."""
    directions = varying_directions(statistics).astype(np.longdouble)
    centred = features.astype(np.longdouble) - features.astype(np.longdouble).mean(axis=0)
    along = (centred @ directions).astype(float)
    away = ((queries - features.astype(np.longdouble).mean(axis=0)) @ directions).astype(float)
    return np.array([row @ linalg.solve(along.T @ along / len(along), row, assume_a="sym") for row in away])


def background_of(statistics: ClassStatistics, dtype: str = "float64") -> GaussianFit:
    return fit_background(statistics, fit_gaussian(statistics, dtype))


def queries_for(features: Float64) -> Float64:
    """Fit samples, midpoints between them, and points beyond them."""
    rows = features.astype(float)
    return np.concatenate([rows[:40], (rows[:20] + rows[20:40]) / 2 if len(rows) >= 40 else rows, 2 * rows[:10]])


def statistics_of(case: Labelled) -> ClassStatistics:
    return class_statistics(case.features, case.labels, case.num_classes)


def digits_left(fit: GaussianFit) -> float:
    """Nine digits, or as many as float64 leaves any pseudo-inverse of this condition."""
    return max(1e-9, 100 * np.finfo(float).eps * fit.condition)


def test_distances_equal_the_explicit_formula(labelled: Labelled) -> None:
    """Whitening, product and refinement give min_c (h - mu_c)' S^+ (h - mu_c) to 1e-9."""
    queries, fit = queries_for(labelled.features), fit_gaussian(statistics_of(labelled))
    slow = naive_distance(labelled.features, labelled.labels, queries)
    assert_allclose(squared_distance(fit, queries), slow, rtol=digits_left(fit), atol=1e-11)


def test_background_distances_equal_the_explicit_formula(labelled: Labelled) -> None:
    """(h - mu)' S0^-1 (h - mu) in the directions that vary within classes; its rank and condition are of these."""
    queries, statistics = queries_for(labelled.features), statistics_of(labelled)
    classes = fit_gaussian(statistics)
    fit = fit_background(statistics, classes)
    slow = naive_background(statistics, labelled.features, queries)
    assert_allclose(squared_distance(fit, queries), slow, rtol=10 * max(map(digits_left, (fit, classes))), atol=1e-11)
    along = varying_directions(statistics)
    values = np.linalg.eigvalsh(along.T @ statistics.total @ along)
    assert fit.rank == classes.rank == along.shape[1]
    assert fit.condition == pytest.approx(values[-1] / values[0], rel=1e-3)


def test_both_gaussians_keep_the_same_directions() -> None:
    """One that varies between classes alone is left out of both: the background by itself would keep it."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 3
    features = np.column_stack([rng.normal(size=(600, 4)), [[1.0], [2.0], [4.0]] * 200])
    statistics = class_statistics(features, labels, 3)
    fit = background_of(statistics)
    assert fit.rank == 4 < np.linalg.matrix_rank(statistics.total)
    moved = features + np.array([0, 0, 0, 0, 9])
    assert_allclose(squared_distance(fit, moved), squared_distance(fit, features), rtol=1e-9)


def test_rank_is_that_of_the_centred_features(labelled: Labelled) -> None:
    """Constant, duplicate and collinear directions are dropped, and nothing else is."""
    fit = fit_gaussian(statistics_of(labelled))
    _, residuals = naive_parts(labelled.features, labelled.labels)
    values = np.linalg.svd(residuals, compute_uv=False)
    values = values[values > 1e-7 * values[0]]
    assert fit.rank == len(values) == fit.whitening.shape[1]
    assert fit.condition == pytest.approx((values[0] / values[-1]) ** 2, rel=1e-6)


def test_a_column_that_says_nothing_new_changes_no_distance() -> None:
    """Constant, duplicated and collinear columns leave Mahalanobis distances as they were, also beside an offset."""
    rng = np.random.default_rng(5)
    features, labels = rng.integers(-99, 99, (500, 5)) + 1e4, rng.integers(0, 3, 500)
    plain = squared_distance(fit_gaussian(class_statistics(features, labels, 3)), features)
    for extra in (np.full(500, 1e4), features[:, 0], features[:, 1] - 3 * features[:, 2]):
        wider = np.column_stack([features, extra])
        fit = fit_gaussian(class_statistics(wider, labels, 3))
        assert fit.rank == 5
        assert_allclose(squared_distance(fit, wider), plain, rtol=1e-9)


def test_row_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch, seven_digits: Labelled) -> None:
    """The number of rows per product changes nothing but memory."""
    fit, features = fit_gaussian(statistics_of(seven_digits)), seven_digits.features.astype(float)[:50]
    whole = squared_distance(fit, features)
    monkeypatch.setattr(gaussian, "ROWS_AT_ONCE", 7)
    assert_allclose(squared_distance(fit, features), whole, rtol=1e-12)
    assert squared_distance(fit, features[:0]).shape == (0,)


@pytest.mark.parametrize("fit", [fit_gaussian, background_of])
def test_a_fit_needs_samples_that_vary(fit: Any) -> None:
    """No variation at all is an error, not a division by zero."""
    with pytest.raises(NumericalError, match="No feature varies"):
        fit(class_statistics(np.full((50, 3), 0.1), np.arange(50) % 2, 2))
    with pytest.raises(InputError, match="without samples"):
        fit(empty_statistics(3, 2))


def test_fully_collapsed_classes_cannot_be_fitted() -> None:
    """Samples equal to their class mean leave rounding noise, which is not taken for a covariance."""
    rng = np.random.default_rng(7)
    labels = np.arange(999) % 3
    statistics = class_statistics(rng.normal(size=(3, 5))[labels], labels, 3)
    with pytest.raises(NumericalError, match="within a class"):
        fit_gaussian(statistics)


@pytest.mark.parametrize("dim", [2, 3, 4, 8, 64])
def test_rounding_is_never_taken_for_variation(dim: int) -> None:
    """Whatever the scales and whichever way the last column depends on the others, exactly that direction is dropped."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        free = rng.normal(size=(2000, dim - 1)) * 10 ** rng.uniform(-1, 1, dim - 1)
        features = np.column_stack([free, free @ rng.normal(size=dim - 1)])
        statistics = class_statistics(features, rng.integers(0, 4, 2000), 4)
        assert fit_gaussian(statistics).rank == background_of(statistics).rank == dim - 1


def layer_norm(seed: int, rows: int = 1500, dim: int = 24) -> tuple[Float64, Labels, Float64]:
    """Features of three classes after a LayerNorm, labels, and the one direction in which they cannot vary."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    hidden = rng.normal(size=(rows, dim)) @ rng.normal(size=(dim, dim)) + 2 * rng.normal(size=(3, dim))[labels]
    unit = (hidden - hidden.mean(axis=1, keepdims=True)) / hidden.std(axis=1, keepdims=True)
    weight = rng.uniform(0.5, 2, dim)
    return weight * unit + rng.normal(size=dim), labels, 1 / weight / np.linalg.norm(1 / weight)


def naive_stored_distance(stored: Float64, exact: Float64, labels: Labels, queries: Float64) -> tuple[Float64, int]:
    """The formula without the eigenvectors along which the true rounding errors make up most of what varies."""
    means, residuals = naive_parts(stored, labels)
    values, vectors = np.linalg.eigh(residuals.T @ residuals / len(stored))
    kept = [i for i, v in enumerate(vectors.T) if values[i] > 2 * np.mean(((stored - exact) @ v) ** 2)]
    precision = sum(np.outer(vectors[:, i], vectors[:, i]) / values[i] for i in kept)
    apart = [[(query - mean.astype(float)) for mean in means.values()] for query in queries]
    return np.array([min(d @ precision @ d for d in row) for row in apart]), len(kept)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("seed", range(5))
def test_what_a_stored_precision_adds_is_no_variation(dtype: str, seed: int) -> None:
    """Along the weights' inverse, features after a LayerNorm vary by rounding alone, and distances leave it out."""
    exact, labels, constant = layer_norm(seed)
    stored = exact.astype(dtype).astype(float)
    statistics = class_statistics(stored, labels, 3)
    fit, background = fit_gaussian(statistics, dtype), background_of(statistics, dtype)
    assert fit.rank == background.rank == exact.shape[1] - 1
    assert np.abs(constant @ fit.whitening).max() < 0.01 * np.abs(fit.whitening).max()
    slow, rank = naive_stored_distance(stored, exact, labels, stored[:60])
    assert fit.rank == rank
    assert_allclose(squared_distance(fit, stored[:60]), slow, rtol=1e-9)
    # As near to the features' own as their precision allows, which a distance along that direction is not.
    true = naive_distance(exact, labels, exact[:60])
    assert_allclose(squared_distance(fit, stored[:60]), true, rtol=20 * np.finfo(dtype).eps)
    if dtype == "float16":
        every = fit_gaussian(statistics)
        assert every.rank == exact.shape[1]
        assert np.abs(squared_distance(every, stored[:60]) / true - 1).max() > 0.1


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("dim", [8, 24, 128, 768])
def test_what_a_network_s_own_arithmetic_adds_is_no_variation(dtype: str, dim: int) -> None:
    """A LayerNorm that is computed in float32 leaves more than one rounding along the weights' inverse."""
    rng = np.random.default_rng(dim)
    labels, single = rng.integers(0, 3, 2000), np.float32
    hidden = (rng.normal(size=(2000, dim)) @ rng.normal(size=(dim, dim)) + 3).astype(single)
    centred = hidden - hidden.mean(axis=1, keepdims=True, dtype=single)
    unit = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True, dtype=single) + single(1e-6))
    features = unit * rng.uniform(0.3, 1.8, dim).astype(single) + rng.normal(size=dim).astype(single)
    statistics = class_statistics(features.astype(dtype), labels, 3)
    assert fit_gaussian(statistics, dtype).rank == background_of(statistics, dtype).rank == dim - 1


@pytest.mark.parametrize("case", ["float16", "float32", "digits"])
@pytest.mark.parametrize("fit", [fit_gaussian, background_of])
def test_a_stored_precision_costs_no_direction_that_varies_more(case: str, fit: Any) -> None:
    """Where features vary by more than rounding, the fit is that of the pseudo-inverse, to the last bit."""
    labelled = CASES[case]()
    statistics = statistics_of(labelled)
    assert_array_equal(fit(statistics, str(labelled.features.dtype)).whitening, fit(statistics).whitening)


@pytest.mark.parametrize("fit", [fit_gaussian, background_of])
def test_features_that_vary_by_rounding_alone_cannot_be_fitted(fit: Any) -> None:
    """Beside an offset of 1,000, float16 keeps nothing of a deviation of a tenth."""
    features = np.random.default_rng(8).normal(1000, 0.1, (500, 4)).astype(np.float16)
    statistics = class_statistics(features, np.arange(500) % 2, 2)
    with pytest.raises(NumericalError, match="by more than rounding"):
        fit(statistics, "float16")
    assert fit(statistics).rank > 0
