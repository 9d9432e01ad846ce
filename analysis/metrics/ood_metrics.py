"""The metrics of an OOD dataset: of each class, the mean of these, and of all samples as one set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analysis.metrics import intervals
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from analysis.metrics.groups import IdReference

Aggregation = Literal["class", "class_mean", "pooled"]


@dataclass(frozen=True, slots=True)
class OodMetrics:
    """The metrics of one set of OOD samples against one set of ID samples.

    Attributes:
        n_id: Number of ID samples.
        n_ood: Number of OOD samples.
        fpr95: Share of OOD accepted at the threshold that accepts 95 % of ID (NINCO).
        auroc: Probability that an ID sample outscores an OOD sample, ties half.
        aupr_in: Area under precision-recall by trapezoids (OpenOOD), ID positive; of constant scores the average precision.
        aupr_out: The same, OOD positive, scores negated.
        fpr95_ood_positive: Share of ID flagged at the threshold that catches 95 % of OOD (OpenOOD).
        fpr95_low: Lower end of the 95 % interval of fpr95, for the error of the OOD samples and of the threshold.
        fpr95_high: Its upper end.
        auroc_low: Lower end of the 95 % interval of auroc.
        auroc_high: Its upper end.
    """

    n_id: int
    n_ood: int
    fpr95: float
    auroc: float
    aupr_in: float
    aupr_out: float
    fpr95_ood_positive: float
    fpr95_low: float
    fpr95_high: float
    auroc_low: float
    auroc_high: float


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


def dataset_metrics(reference: IdReference, ood_scores: ArrayLike, classes: OodClasses) -> tuple[MetricRow, ...]:
    """Compute every metric of an OOD dataset: per class in order of name, their unweighted mean, and pooled.

    Args:
        reference: The ID scores, for any number of OOD datasets.
        ood_scores: Scores of OOD samples, shape [n_ood].
        classes: Their classes.

    Returns:
        One `class` row per class that has samples, then `class_mean`, whose `n_ood` is the total, then `pooled`.

    Raises:
        InputError: There is no score, or the classes do not match the scores in number.
        NumericalError: A score is NaN or infinite.
    """
    pooled, order = reference.rank(ood_scores)
    if len(classes.members) != len(order):
        raise InputError(f"Every OOD score needs a class; got {len(classes.members)} classes for {len(order)} scores.")
    members = classes.members[order]
    sizes = np.bincount(members, minlength=len(classes.names))
    present = np.flatnonzero(sizes)
    # By class, and in each class by score.
    by_class = pooled.reordered(np.argsort(members, kind="stable"), sizes[present])
    found = reference.metrics(by_class)
    ends = intervals.of_class_mean(reference, by_class, found, pooled, np.searchsorted(present, members))
    mean = _class_mean(found) | ends
    names = [classes.names[place] for place in present.tolist()]
    rows = _rows_of(found | intervals.of_groups(reference, by_class, found))
    whole = reference.metrics(pooled)
    return (
        *(MetricRow("class", name, row) for name, row in zip(names, rows, strict=True)),
        MetricRow("class_mean", None, OodMetrics(**mean)),
        MetricRow("pooled", None, *_rows_of(whole | intervals.of_groups(reference, pooled, whole))),
    )


def _class_mean(columns: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    counts = {"n_id": int(columns["n_id"][0]), "n_ood": int(columns["n_ood"].sum())}
    return counts | {name: float(np.mean(values)) for name, values in columns.items() if name not in counts}


def _rows_of(columns: Mapping[str, NDArray[Any]]) -> list[OodMetrics]:
    """One struct per group, from a column per metric."""
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [OodMetrics(**dict(zip(columns, row, strict=True))) for row in rows]
