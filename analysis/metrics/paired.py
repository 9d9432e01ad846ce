"""By how much two detectors differ on the same samples, with intervals that know that these are the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analysis.metrics.groups import IdReference
from analysis.metrics.intervals import Z
from analysis.metrics.ood_metrics import dataset_metrics
from analysis.metrics.threshold import id_rank, threshold_at
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.metrics.ood_metrics import OodClasses

    Floats = NDArray[np.float64]

_TPR = 0.95


@dataclass(frozen=True, slots=True)
class SampleScores:
    """One detector's scores of the ID test samples, shape [n_id], and of the OOD samples, shape [n_ood]."""

    id: Floats
    ood: Floats


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A metric of two detectors on the same samples.

    Attributes:
        metric: fpr95 or auroc.
        first: That of the first detector.
        second: That of the second.
        difference: The first minus the second.
        low: Lower end of its 95 % interval.
        high: Its upper end.
    """

    metric: Literal["fpr95", "auroc"]
    first: float
    second: float
    difference: float
    low: float
    high: float


def paired_differences(
    first: SampleScores, second: SampleScores, classes: OodClasses, *, pooled: bool = False
) -> tuple[PairedDifference, PairedDifference]:
    """Compare two detectors that scored the same samples, in the same order.

    The interval of the AUROCs' difference is DeLong's. That of the FPRs' takes the distances to the ends of both intervals, less what
    their errors share: of the OOD samples that both accept, and of the ID samples that both thresholds leave below.

    Source: DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44; Zou 2007, "Toward using confidence intervals to compare
    correlations", Psychological Methods 12 (differences of dependent estimates by their intervals).

    Args:
        first: Scores by one detector.
        second: Scores by the other.
        classes: The classes of the OOD samples.
        pooled: Whether all OOD samples are one set; else the mean over classes is compared.

    Returns:
        Those of fpr95 and of auroc.

    Raises:
        InputError: The two do not have as many samples.
        NumericalError: A score is NaN or infinite.
    """
    if (len(first.id), len(first.ood)) != (len(second.id), len(second.ood)):
        raise InputError(
            f"Two detectors are compared on the same samples; got {len(first.id)} and {len(second.id)} ID scores, and "
            f"{len(first.ood)} and {len(second.ood)} OOD scores."
        )
    members = np.zeros(len(classes.members), np.int64) if pooled else np.unique(classes.members, return_inverse=True)[1]
    both = (first, second)
    mean, whole = zip(*(dataset_metrics(IdReference.of(one.id), one.ood, classes)[-2:] for one in both), strict=True)
    a, b = (row.metrics for row in (whole if pooled else mean))
    shared = _shared_error(both, members)
    below, above = (a.fpr95 - a.fpr95_low, b.fpr95_high - b.fpr95), (a.fpr95_high - a.fpr95, b.fpr95 - b.fpr95_low)
    gap = a.fpr95 - b.fpr95
    fpr = PairedDifference(
        "fpr95", a.fpr95, b.fpr95, gap, max(-1.0, gap - _apart(*below, shared)), min(1.0, gap + _apart(*above, shared))
    )
    reach, gap = Z * _auroc_error(both, members), a.auroc - b.auroc
    auroc = PairedDifference("auroc", a.auroc, b.auroc, gap, max(-1.0, gap - reach), min(1.0, gap + reach))
    return fpr, auroc


def _apart(one: float, other: float, correlation: float) -> float:
    """The length of a difference of two distances that go together so far."""
    return float(np.sqrt(max(one**2 - 2 * correlation * one * other + other**2, 0)))


def _covariance_of_mean(values: Floats, members: NDArray[np.int64]) -> Floats:
    """Covariance of means over classes, from a column per sample, shape [k, n], to [k, k].

    Of a class of one sample nothing is known but its value, whose square is on average no less than the variance.
    """
    sizes = np.bincount(members)
    sums = np.zeros((len(values), len(values)))
    for place in range(len(sizes)):
        own = values[:, members == place]
        sums += np.atleast_2d(np.cov(own)) / sizes[place] if sizes[place] > 1 else own @ own.T
    return sums / len(sizes) ** 2


def _shared_error(both: tuple[SampleScores, SampleScores], members: NDArray[np.int64]) -> float:
    """Correlation of the errors of two FPRs, from OOD samples and thresholds; 0 where one has no error."""
    n_id, share = len(both[0].id), 1 - _TPR
    step = np.sqrt(share * (1 - share) / n_id)
    weights = 1 / np.bincount(members)[members] / (members.max() + 1)
    accepted, rejected, moved = [], [], []
    for one in both:
        low, threshold, high = threshold_at(one.id, np.minimum([_TPR + step, _TPR, _TPR - step], 1))
        accepted.append(one.ood >= threshold)
        rejected.append(one.id < threshold)
        moved.append(float(weights @ ((one.ood >= low) & (one.ood < high))) / 2)
    errors = _covariance_of_mean(np.array(accepted, np.float64), members)
    together = np.array([[np.mean(a & b) - share**2 for b in rejected] for a in rejected]) / (share * (1 - share))
    np.fill_diagonal(together, 1)
    errors += np.outer(moved, moved) * together
    scale = np.sqrt(errors[0, 0] * errors[1, 1])
    return float(np.clip(errors[0, 1] / scale, -1, 1)) if scale > 0 else 0.0


def _auroc_error(both: tuple[SampleScores, SampleScores], members: NDArray[np.int64]) -> float:
    """Standard error of the difference of two AUROCs."""
    weights = 1 / np.bincount(members)[members] / (members.max() + 1)
    of_ood = [id_rank(one.ood, np.sort(one.id)) for one in both]
    of_id = [_outscored(one, weights) for one in both]
    variance = float(_covariance_of_mean((of_ood[0] - of_ood[1])[None], members)[0, 0])
    n_id = len(of_id[0])
    variance += np.var(of_id[0] - of_id[1], ddof=1) / n_id if n_id > 1 else 0
    return float(np.sqrt(variance))


def _outscored(one: SampleScores, weights: Floats) -> Any:
    """For each ID sample the weight of the OOD samples that it outscores, ties half, shape [n_id]."""
    order = np.argsort(one.ood)
    total = np.concatenate([[0], np.cumsum(weights[order])])
    left, right = (np.searchsorted(one.ood[order], one.id, side=side) for side in ("left", "right"))
    return (total[left] + total[right]) / 2
