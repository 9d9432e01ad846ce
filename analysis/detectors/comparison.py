"""Comparing queries with every row of a fit set, by several detectors in the same sweeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors.checked_scores import finite_scores
from analysis.rows.activations import Activations
from analysis.statistics.sweep import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from analysis.detectors.detector import Detector
    from analysis.statistics.statistic import Statistic, SweepContext
    from analysis.statistics.sweep import Advance, Blocks, Gatherer

    Scores = dict[str, NDArray[np.float64]]

_SHARE_OF_QUERIES = 0.75
"""Of the memory; the rest is for what is read of the fit set, and for what statistics keep of that."""
_STORED, _DERIVED = 4, 56
"""Bytes for each dimension, and for each class, of a query as stored, and of what is derived of it unless a statistic says."""


def at_once(detectors: Sequence[Detector[Any]], context: SweepContext) -> int:
    """How many queries can be compared in one sweep within `context.memory`, at least one.

    Args:
        detectors: Detectors that compare.
        context: What is known of the fit set.
    """
    nobody = Activations(
        np.empty((0, context.dim), np.float32), np.empty((0, max(context.classes, 1)), np.float32), context.head
    )
    width = context.dim + (context.classes if any(detector.needs_logits for detector in detectors) else 0)
    held = [_DERIVED * width if one.held is None else one.held for one in _statistics(detectors, nobody).values()]
    return max(1, int(_SHARE_OF_QUERIES * context.memory) // (_STORED * width + sum(held)))


def compare(
    bank: Blocks,
    detectors: Sequence[Detector[Any]],
    queries: Activations,
    context: SweepContext,
    *,
    bar: Callable[[], AbstractContextManager[Advance]] | None = None,
    run: Gatherer | None = None,
) -> Scores:
    """Score queries by detectors that compare, all in the same sweeps of the fit set.

    Args:
        bank: The rows of the fit set.
        detectors: Detectors that compare.
        queries: n samples.
        context: What is known of the fit set.
        bar: Shows each sweep.
        run: Who gathers; by default the threads of this process.

    Returns:
        Scores by detector, float64, shape [n].

    Raises:
        InputError: The fit set is too small for a detector, or a row lacks a label that one needs.
        NumericalError: A score, or what it comes from, is NaN or infinite.
    """
    statistics = _statistics(detectors, queries)
    shown = {"bar": bar} if bar else {}
    done = gather(bank, statistics.values(), context, run=run, **shown)
    found = {name: np.asarray(done[statistic.name]["score"]) for name, statistic in statistics.items()}
    return {name: finite_scores(name, scores, len(queries)) for name, scores in found.items()}


def _statistics(detectors: Sequence[Detector[Any]], queries: Activations) -> Mapping[str, Statistic]:
    return {detector.name: detector.compare_with_all(queries) for detector in detectors}
