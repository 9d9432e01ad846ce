from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from analysis.detectors import FitInputs, get
from analysis.detectors.logits.rank_counts import rank_counts
from analysis.rows.activations import Activations
from featurestore.errors import InputError
from tests.analysis.gathered import gathered, scored
from tests.analysis.modelled import headed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]


def order(logits: Float64) -> list[int]:
    """Classes by descending logit, the first of equal ones first."""
    return sorted(range(len(logits)), key=lambda c: (-logits[c], c))


def naive_scores(fit: Float64, queries: Float64, ranks: int, alpha: float, upper: int, reward: int) -> list[float]:
    """One sample, one rank and one fit sample at a time."""
    classes = fit.shape[1]
    seen = [order(row) for row in fit]

    def level(predicted: int, rank: int, one: int) -> int:
        alike = [ranked for ranked in seen if ranked[0] == predicted]
        share = Fraction(sum(ranked[rank] == one for ranked in alike), max(len(alike), 1))
        if share > Fraction(upper, classes):
            return reward
        return 1 if share > Fraction(1, classes) else -1 if share else -reward

    scores = []
    for row in queries:
        ranked = order(row)
        usual = sum(level(ranked[0], rank, ranked[rank]) for rank in range(1, min(ranks, classes)))
        scores.append((1 - alpha) * max(row) + alpha * usual / classes)
    return scores


def rounded(rows: Activations) -> Activations:
    """Logits of few values, so that many are equal."""
    return Activations(rows.feature, np.round(rows.logits64 * 2) / 2, rows.head)


CONSTANTS: list[dict[str, Any]] = [{}, {"ranks": 3}, {"ranks": 40}, {"alpha": 0.3, "upper": 2, "reward": 7}]


@pytest.mark.parametrize("constants", CONSTANTS, ids=str)
@pytest.mark.parametrize("change", [lambda rows: rows, rounded])
def test_scores_equal_the_formula(change: Any, constants: dict[str, Any]) -> None:
    """Also where logits are equal, where a class is never predicted, and with more ranks than classes."""
    case = headed(1, rows=150, classes=9)
    fit, queries = change(case.rows), change(case.queries)
    name = "excel" + "@" * bool(constants) + ",".join(f"{key}={value}" for key, value in constants.items())
    wanted = {"ranks": 9, "alpha": 0.8, "upper": 5, "reward": 10} | constants
    slow = naive_scores(fit.logits64, queries.logits64, **wanted)
    assert_allclose(scored(name, fit, case.labels, queries), slow, rtol=1e-12, atol=1e-12)


def test_one_class() -> None:
    """The largest logit is all there is."""
    rows = Activations(np.ones((4, 2)), np.arange(4.0)[:, None])
    assert_allclose(scored("excel", rows, np.zeros(4, int), rows), 0.2 * np.arange(4.0), rtol=1e-12)


def test_counts_are_of_all_rows_whatever_the_shards() -> None:
    """They are whole numbers, so that order and shards change nothing at all."""
    case = headed(2, rows=300)
    counts, again = (
        gathered([rank_counts(None)], case.rows, case.labels, **how)["rank-counts-all"]["counts"]
        for how in ({}, {"shards": 3, "rows_per_block": 7})
    )
    assert_array_equal(counts, again)
    assert_array_equal(counts.sum(axis=2), np.bincount(case.rows.predicted, minlength=5)[:, None].repeat(4, axis=1))


def test_counts_of_billions_are_compared_as_they_are() -> None:
    """Products with the number of classes do not fit in the integers that count."""
    counts = np.array([[[0, 2_000_000_000, 0]], [[3, 0, 1]], [[0, 0, 0]]], np.int32)
    fit = get("excel").with_values(upper=2).fit_to(FitInputs({"rank-counts-all": {"counts": counts}}))
    assert fit.levels[:, 0].tolist() == [[0, 3, 0], [3, 0, 1], [0, 0, 0]]


def test_too_many_classes_for_the_memory_are_refused() -> None:
    """The sentence says how many ranks fit."""
    case = headed(2, rows=30, classes=20)
    with pytest.raises(InputError, match=r"more than the 0 MiB .* up to 7 ranks: --detector excel:ranks=7"):
        scored("excel", case.rows, case.labels, case.queries, memory=10_000)
    assert len(scored("excel@ranks=7", case.rows, case.labels, case.queries, memory=10_000)) == 60
