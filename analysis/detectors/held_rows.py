"""Labelled rows in memory as a sweep over a lake would meet them: in any blocks and shards, with nothing that was not asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.activations import Activations, Block
from analysis.statistics.sweep import columns_of, gather_lane
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.statistics.statistic import Accumulator, Statistic, SweepContext
    from analysis.statistics.sweep import Blocks
    from featurestore.errors import LakeError


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Labelled rows in memory.

    Attributes:
        rows: Their activations.
        labels: Their classes, integers, shape [n]; -1 where there is none.
        rows_per_block: The most that a block holds.
        shards: How many stretches a sweep merges, in order.
        sample: Their numbers, int64, shape [n]; by default from 0.
        watch: Is shown the activations of every block.
    """

    rows: Activations
    labels: NDArray[Any]
    rows_per_block: int = 500
    shards: int = 1
    sample: NDArray[np.int64] | None = None
    watch: Callable[[Activations], Activations] | None = None

    def read(self, columns: Sequence[str]) -> list[Callable[[], Block]]:
        """Functions that each give one block."""
        return [read for lane in self.lanes(columns) for read in lane]

    def lanes(self, columns: Sequence[str]) -> list[list[Callable[[], Block]]]:
        """The same by shard; the first block of each has no rows, as one whose rows all fell away."""
        every = np.array_split(np.arange(len(self.rows)), self.shards)
        cuts = [np.split(rows, range(0, len(rows), self.rows_per_block)) for rows in every]
        return [[partial(self._block, part, columns) for part in lane] for lane in cuts]

    def _block(self, part: NDArray[np.int64], columns: Sequence[str]) -> Block:
        """What a statistic has not said that it reads is not there, as in blocks of a lake."""
        feature = self.rows.feature[part] if "feature" in columns else np.empty((len(part), 0))
        logits = self.rows.logits[part] if self.rows.logits is not None and "logits" in columns else None
        block = Activations(feature, logits, self.rows.head)
        sample = part if self.sample is None else self.sample[part]
        return Block(sample, self.labels[part], self.watch(block) if self.watch else block)

    def check_labels(self, block: Block) -> None:
        """Raise if a row has no label."""
        if (block.label < 0).any():
            raise InputError(f"Row {int(np.argmax(block.label < 0))} of the block has no label.")

    def explain(self, _block: Block, error: LakeError) -> LakeError:
        """The error as it is."""
        return error


def in_shards(
    rows: Blocks, statistics: Sequence[Statistic], context: SweepContext, advance: Callable[[int], None]
) -> Iterator[list[Accumulator]]:
    """The shards as lanes, one after the other in this thread."""
    if not isinstance(rows, HeldRows):
        raise InputError(f"Only rows that are held in memory come in shards; {rows} do not.")
    for lane in rows.lanes(columns_of(statistics)):
        yield gather_lane(rows, lane, statistics, context, advance)
