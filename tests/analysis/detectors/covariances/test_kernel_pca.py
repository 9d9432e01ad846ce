from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.detectors import get
from analysis.detectors.covariances.kernel_pca import drawn, wave_statistic, waves
from analysis.rows.activations import Activations, normalise
from featurestore.errors import NumericalError
from tests.analysis.conftest import CASES, clustered
from tests.analysis.gathered import gathered, scored
from tests.analysis.modelled import modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[Any]

VARYING = [name for name in CASES if name != "one dimension"]


def naive_left_over(fit: Float64, queries: Float64, variance: float) -> Float64:
    """Principal components by SVD of the centred rows, reconstruction and its error, one query at a time."""
    mean = fit.mean(axis=0)
    _, values, axes = np.linalg.svd(fit - mean)
    squares = np.zeros(fit.shape[1])
    squares[: len(values)] = values**2
    shares = np.cumsum(squares) / squares.sum()
    principal = axes[: min(int(np.argmax(shares >= variance)) + 1, fit.shape[1] - 1)]
    away = [query - mean for query in queries]
    return np.array([-np.linalg.norm(a - principal.T @ (principal @ a)) for a in away])


@pytest.mark.parametrize("case", VARYING)
def test_cop_is_the_reconstruction_error_of_directions(case: str) -> None:
    """On random, degenerate and real features."""
    labelled = CASES[case]()
    model = modelled(labelled)
    slow = naive_left_over(normalise(model.rows.feature), normalise(model.queries.feature), 0.99)
    fast = scored("cop", model.rows, model.labels, model.queries, classes=labelled.num_classes)
    assert_allclose(fast, slow, rtol=1e-6, atol=1e-12)
    slow = naive_left_over(normalise(model.rows.feature), normalise(model.queries.feature), 0.5)
    fast = scored("cop@variance=0.5", model.rows, model.labels, model.queries, classes=labelled.num_classes)
    assert_allclose(fast, slow, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("count", [20, 200])
def test_corp_is_the_reconstruction_error_of_waves(count: int) -> None:
    """Of which there are fewer than fit rows, or more."""
    case = clustered(0, 120, 7, 3)
    near, far = case.features[:20], case.features[:20] * np.random.default_rng(1).normal(size=(20, 7))
    drawn_once = drawn(count, 7, 0.3)
    mapped = [waves(normalise(part), *drawn_once) for part in (case.features, np.vstack([near, far]))]
    name = f"corp@features={count},gamma=0.3,variance=0.8"
    fast = scored(name, Activations(case.features), case.labels, Activations(np.vstack([near, far])))
    assert_allclose(fast, naive_left_over(mapped[0], mapped[1], 0.8), rtol=1e-7)
    assert fast[:20].mean() > fast[20:].mean()


def test_waves_approach_the_gaussian_kernel() -> None:
    """And are drawn as they were when this was written, on every machine."""
    rows = normalise(np.random.default_rng(0).normal(size=(6, 4)))
    frequencies, phases = drawn(1 << 15, 4, 0.7)
    mapped = waves(rows, frequencies, phases)
    squares = ((rows[:, None] - rows) ** 2).sum(axis=2)
    assert_allclose(mapped @ mapped.T, np.exp(-0.7 * squares), atol=0.02)
    again, _ = drawn(2, 2, 0.5)
    assert_allclose(
        again.ravel(), [-1.7394988867659338, -2.1314113206263965, 0.8900118529686628, 1.3579207088807155], rtol=1e-12
    )


def test_waves_are_the_same_in_any_order_and_shards() -> None:
    """And so are their mean and their scatter, up to rounding; what the statistic says it is of is part of its name."""
    case = clustered(1, 500, 6, 3)
    order = np.random.default_rng(0).permutation(500)
    statistic = wave_statistic(24, 0.5)
    once = gathered([statistic], Activations(case.features), case.labels)[statistic.name]
    again = gathered([statistic], Activations(case.features[order]), case.labels[order], shards=3, rows_per_block=9)
    for name, array in again["waves-24-gamma-0.5"].items():
        assert_allclose(array, once[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["cop", "corp@features=8"])
def test_directions_that_do_not_vary_have_no_axes(name: str) -> None:
    """Rows that differ in length alone are told so."""
    rows = Activations(np.outer(np.arange(1.0, 9), [1.0, 3, 0.1]))
    with pytest.raises(NumericalError, match="do not vary"):
        scored(name, rows, np.zeros(8, int), rows)


def test_cop_needs_no_statistic_of_its_own() -> None:
    """It rests on what Mahalanobis++ has gathered."""
    assert get("cop").needs == get("mahalanobis-pp").needs
