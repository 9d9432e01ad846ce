from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.special import ndtri
from scipy.stats import binom

from analysis.ensembles.rank_selection import fpr
from analysis.metrics import threshold_at, threshold_interval
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


@pytest.mark.parametrize(("n", "tpr"), [(30, 0.95), (72, 0.95), (400, 0.95), (400, 0.5), (5_000, 0.99)])
def test_the_interval_covers_the_quantile_as_often_as_it_says_and_is_no_wider_than_that(n: int, tpr: float) -> None:
    """By the binomial distribution itself: a rank nearer to the threshold, on either side, would miss more often."""
    low, high = threshold_interval(np.random.default_rng(n).permutation(np.arange(1.0, n + 1)), tpr)
    below = binom(n, 1 - tpr)
    lowest, highest = (0 if np.isinf(low) else int(low)), (n + 1 if np.isinf(high) else int(high))
    assert below.cdf(lowest - 1) <= 0.025 < below.cdf(lowest)
    assert below.sf(highest - 1) <= 0.025 < below.sf(highest - 2)


def test_the_interval_covers_in_simulation() -> None:
    """Also of scores with ties, where it covers more often."""
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(1_000, 200))
    for scores, quantile in ((drawn, ndtri(0.05)), (np.round(drawn), np.round(ndtri(0.05)))):
        ends = np.array([threshold_interval(one, 0.95) for one in scores])
        covered = ((ends[:, 0] <= quantile) & (quantile <= ends[:, 1])).mean()
        assert covered > 0.94


def test_an_interval_of_nothing_is_refused() -> None:
    for scores, tpr in (([], 0.95), ([1.0], 95), ([1.0], -0.1)):
        with pytest.raises(InputError):
            threshold_interval(scores, tpr)
