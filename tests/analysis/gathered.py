"""Detectors on arrays in memory: what a lake would give them, without a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors import FitInputs, get, score_checked
from analysis.detectors.held_rows import HeldRows, in_shards
from analysis.statistics.statistic import SweepContext
from analysis.statistics.sweep import gather

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Arrays, Statistic


def gathered(
    statistics: Iterable[Statistic],
    rows: Activations,
    labels: NDArray[Any],
    *,
    classes: int | None = None,
    memory: int = 1 << 30,
    **how: int,
) -> dict[str, Arrays]:
    """Statistics of some rows; what else is given goes to `HeldRows`."""
    c = classes or int(labels.max()) + 1
    context = SweepContext(c, rows.feature.shape[1], len(rows), str(rows.feature.dtype), rows.head, memory)
    return gather(HeldRows(rows, labels, **{"rows_per_block": 64, **how}), statistics, context, run=in_shards)


def fitted(name: str, rows: Activations, labels: NDArray[Any], **how: Any) -> Any:
    """What a detector learns from some rows."""
    return fitted_and_warned(name, rows, labels, **how)[0]


def fitted_and_warned(name: str, rows: Activations, labels: NDArray[Any], **how: Any) -> tuple[Any, list[str]]:
    """What a detector learns from some rows, and what the user is told."""
    detector = get(name)
    needs = [need.for_head(rows.head) for need in detector.statistics]
    inputs = FitInputs(gathered(needs, rows, labels, **how), rows.head)
    return detector.fit_to(inputs), inputs.warnings


def scored(name: str, rows: Activations, labels: NDArray[Any], queries: Activations, **how: Any) -> NDArray[np.float64]:
    """Scores of queries by a detector that has learned from some rows."""
    detector = get(name)
    if detector.compare:
        statistic = detector.compare_with_all(queries)
        return np.asarray(gathered([statistic], rows, labels, **how)[statistic.name]["score"])
    return score_checked(detector, fitted(name, rows, labels, **how), queries)
