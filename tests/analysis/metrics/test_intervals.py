"""Intervals of FPR95 and AUROC: against all pairs looked at, and by how often they cover."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest

from analysis.metrics import threshold_interval
from analysis.metrics.intervals import trials, wilson
from tests.analysis.metrics.oracle import judged, judged_by_class
from tests.long import shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

Z = float(ndtri(0.975))
NAMES = ("fpr95_low", "fpr95_high", "auroc_low", "auroc_high")


def by_wilson(share: float, count: float) -> tuple[float, float]:
    """Both shares p at which (share - p)^2 is Z^2 p (1 - p) / count."""
    roots = np.roots([count + Z**2, -(2 * count * share + Z**2), count * share**2])
    return float(min(roots.real)), float(max(roots.real))


def equivalent(share: float, variance: float, least: float, weight: float) -> float:
    return (share * (1 - share) + weight / least) / (variance + weight / least**2)


def variance(values: Float64, if_single: float) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else if_single


def slowly(of_id: Float64, classes: list[Float64]) -> dict[str, float]:
    """The intervals of the mean over classes from the matrix of all pairs, with DeLong's two variances."""
    count, n_id, sizes = len(classes), len(of_id), np.array([len(of) for of in classes])
    wins = [(of_id[:, None] > of) + (of_id[:, None] == of) / 2 for of in classes]
    auroc = float(np.mean([of.mean() for of in wins]))
    at_most = auroc * (1 - auroc)
    per_ood = sum(variance(of.mean(axis=0), at_most) / of.shape[1] for of in wins) / count**2
    per_id = variance(np.mean([of.mean(axis=1) for of in wins], axis=0), at_most) / n_id
    least = count**2 / np.sum(1 / sizes)
    of_auroc = by_wilson(auroc, equivalent(auroc, per_ood + per_id, min(least, n_id), 0.2))

    low, high = threshold_interval(of_id, 0.95)
    rates, at_high, at_low = (
        np.array([np.mean(of >= threshold) for of in classes]) for threshold in (np.quantile(of_id, 0.05), high, low)
    )
    fpr = float(np.mean(rates))
    drawn = float(sizes[0])
    if count > 1:
        each = [variance((of >= np.quantile(of_id, 0.05)).astype(float), fpr * (1 - fpr)) / len(of) for of in classes]
        drawn = equivalent(fpr, sum(each) / count**2, least, count)
    own = by_wilson(fpr, drawn)
    below = np.hypot(fpr - own[0], fpr - at_high.mean())
    above = np.hypot(own[1] - fpr, at_low.mean() - fpr)
    return dict(zip(NAMES, (max(0, fpr - below), min(1, fpr + above), *of_auroc), strict=True))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 90), st.lists(st.integers(1, 30), min_size=1, max_size=4), st.booleans()
)
def test_intervals_are_those_of_all_pairs(seed: int, n_id: int, sizes: list[int], rounded: bool) -> None:
    """Of each class, of their mean and of all; with ties among ID and OOD, single samples, and a single ID sample."""
    generator = np.random.default_rng(seed)
    places = int(not rounded) * 9
    of_id = np.round(generator.normal(1, 1, n_id), places)
    classes = [np.round(generator.normal(generator.uniform(-3, 2), 1, size), places) for size in sizes]
    names = [f"c{i}" for i, size in enumerate(sizes) for _ in range(size)]
    *rows, mean, pooled = judged_by_class(of_id, np.concatenate(classes), names)
    for row, of in [
        *zip(rows, [[one] for one in classes], strict=True),
        (mean, classes),
        (pooled, [np.concatenate(classes)]),
    ]:
        found = asdict(row.metrics)
        assert {name: found[name] for name in NAMES} == pytest.approx(slowly(of_id, of), abs=1e-7), row.aggregation
        assert found["fpr95_low"] <= found["fpr95"] <= found["fpr95_high"]
        assert found["auroc_low"] <= found["auroc"] <= found["auroc_high"]


def test_wilson_s_interval_is_scipy_s() -> None:
    for k, n in ((0, 7), (3, 7), (7, 7), (40, 400)):
        interval = binomtest(k, n).proportion_ci(method="wilson")
        assert wilson(k / n, n) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_perfect_separation_is_not_certain() -> None:
    """Ten samples that are all caught, or none of them, leave most of a third open; ten thousand leave little."""
    of_id = np.linspace(1, 2, 5_000)
    for n, reach in ((10, 0.2775), (10_000, 0.0004)):
        apart, reverse = judged(of_id, np.linspace(-1, 0, n)), judged(of_id, np.linspace(3, 4, n))
        assert (apart.fpr95_low, apart.fpr95_high) == (0, pytest.approx(reach, abs=1e-4))
        assert (reverse.fpr95_low, reverse.fpr95_high) == (pytest.approx(1 - reach, abs=1e-4), 1)
        least = wilson(1.0, min(n, 5_000))[0]
        assert (apart.auroc_low, apart.auroc_high) == (pytest.approx(float(least)), 1)
    assert judged(of_id[:20], np.zeros(10)).fpr95_low == 0
    # Of 20 ID samples none is surely below the threshold: all OOD may be accepted.
    assert judged(of_id[:20], np.zeros(10)).fpr95_high == 1


def test_variance_makes_trials() -> None:
    """That of a share of independent trials gives their number, whatever the prior; and none gives the least."""
    assert trials(0.3, 0.3 * 0.7 / 50, 50, 7) == pytest.approx(50)
    assert trials(1.0, 0.0, 50, 0.2) == pytest.approx(50)


def covered(n_id: int, sizes: list[int], fprs: list[float], spread: float, repeats: int) -> tuple[float, float]:
    """How often the intervals of the mean over classes have the true FPR and AUROC inside; normal scores, OOD of another spread."""
    generator = np.random.default_rng([n_id, *sizes])
    means = ndtri(0.05) - spread * ndtri(1 - np.array(fprs))
    auroc = np.mean(ndtr(-means / np.sqrt(1 + spread**2)))
    names = np.repeat([f"c{i}" for i in range(len(sizes))], sizes)
    hits = np.zeros(2)
    for _ in range(repeats):
        ood = generator.normal(np.repeat(means, sizes), spread)
        found = judged_by_class(generator.normal(size=n_id), ood, names)[-2].metrics
        hits += (
            found.fpr95_low <= np.mean(fprs) <= found.fpr95_high,
            found.auroc_low <= auroc <= found.auroc_high,
        )
    return tuple(hits / repeats)


@pytest.mark.parametrize(
    ("n_id", "n_ood", "fpr"),
    [(2_000, 100, 0.05), (2_000, 100, 0.5), (1_000, 1_000, 0.01), (2_000, 1_000, 0.1), (2_000, 1_000, 0.9), (4_000, 10_000, 0.3)],
)  # fmt: skip
@pytest.mark.parametrize("spread", shortened([1.0, 0.5]))
def test_intervals_cover(n_id: int, n_ood: int, fpr: float, spread: float) -> None:
    """95 of 100 times, within what 400 repeats can tell; of AUROC more often where only a few samples overlap."""
    of_fpr, of_auroc = covered(n_id, [n_ood], [fpr], spread, 400)
    assert 0.92 <= of_fpr <= 0.985
    assert 0.92 <= of_auroc <= (0.98 if n_ood > 100 and fpr > 0.01 else 1)


@pytest.mark.parametrize(
    ("sizes", "fprs"), [([100] * 10, [0.1] * 10), ([50, 400, 30] * 3, [0.01, 0.3, 0.9] * 3), ([100] * 4, [0.0005, 0.9995] * 2)]
)  # fmt: skip
def test_means_over_classes_are_covered(sizes: list[int], fprs: list[float]) -> None:
    """Classes of other sizes and other rates, where the error of the threshold is shared, and where each passes or fails as a whole: those cover more often."""
    of_fpr, of_auroc = covered(2_000, sizes, fprs, 1.0, 400)
    assert 0.92 <= of_fpr <= (0.985 if max(fprs) < 0.99 else 1)
    assert 0.92 <= of_auroc <= 0.985
