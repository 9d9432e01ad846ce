from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from analysis.detectors import get
from analysis.rows.activations import Activations, normalise
from featurestore.errors import NumericalError
from tests.analysis.conftest import CASES
from tests.analysis.detectors.covariances.test_kernel_pca import VARYING, naive_left_over
from tests.analysis.gathered import gathered, scored
from tests.analysis.modelled import Modelled, headed, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[Any]

COUNT, GAMMA, VARIANCE = 15, 0.8, 0.9
NAME = f"kpca-nystrom@landmarks={COUNT},gamma={GAMMA},variance={VARIANCE}"


def kernel(rows: Float64, basis: Float64) -> Float64:
    return np.array([[np.exp(-GAMMA * ((u - v) ** 2).sum()) for v in basis] for u in rows])


def naive_nystrom(model: Modelled) -> Float64:
    """The landmarks by sorting all energies, the kernel entry by entry, and the root of its inverse by SVD."""
    fit, queries = normalise(model.rows.feature), normalise(model.queries.feature)
    lowest = np.argsort(np.logaddexp.reduce(model.rows.logits64, axis=1), kind="stable")[:COUNT]
    left, values, right = np.linalg.svd(kernel(fit[lowest], fit[lowest]))
    root = left / np.sqrt(np.maximum(values, 1e-12)) @ right
    return naive_left_over(kernel(fit, fit[lowest]) @ root.T, kernel(queries, fit[lowest]) @ root.T, VARIANCE)


@pytest.mark.parametrize("case", [name for name in VARYING if name != "digits"])
def test_nystrom_equals_the_formula(case: str) -> None:
    """On random and degenerate features."""
    labelled = CASES[case]()
    model = modelled(labelled)
    fast = scored(NAME, model.rows, model.labels, model.queries, classes=labelled.num_classes)
    assert_allclose(fast, naive_nystrom(model), rtol=1e-5, atol=1e-8)


def test_landmarks_are_the_least_confident_samples() -> None:
    """Whatever the shards and blocks; of equal ones the first, and all where there are fewer."""
    case = headed(3, rows=300)
    energies = np.round(case.rows.log_sum_exp, 1)
    rows = Activations(case.rows.feature, np.column_stack([energies, np.full(300, -1e3)]), None)
    for count, shards in ((20, 1), (20, 4), (1000, 3)):
        statistic = get(f"kpca-nystrom@landmarks={count}").statistics[0]
        found = gathered([statistic], rows, case.labels, shards=shards, rows_per_block=17)[statistic.name]
        expected = np.sort(np.argsort(energies, kind="stable")[:count])
        assert_array_equal(found["sample"], expected)
        assert_allclose(found["basis"], normalise(case.rows.feature[expected]))


def test_directions_that_do_not_vary_have_no_axes() -> None:
    """Rows that differ in length alone are told so."""
    rows = Activations(np.outer(np.arange(1.0, 9), [1.0, 3, 0.1]), np.outer(np.arange(8.0), [1, 2]))
    with pytest.raises(NumericalError, match="do not vary"):
        scored(NAME, rows, np.zeros(8, int), rows, classes=2)
