"""Labelled rows in memory as a sweep over a lake would meet them, in any blocks and shards, and a plain task made of such rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.activations import Activations, Block
from analysis.rows.head import Head
from analysis.statistics.sweep import columns_of, gather_lane
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.statistics.statistic import Accumulator, Statistic, SweepContext
    from analysis.statistics.sweep import Blocks
    from featurestore.errors import LakeError


ROWS, CLASSES, DIM, _QUERIES = 1200, 5, 24, 80


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
        block = self.rows.part(part, columns)
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


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A plain task: a fit set, and samples of which the first half are in-distribution and the others are not.

    Attributes:
        rows: Activations of the fit set, with the head; validation rows are the same.
        labels: Their classes, int64, shape [n].
        queries: The samples to score.
        head: The model's final linear layer, which activations come with unless a rule takes it away.
    """

    rows: Activations
    labels: NDArray[np.int64]
    queries: Activations
    head: Head

    def with_head(self, head: Head | None, *, logits: bool = True) -> Task:
        """The same features and logits beside another head, or none; queries without logits if these are not wanted."""
        rows = Activations(self.rows.feature, self.rows.logits, head)
        return replace(
            self, rows=rows, queries=Activations(self.queries.feature, self.queries.logits if logits else None, head)
        )


@lru_cache(maxsize=4)
def plain_task(rows: int = ROWS) -> Task:
    """Classes along directions of their own, told apart by the head, one label of ten wrong; what is OOD is shorter, and points nowhere.

    Args:
        rows: How many the fit set has.
    """
    rng = np.random.default_rng(0)
    each = DIM // (CLASSES + 1)
    directions = np.repeat(np.eye(CLASSES, CLASSES + 1), each, axis=1) / np.sqrt(each)
    weight = directions + rng.normal(size=(CLASSES, DIM)) / 20
    head = Head(weight, rng.normal(size=CLASSES) / 10, negatives=1 + rng.normal(size=(60, DIM)) / 2)

    def seen(features: NDArray[np.float64]) -> Activations:
        stored = np.maximum(features, 0).astype(np.float32)
        return Activations(stored, (stored.astype(np.float64) @ weight.T + head.bias).astype(np.float32), head)

    labels, asked = (rng.integers(0, CLASSES, count) for count in (rows, _QUERIES // 2))
    known, new = (6 * directions[of] + 0.4 * rng.normal(size=(len(of), DIM)) + 0.2 for of in (labels, asked))
    strange = 0.7 * rng.normal(size=(_QUERIES // 2, DIM)) + 0.3
    wrong = rng.random(rows) < 0.1
    labels[wrong] = rng.integers(0, CLASSES, np.count_nonzero(wrong))
    return Task(seen(known), labels, seen(np.concatenate([new, strange])), head)
