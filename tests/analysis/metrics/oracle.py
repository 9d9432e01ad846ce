"""Metrics by their definitions: every pair and every threshold looked at; and those of the product from bare lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.metrics.groups import IdReference
from analysis.metrics.ood_metrics import MetricRow, OodClasses, OodMetrics, dataset_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Float64 = NDArray[np.float64]


def fpr95(id_scores: Float64, ood_scores: Float64) -> float:
    threshold = np.quantile(id_scores, 0.05)
    return float(np.mean([o >= threshold for o in ood_scores]))


def auroc(id_scores: Float64, ood_scores: Float64) -> float:
    own, other = id_scores[:, None], ood_scores[None]
    return float(((own > other) + (own == other) / 2).mean())


def aupr_in(id_scores: Float64, ood_scores: Float64) -> float:
    if np.ptp(np.concatenate([id_scores, ood_scores])) == 0:
        return len(id_scores) / (len(id_scores) + len(ood_scores))
    area, recall, precision = 0.0, 0.0, 1.0
    for t in sorted(set(id_scores) | set(ood_scores), reverse=True):
        hits, misses = np.sum(id_scores >= t), np.sum(ood_scores >= t)
        next_recall, next_precision = hits / len(id_scores), hits / (hits + misses)
        area += (next_recall - recall) * (next_precision + precision) / 2
        recall, precision = next_recall, next_precision
    return float(area)


def fpr95_ood_positive(id_scores: Float64, ood_scores: Float64) -> float:
    thresholds = sorted(set(id_scores) | set(ood_scores))
    reached = next(t for t in thresholds if np.mean(ood_scores <= t) >= 0.95)
    return float(np.mean(id_scores <= reached))


def judged(id_scores: ArrayLike, ood_scores: ArrayLike) -> OodMetrics:
    """What the product says of one set of OOD samples."""
    return judged_by_class(id_scores, ood_scores, ["all"] * np.size(ood_scores))[-1].metrics


def judged_by_class(
    id_scores: ArrayLike, ood_scores: ArrayLike, classes: Sequence[str | None] | NDArray[Any]
) -> tuple[MetricRow, ...]:
    """What the product says of an OOD dataset."""
    return dataset_metrics(IdReference.of(id_scores), ood_scores, OodClasses.of(classes))
