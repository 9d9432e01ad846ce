"""Detectors on arrays in memory: what a lake would give them, without a lake."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors import FitInputs, get, score_checked
from analysis.rows.activations import Activations, Block
from analysis.statistics.statistic import SweepContext
from analysis.statistics.sweep import columns_of, gather, gather_lane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.statistics.statistic import Accumulator, Arrays, Statistic
    from analysis.statistics.sweep import Blocks


@dataclass(frozen=True, slots=True)
class Held:
    """Labelled rows in memory, in blocks, and in so many shards that a sweep merges in order."""

    rows: Activations
    labels: NDArray[Any]
    rows_per_block: int = 64
    shards: int = 1

    def read(self, columns: Sequence[str]) -> list[Callable[[], Block]]:
        return [read for lane in self.lanes(columns) for read in lane]

    def lanes(self, columns: Sequence[str]) -> list[list[Callable[[], Block]]]:
        every = np.array_split(np.arange(len(self.rows)), self.shards)
        cuts = [np.split(rows, range(self.rows_per_block, len(rows), self.rows_per_block)) for rows in every]
        return [[partial(self._block, part, columns) for part in lane] for lane in cuts]

    def _block(self, part: NDArray[np.int64], columns: Sequence[str]) -> Block:
        """What a statistic has not said that it reads is not there, as in blocks of a lake."""
        feature = self.rows.feature[part] if "feature" in columns else np.empty((len(part), 0))
        logits = self.rows.logits[part] if self.rows.logits is not None and "logits" in columns else None
        return Block(part, self.labels[part], Activations(feature, logits, self.rows.head))

    def check_labels(self, block: Block) -> None:
        assert (block.label >= 0).all()

    def explain(self, _block: Block, error: Exception) -> Any:
        return type(error)(*error.args)


def in_shards(
    rows: Blocks, statistics: Sequence[Statistic], context: SweepContext, advance: Callable[[int], None]
) -> Iterator[list[Accumulator]]:
    """The shards as lanes, one after the other in this thread."""
    assert isinstance(rows, Held)
    for lane in rows.lanes(columns_of(statistics)):
        yield gather_lane(rows, lane, statistics, context, advance)


def gathered(
    statistics: Iterable[Statistic],
    rows: Activations,
    labels: NDArray[Any],
    *,
    classes: int | None = None,
    memory: int = 1 << 30,
    **how: int,
) -> dict[str, Arrays]:
    """Statistics of some rows; what else is given goes to `Held`."""
    c = classes or int(labels.max()) + 1
    context = SweepContext(c, rows.feature.shape[1], len(rows), str(rows.feature.dtype), rows.head, memory)
    return gather(Held(rows, labels, **how), statistics, context, run=in_shards)


def fitted(name: str, rows: Activations, labels: NDArray[Any], **how: Any) -> Any:
    """What a detector learns from some rows."""
    return fitted_and_warned(name, rows, labels, **how)[0]


def fitted_and_warned(name: str, rows: Activations, labels: NDArray[Any], **how: Any) -> tuple[Any, list[str]]:
    """What a detector learns from some rows, and what the user is told."""
    detector = get(name)
    normalizes = rows.head is not None and rows.head.normalizes
    needs = [need.of(normalizes=normalizes) for need in detector.statistics]
    inputs = FitInputs(gathered(needs, rows, labels, **how), rows.head)
    return detector.fit_to(inputs), inputs.warnings


def scored(name: str, rows: Activations, labels: NDArray[Any], queries: Activations, **how: Any) -> NDArray[np.float64]:
    """Scores of queries by a detector that has learned from some rows."""
    detector = get(name)
    if detector.compare:
        statistic = detector.compare_with_all(queries)
        return np.asarray(gathered([statistic], rows, labels, **how)[statistic.name]["score"])
    return score_checked(detector, fitted(name, rows, labels, **how), queries)
