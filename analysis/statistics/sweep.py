"""Sweeps over a dataset: every row is read once, and all statistics that are wanted of it see it.

Rows are cut into lanes, a fixed number of stretches that does not depend on who works on them; each lane is gathered in
row order by one worker, and the lanes are merged in row order. So one thread, many threads and many machines give the
same numbers, to the last bit.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, TypeAlias

from analysis.algebra.blas import one_thread
from analysis.rows.checks import class_labels
from analysis.statistics.statistic import with_earlier
from featurestore.errors import InputError, LakeError
from featurestore.machine import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from analysis.rows.activations import Block
    from analysis.rows.lake_rows import Read
    from analysis.statistics.statistic import Accumulator, Arrays, Statistic, SweepContext

LANES = 16
_BLOCKS_A_LANE = 8
"""At least, where there are several lanes: to merge the class statistics of two takes as long as to gather some blocks."""

Advance: TypeAlias = "Callable[[int], None]"
Gatherer: TypeAlias = "Callable[[Blocks, Sequence[Statistic], SweepContext, Advance], Iterable[list[Accumulator]]]"
"""Gathers the lanes, each a list with one accumulator per statistic, and returns them in row order."""


class Blocks(Protocol):
    """Rows of one dataset, in blocks; `analysis.rows.lake_rows.Rows` are those of a lake. As text it says what it is."""

    def read(self, columns: Sequence[str]) -> Sequence[Read]:
        """Functions that each read one block, in row order, with at least these of `feature` and `logits`."""

    def check_labels(self, block: Block) -> None:
        """Raise if a row has no label."""

    def explain(self, block: Block, error: LakeError) -> LakeError:
        """The error that a block has met, with all that is known of where."""


def _unseen() -> AbstractContextManager[Advance]:
    return nullcontext(lambda _: None)


def gather(
    rows: Blocks,
    statistics: Iterable[Statistic],
    context: SweepContext,
    bar: Callable[[], AbstractContextManager[Advance]] = _unseen,
    *,
    run: Gatherer | None = None,
) -> dict[str, Arrays]:
    """Gather statistics of one dataset in as few sweeps as their order allows.

    Args:
        rows: The rows.
        statistics: What is wanted; what these come after is gathered too, unless `context.results` holds it.
        context: What is known of the model and the dataset.
        bar: Opened for each sweep; gives what is told the number of rows just seen.
        run: Who works on the lanes; by default the threads of this process.

    Returns:
        The statistics by name, those that they come after among them.

    Raises:
        InputError: A row has no label where a statistic needs one, or there are no rows.
        NumericalError: A value is NaN or infinite.
        CorruptionError: A fragment is missing or altered.
    """
    done: dict[str, Arrays] = {}
    wanted = with_earlier(statistics, context.results)
    while wanted:
        known = {**context.results, **done}
        ready = [statistic for statistic in wanted if all(earlier.name in known for earlier in statistic.after)]
        with bar() as advance:
            found = sweep(rows, ready, replace(context, results=known), advance, run=run or in_threads)
        more = {s.name: s.again(found[s.name]) if s.again else None for s in ready}
        done |= {name: found[name] for name, unfinished in more.items() if unfinished is None}
        wanted = [more.get(s.name) or s for s in wanted if s.name not in done]
    return done


def sweep(
    rows: Blocks, statistics: Sequence[Statistic], context: SweepContext, advance: Advance, *, run: Gatherer
) -> dict[str, Arrays]:
    """Gather statistics in one sweep."""
    total: list[Accumulator] | None = None
    for lane in run(rows, statistics, context, advance):
        if total is None:
            total = lane
        else:
            for ours, theirs in zip(total, lane, strict=True):
                ours.merge(theirs)
    if total is None:
        raise InputError(f"There is no sample of {rows}: nothing can be fitted.")
    return {statistic.name: accumulator.finish() for statistic, accumulator in zip(statistics, total, strict=True)}


def in_threads(
    rows: Blocks, statistics: Sequence[Statistic], context: SweepContext, advance: Advance
) -> Iterator[list[Accumulator]]:
    """Gather lanes in as many threads as there are cores, each with linear algebra of its own."""
    lanes = lanes_of(rows.read(columns_of(statistics)))
    with one_thread(), ThreadPoolExecutor(min(cores(), len(lanes)) or 1) as pool:
        futures = [pool.submit(gather_lane, rows, lane, statistics, context, advance) for lane in lanes]
        try:
            # A lane is let go once it is merged.
            while futures:
                yield futures.pop(0).result()
        finally:
            for future in futures:
                future.cancel()


def columns_of(statistics: Iterable[Statistic]) -> list[str]:
    """What statistics read of the rows."""
    return sorted({column for statistic in statistics for column in statistic.reads})


def lanes_of(reads: Sequence[Read]) -> list[Sequence[Read]]:
    """Cut the blocks of a dataset into at most `LANES` stretches of nearly equal length."""
    count = min(LANES, -(-len(reads) // _BLOCKS_A_LANE))
    cuts = [len(reads) * lane // count for lane in range(count + 1)] if count else []
    return [reads[start:stop] for start, stop in pairwise(cuts)]


def gather_lane(
    rows: Blocks, lane: Sequence[Read], statistics: Sequence[Statistic], context: SweepContext, advance: Advance
) -> list[Accumulator]:
    """Gather one lane, in row order; returns one accumulator per statistic."""
    accumulators = [statistic.start(context) for statistic in statistics]
    labelled = any(statistic.labelled for statistic in statistics)
    for read in lane:
        block = read()
        if labelled:
            rows.check_labels(block)
        try:
            if labelled:
                class_labels(block.label, len(block), context.classes)
            for accumulator in accumulators:
                accumulator.update(block)
        except LakeError as error:
            raise rows.explain(block, error) from error
        advance(len(block))
    return accumulators
