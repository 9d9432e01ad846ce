from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.detectors.shaping.value_impact import Intervals
from analysis.rows.activations import Activations, normalise
from analysis.rows.head import Head
from featurestore.errors import NumericalError
from tests.analysis.conftest import CASES, clustered
from tests.analysis.gathered import scored
from tests.analysis.modelled import activations_of, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.modelled import Modelled

    Float64 = NDArray[np.float64]


def fed(rows: Activations) -> Float64:
    features = rows.feature.astype(np.float64)
    return normalise(features) if rows.head is not None and rows.head.normalizes else features


def naive_scores(case: Modelled, count: int, tail: float) -> Float64:
    """One interval at a time, with a mask over all entries."""
    rows, queries, weight = fed(case.rows), fed(case.queries), case.head.weight
    lowest, highest = np.quantile(rows, [tail, 1 - tail])
    edges = lowest + (highest - lowest) * np.arange(count + 1) / count

    def inside(values: Float64, k: int) -> Float64:
        return np.where((values >= edges[k]) & (values < edges[k + 1]), values, 0.0)

    fit, asked = weight[case.rows.predicted], weight[case.queries.predicted]
    impact = np.array([(fit * inside(rows, k)).sum(axis=1).mean() for k in range(count)])
    theta = np.sqrt(count) * impact / np.linalg.norm(impact)
    return np.sum([(asked * theta[k] * inside(queries, k)).sum(axis=1) for k in range(count)], axis=0)


@pytest.mark.parametrize("normalizes", [False, True])
@pytest.mark.parametrize("name", ["random", "class of one sample", "collinear", "offset", "float16", "float32"])
def test_scores_equal_the_formula(name: str, normalizes: bool) -> None:
    """On signed features that are not whole numbers: of those, all would lie on edges of intervals."""
    labelled = CASES[name]()
    case = modelled(labelled, normalizes=normalizes)
    fast = scored("optfs@intervals=17,tail=0.01", case.rows, case.labels, case.queries, classes=labelled.num_classes)
    assert_allclose(fast, naive_scores(case, 17, 0.01), rtol=1e-6, atol=1e-9 * np.abs(fast).max())


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_features_of_any_scale_have_a_score(scale: float) -> None:
    """Squares of sums of huge weights and features would not be representable."""
    case = modelled(clustered(0, 100, 1, 3))
    head = Head(case.head.weight * scale**6, case.head.bias)
    rows, queries = (activations_of(part.feature * scale, head) for part in (case.rows, case.queries))
    scores = scored("optfs", rows, case.labels, queries)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 10


def test_intervals_hold_their_lowest_value_and_not_their_highest() -> None:
    """What lies outside is in none, and rounding never leads beyond the last."""
    numbers = Intervals(1.0, 2.0, 10).numbers(np.array([0.99, 1.0, 1.05, np.nextafter(2.0, 0), 2.0, -3, 7]))
    assert numbers.tolist() == [0, 1, 1, 10, 0, 0, 0]
    assert Intervals(1.0, 1.0, 10).numbers(np.array([1.0, 2.0])).tolist() == [0, 0]


def test_features_whose_entries_are_all_equal_are_an_error() -> None:
    """There is nothing between their quantiles."""
    rows = activations_of(np.full((9, 3), 0.5), Head(np.random.default_rng(0).normal(size=(4, 3)), np.zeros(4)))
    with pytest.raises(NumericalError, match=r"No entry .* between their quantiles 0.001 and 0.999"):
        scored("optfs", rows, np.arange(9) % 4, rows)
