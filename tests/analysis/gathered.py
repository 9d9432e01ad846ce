"""Detectors on arrays in memory: what a lake would give them, without a lake."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors import FitInputs, get, score_checked
from analysis.rows.activations import Activations
from analysis.scoring.fit_arrays import from_arrays, to_arrays
from analysis.statistics.statistic import Block, Context

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from analysis.statistics.statistic import Arrays, Statistic


def gathered(
    statistics: Iterable[Statistic],
    rows: Activations,
    labels: NDArray[Any],
    *,
    classes: int | None = None,
    rows_per_block: int = 64,
    shards: int = 1,
    memory: int = 1 << 30,
) -> dict[str, Arrays]:
    """Statistics of some rows, gathered in blocks, in so many shards that are merged in order."""
    c = classes or int(labels.max()) + 1
    context = Context(c, rows.feature.shape[1], len(rows), str(rows.feature.dtype), rows.head, memory)
    done: dict[str, Arrays] = {}
    wanted = {s.name: s for s in _closure(statistics)}
    while wanted:
        ready = [s for s in wanted.values() if all(earlier.name in done for earlier in s.after)]
        found = {s.name: _one(s, rows, labels, replace(context, results=done), rows_per_block, shards) for s in ready}
        more = {s.name: s.again(found[s.name]) if s.again else None for s in ready}
        done |= {name: found[name] for name, unfinished in more.items() if unfinished is None}
        wanted = {name: more.get(name) or s for name, s in wanted.items() if name not in done}
    return done


def fitted(name: str, rows: Activations, labels: NDArray[Any], **how: Any) -> Any:
    """What a detector learns from some rows, as it comes back from being stored."""
    detector = get(name)
    normalizes = rows.head is not None and rows.head.normalizes
    needs = [need.of(normalizes=normalizes) for need in detector.needs]
    if detector.fit is None or detector.fit_type is None:
        return None
    fit = detector.fit(FitInputs(gathered(needs, rows, labels, **how), rows.head))
    stored = {key: np.array(value) for key, value in to_arrays(fit).items()}
    return from_arrays(detector.fit_type, stored)


def scored(name: str, rows: Activations, labels: NDArray[Any], queries: Activations, **how: Any) -> NDArray[np.float64]:
    """Scores of queries by a detector that has learned from some rows."""
    detector = get(name)
    if detector.compare:
        statistic = detector.compare(queries)
        return np.asarray(gathered([statistic], rows, labels, **how)[statistic.name]["score"])
    return score_checked(detector, fitted(name, rows, labels, **how), queries)


def _one(
    statistic: Statistic, rows: Activations, labels: NDArray[Any], context: Context, rows_per_block: int, shards: int
) -> Arrays:
    total = None
    for shard in np.array_split(np.arange(len(rows)), shards):
        accumulator = statistic.start(context)
        for start in range(0, len(shard), rows_per_block):
            part = shard[start : start + rows_per_block]
            logits = None if rows.logits is None else rows.logits[part]
            accumulator.update(Block(part, labels[part], Activations(rows.feature[part], logits, rows.head)))
        if total is None:
            total = accumulator
        else:
            total.merge(accumulator)
    assert total is not None
    return total.finish()


def _closure(statistics: Iterable[Statistic]) -> Iterable[Statistic]:
    for statistic in statistics:
        yield from _closure(statistic.after)
        yield statistic
