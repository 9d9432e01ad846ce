from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from analysis.ensembles.rank_selection import fpr
from analysis.metrics import threshold_at
from featurestore.errors import InputError
from tests.analysis.metrics.oracle import judged

TPRS = [0.0, 0.5, 0.8, 0.95, 0.99, 1.0]


@pytest.mark.parametrize("n", [21, 41, 101, 2001, 50_001])
def test_a_threshold_that_is_an_id_score_is_exactly_that(n: int) -> None:
    """The rule is >=, so that the last bit of 1 - 0.95 would let OOD scores equal to the threshold pass or not."""
    id_scores = np.arange(n, dtype=float)
    tied = id_scores[(n - 1) // 20]
    assert threshold_at(id_scores, 0.95) == tied
    assert judged(id_scores, np.full(3, tied)).fpr95 == 1.0
    assert fpr(id_scores[None].astype(np.float32), np.full((1, 3), tied), np.zeros(3, int)) == [1.0]


def test_it_is_numpys_linear_quantile_for_many_rates_and_lists_at_once() -> None:
    """One row per rate, one column per list."""
    lists = np.random.default_rng(3).normal(size=(4, 500))
    wanted = [[np.quantile(one, round(1 - tpr, 12)) for one in lists] for tpr in TPRS]
    assert_array_equal(threshold_at(lists, TPRS), wanted)


@pytest.mark.parametrize("tpr", [95, -0.1, [0.5, 1.5], np.nan])
def test_a_rate_outside_zero_and_one_is_refused(tpr: float) -> None:
    """Percent are not shares."""
    with pytest.raises(InputError, match="between 0 and 1; got"):
        threshold_at([1.0], tpr)
