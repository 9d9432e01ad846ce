"""Lanes of a sweep as tasks of a Ray cluster: each reads its own rows from the lake."""

from __future__ import annotations

import importlib
import pickle
from typing import TYPE_CHECKING, Any

from analysis.algebra.blas import one_thread
from analysis.statistics.sweep import columns_of, gather_lane, lanes_of
from featurestore import ray_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

    from analysis.statistics.statistic import Accumulator, Statistic, SweepContext
    from analysis.statistics.sweep import Advance, Blocks, Gatherer

_RETRIES = 5
"""How often Ray starts a lane again whose node died."""


def on_ray(address: str | None, plugins: Sequence[ModuleType] = ()) -> Gatherer:
    """A runner whose lanes are Ray tasks; lanes and their order are those of threads, and so are the numbers.

    Args:
        address: The cluster's address; None takes `$RAY_ADDRESS`, else a cluster on this machine, else starts one.
        plugins: Modules of statistics that other machines may not have: they are sent along.
    """

    def run(
        rows: Blocks, statistics: Sequence[Statistic], context: SweepContext, advance: Advance
    ) -> Iterator[list[Accumulator]]:
        ray = ray_cluster.join(address)
        for module in plugins:
            ray.cloudpickle.register_pickle_by_value(module)
        lanes = len(lanes_of(rows.read(columns_of(statistics))))
        shared = ray.put((rows, list(statistics), context))
        remote: Any = ray.remote(_gather_lane).options(max_retries=_RETRIES, num_cpus=1)
        waiting = [remote.remote(shared, lane) for lane in range(lanes)]
        try:
            while waiting:
                # A lane is let go once it is merged.
                pickled, seen = ray_cluster.result(ray, waiting.pop(0))
                advance(seen)
                accumulators: list[Accumulator] = pickle.loads(pickled)  # noqa: S301 # from a task of our own
                yield accumulators
        finally:
            for lane in waiting:
                ray.cancel(lane)

    return run


def _gather_lane(shared: tuple[Blocks, Sequence[Statistic], SweepContext], number: int) -> tuple[bytes, int]:
    rows, statistics, context = shared
    seen = 0

    def advance(count: int) -> None:
        nonlocal seen
        seen += count

    lane = lanes_of(rows.read(columns_of(statistics)))[number]
    with one_thread():
        accumulators = gather_lane(rows, lane, statistics, context, advance)
    # Arrays that Ray itself hands over are read-only, and those of accumulators are written to.
    dumps: Callable[[object], bytes] = importlib.import_module("ray").cloudpickle.dumps
    return dumps(accumulators), seen
