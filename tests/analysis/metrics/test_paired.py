"""Differences of two detectors on the same samples: against all pairs looked at, and by how often their intervals cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from analysis.metrics.ood_metrics import OodClasses
from analysis.metrics.paired import SampleScores, paired_differences
from featurestore.errors import InputError
from tests.analysis.metrics.oracle import judged_by_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]


def wins(scores: SampleScores) -> Float64:
    return (scores.id[:, None] > scores.ood) + (scores.id[:, None] == scores.ood) / 2


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("decimals", [1, 9])
def test_the_auroc_s_interval_is_delong_s(decimals: int, pooled: bool) -> None:
    """From the matrix of all pairs; with ties, and classes of several sizes."""
    generator = np.random.default_rng(decimals)
    names = ["a"] * 5 + ["b"] * 30 + ["c"] * 12
    of_id, of_ood = generator.normal(1, 1, 80), generator.normal(0, 1, 47)
    first, second = (
        SampleScores(
            *(np.round(scores + generator.normal(0, 0.6, len(scores)), decimals) for scores in (of_id, of_ood))
        )
        for _ in range(2)
    )
    fpr, auroc = paired_differences(first, second, OodClasses.of(names), pooled=pooled)
    groups = [np.arange(47)] if pooled else [np.flatnonzero(np.array(names) == name) for name in "abc"]
    difference = wins(first) - wins(second)
    per_id = np.mean([difference[:, group].mean(axis=1) for group in groups], axis=0)
    variance = per_id.var(ddof=1) / 80
    variance += sum(difference[:, group].mean(axis=0).var(ddof=1) / len(group) for group in groups) / len(groups) ** 2
    assert auroc.difference == pytest.approx(per_id.mean(), abs=1e-12)
    reach = 1.959963984540054 * np.sqrt(variance)
    assert (auroc.low, auroc.high) == pytest.approx((per_id.mean() - reach, per_id.mean() + reach), abs=1e-12)
    rows = [judged_by_class(one.id, one.ood, names)[-1 if pooled else -2].metrics for one in (first, second)]
    assert [fpr.first, fpr.second] == [row.fpr95 for row in rows]
    assert fpr.difference == pytest.approx(rows[0].fpr95 - rows[1].fpr95)
    assert fpr.low <= fpr.difference <= fpr.high


def test_a_detector_does_not_differ_from_itself() -> None:
    """Nor from what puts all samples in the same order."""
    generator = np.random.default_rng(1)
    one = SampleScores(generator.normal(1, 1, 301), generator.normal(0, 1, 90))
    classes = OodClasses.of(["a", "b", "b"] * 30)
    for other in (one, SampleScores(3 * one.id - 1, 3 * one.ood - 1)):
        for row in paired_differences(one, other, classes):
            assert (row.difference, row.low, row.high) == pytest.approx((0, 0, 0), abs=0.03)


def test_pairing_is_worth_it() -> None:
    """Two detectors that go together differ clearly where the intervals of each overlap."""
    generator = np.random.default_rng(2)
    shared_id, shared_ood = generator.normal(1, 1, 2_000), generator.normal(-0.5, 1, 1_000)
    first, second = (
        SampleScores(shared_id + generator.normal(0, 0.2, 2_000), shared_ood + shift + generator.normal(0, 0.2, 1_000))
        for shift in (0.0, -0.15)
    )
    for row, name in zip(
        paired_differences(first, second, OodClasses.of(["all"] * 1_000)), ("fpr95", "auroc"), strict=True
    ):
        ends = [judged_by_class(one.id, one.ood, ["all"] * 1_000)[-1].metrics for one in (first, second)]
        alone = [(getattr(of, f"{name}_low"), getattr(of, f"{name}_high")) for of in ends]
        assert max(low for low, _ in alone) < min(high for _, high in alone)
        assert row.low > 0 or row.high < 0


def test_other_samples_are_refused() -> None:
    one, other = SampleScores(np.zeros(4), np.zeros(3)), SampleScores(np.zeros(4), np.zeros(2))
    with pytest.raises(InputError, match="on the same samples; got 4 and 4 ID scores, and 3 and 2 OOD scores"):
        paired_differences(one, other, OodClasses.of(["a"] * 3))


@pytest.mark.parametrize(
    ("n_id", "n_ood", "correlation", "fprs"),
    [(1_000, 300, 0.0, (0.3, 0.5)), (1_000, 300, 0.8, (0.1, 0.1)), (500, 2_000, 0.8, (0.4, 0.6)), (1_000, 1_000, 0.95, (0.02, 0.05))],
)  # fmt: skip
def test_paired_intervals_cover(n_id: int, n_ood: int, correlation: float, fprs: tuple[float, float]) -> None:
    """95 of 100 times, within what 400 repeats can tell, whatever the two share.

    Of FPR more often where most of the error is the thresholds', and both share it: ends at unequal distances do not cancel.
    """
    generator = np.random.default_rng([n_id, n_ood])
    root = np.linalg.cholesky([[1, correlation], [correlation, 1]])
    means = ndtri(0.05) + ndtri(np.array(fprs))
    truth = np.array([fprs[0] - fprs[1], np.subtract(*ndtr(-means / np.sqrt(2)))])
    classes = OodClasses.of(["all"] * n_ood)
    hits = np.zeros(2)
    for _ in range(400):
        of_id, of_ood = (root @ generator.normal(size=(2, n)) for n in (n_id, n_ood))
        sides = [SampleScores(of_id[k], of_ood[k] + means[k]) for k in range(2)]
        found = paired_differences(*sides, classes)
        hits += [row.low <= true <= row.high for row, true in zip(found, truth, strict=True)]
    assert 0.925 <= hits[0] / 400 <= (0.995 if n_ood > n_id else 0.985)
    assert 0.925 <= hits[1] / 400 <= 0.98
