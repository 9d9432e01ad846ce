"""How well scores separate ID from OOD samples; higher scores mean more in-distribution throughout.

Ties are never broken by order: every function depends on the multisets of scores alone. NaN and infinity are errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analysis.metrics.groups import Judge, caught_95, precision_recall_area, quantile
from analysis.metrics.id_rank import doubled_rank
from analysis.rows.checks import score_vector
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

Aggregation = Literal["class", "class_mean", "pooled"]


@dataclass(frozen=True, slots=True)
class OodMetrics:
    """The metrics of one set of OOD samples against one set of ID samples.

    Attributes:
        n_id: Number of ID samples.
        n_ood: Number of OOD samples.
        fpr95: Share of OOD accepted at the threshold that accepts 95 % of ID (NINCO).
        auroc: Probability that an ID sample outscores an OOD sample, ties half.
        aupr_in: Area under precision-recall, ID positive.
        aupr_out: Area under precision-recall, OOD positive, scores negated.
        fpr95_ood_positive: Share of ID flagged at the threshold that catches 95 % of OOD (OpenOOD).
    """

    n_id: int
    n_ood: int
    fpr95: float
    auroc: float
    aupr_in: float
    aupr_out: float
    fpr95_ood_positive: float


@dataclass(frozen=True, slots=True)
class MetricRow:
    """The metrics of one OOD class, or of a whole OOD dataset.

    Attributes:
        aggregation: `class` (one OOD class), `class_mean` (their unweighted mean) or `pooled` (all samples as one set).
        ood_class: The class, None on aggregates.
        metrics: The numbers.
    """

    aggregation: Aggregation
    ood_class: str | None
    metrics: OodMetrics


def fpr95(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Share of OOD samples accepted at 95 % true positives: mean(ood >= t), t = quantile(id, 0.05).

    Source: Bitterwolf et al. 2023 (NINCO), arXiv 2306.00826; ID is positive, the quantile interpolates linearly.

    Args:
        id_scores: Scores of ID samples, shape [n_id].
        ood_scores: Scores of OOD samples, shape [n_ood].

    Returns:
        A share in [0, 1].

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    return fpr_at_tpr(id_scores, ood_scores, 0.95)


def fpr_at_tpr(id_scores: ArrayLike, ood_scores: ArrayLike, tpr: float) -> float:
    """Share of OOD samples accepted where a share `tpr` of ID samples is: mean(ood >= quantile(id, 1 - tpr)).

    Raises:
        InputError: `tpr` is not a share, or a list is empty.
        NumericalError: A score is NaN or infinite.
    """
    if not 0.0 <= tpr <= 1.0:
        raise InputError(f"A true positive rate lies between 0 and 1; got {tpr}.")
    accepted = score_vector("OOD scores", ood_scores) >= quantile(score_vector("ID scores", id_scores), tpr)
    return float(accepted.mean())


def auroc(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Area under the ROC curve, ID positive: P(id > ood) + P(id = ood) / 2, from ranks, exact up to one rounding.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    ordered_id, ordered_ood = _both_sorted(id_scores, ood_scores)
    pairs = len(ordered_id) * len(ordered_ood)
    lost = int(doubled_rank(ordered_ood, ordered_id).sum())
    return (2 * pairs - lost) / (2 * pairs)


def aupr_in(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Area under the precision-recall curve with ID positive: trapezoids between the distinct thresholds.

    Equals scikit-learn's `auc(recall, precision)` on the points of `precision_recall_curve`, as OpenOOD reports it.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    ordered_id, ordered_ood = _both_sorted(id_scores, ood_scores)
    return precision_recall_area(ordered_id, ordered_ood)


def aupr_out(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Area under the precision-recall curve with OOD positive and scores negated; else as `aupr_in`.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    return aupr_in(-score_vector("OOD scores", ood_scores), -score_vector("ID scores", id_scores))


def fpr95_ood_positive(id_scores: ArrayLike, ood_scores: ArrayLike) -> float:
    """Share of ID samples flagged where at least 95 % of OOD are: mean(id <= t), t the smallest such threshold.

    Source: OpenOOD v1.5, arXiv 2306.09301. Its ROC curve leaves out collinear points, so that tied scores may give it
    a larger value; every threshold counts here.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    ordered_id, ordered_ood = _both_sorted(id_scores, ood_scores)
    threshold = ordered_ood[caught_95(len(ordered_ood))]
    return float(np.searchsorted(ordered_id, threshold, side="right") / len(ordered_id))


def evaluate(id_scores: ArrayLike, ood_scores: ArrayLike) -> OodMetrics:
    """Compute every metric of one set of OOD samples.

    Args:
        id_scores: Scores of ID samples in any order, shape [n_id].
        ood_scores: Scores of OOD samples in any order, shape [n_ood].

    Returns:
        The metrics.

    Raises:
        InputError: A list is empty.
        NumericalError: A score is NaN or infinite.
    """
    judge = Judge.of(id_scores)
    return _rows_of(judge.metrics(judge.rank(ood_scores)[0]))[0]


@dataclass(frozen=True, slots=True)
class OodClasses:
    """The classes of OOD samples.

    Attributes:
        names: The classes in order of name; some may have no sample.
        members: For each sample the place of its class in them, shape [n_ood].
    """

    names: Sequence[str]
    members: NDArray[np.int64]

    @classmethod
    def of(cls, ood_classes: Iterable[str | None]) -> OodClasses:
        """Sort the classes of samples by name.

        Raises:
            InputError: A sample has no class.
        """
        given = list(ood_classes)
        if None in given:
            raise InputError(f"Every OOD score needs a class; sample {given.index(None)} has none.")
        names = sorted({str(name) for name in given})
        places = {name: place for place, name in enumerate(names)}
        return cls(names, np.array([places[str(name)] for name in given], dtype=np.int64))

    def take(self, samples: NDArray[np.int64]) -> OodClasses:
        """The classes of these samples alone."""
        return OodClasses(self.names, self.members[samples])


def evaluate_dataset(
    id_scores: ArrayLike, ood_scores: ArrayLike, ood_classes: Sequence[str] | NDArray[Any]
) -> tuple[MetricRow, ...]:
    """Compute every metric of an OOD dataset: per class in order of name, their unweighted mean, and pooled.

    Args:
        id_scores: Scores of ID samples in any order, shape [n_id].
        ood_scores: Scores of OOD samples, shape [n_ood].
        ood_classes: Class name of each OOD sample, shape [n_ood].

    Returns:
        One `class` row per class, then `class_mean`, whose `n_ood` is the total, then `pooled`.

    Raises:
        InputError: A list is empty, or the classes do not match the OOD scores in number.
        NumericalError: A score is NaN or infinite.
    """
    return judge_dataset(Judge.of(id_scores), ood_scores, OodClasses.of(ood_classes))


def judge_dataset(judge: Judge, ood_scores: ArrayLike, classes: OodClasses) -> tuple[MetricRow, ...]:
    """As `evaluate_dataset`, for many OOD datasets of the same ID scores, and many detectors of the same samples.

    Raises:
        InputError: A list is empty, or the classes do not match the OOD scores in number.
        NumericalError: A score is NaN or infinite.
    """
    pooled, order = judge.rank(ood_scores)
    if len(classes.members) != len(order):
        raise InputError(f"Every OOD score needs a class; got {len(classes.members)} classes for {len(order)} scores.")
    members = classes.members[order]
    sizes = np.bincount(members, minlength=len(classes.names))
    present = np.flatnonzero(sizes)
    # By class, and in each class by score.
    by_class = judge.metrics(pooled.reordered(np.argsort(members, kind="stable"), sizes[present]))
    names = [classes.names[place] for place in present.tolist()]
    return (
        *(MetricRow("class", name, row) for name, row in zip(names, _rows_of(by_class), strict=True)),
        MetricRow("class_mean", None, _class_mean(by_class)),
        MetricRow("pooled", None, *_rows_of(judge.metrics(pooled))),
    )


def _class_mean(columns: Mapping[str, NDArray[Any]]) -> OodMetrics:
    means = {name: float(np.mean(values)) for name, values in columns.items() if name not in {"n_id", "n_ood"}}
    return OodMetrics(n_id=int(columns["n_id"][0]), n_ood=int(columns["n_ood"].sum()), **means)


def _rows_of(columns: Mapping[str, NDArray[Any]]) -> list[OodMetrics]:
    """One struct per group, from a column per metric."""
    return [
        OodMetrics(**dict(zip(columns, row, strict=True)))
        for row in zip(*(c.tolist() for c in columns.values()), strict=True)
    ]


def _both_sorted(id_scores: ArrayLike, ood_scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.sort(score_vector("ID scores", id_scores)), np.sort(score_vector("OOD scores", ood_scores))
