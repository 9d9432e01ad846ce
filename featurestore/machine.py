"""This machine: the threads that are worth starting, work that they do ahead, and Python's collector of cyclic garbage."""

from __future__ import annotations

import gc
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")

_WORTH_A_THREAD = 1e-3
"""Seconds."""


def cores() -> int:
    """Cores that this process may use: those it is bound to, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ahead(pool: ThreadPoolExecutor, work: Iterable[Callable[[], Result]], depth: int) -> Generator[Result, None, None]:
    """Results in order, of work that the pool does at most so many pieces ahead of whoever takes them.

    Whoever may stop early closes the iterator before the pool, so that only what has begun is waited for.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for piece in work:
            waiting.append(pool.submit(piece))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def each(function: Callable[[Item], Result], items: Sequence[Item], threads: int = 16) -> list[Result]:
    """The function's results in order, from a few threads that each take every so many items where waiting is what costs.

    The first two items tell: on a bucket or a busy network drive one takes milliseconds, on a local disk less than it takes
    to hand work from thread to thread.
    """
    first, seconds = [], []
    for item in items[:2]:
        start = time.perf_counter()
        first.append(function(item))
        seconds.append(time.perf_counter() - start)
    rest = items[2:]
    if min(seconds, default=0) < _WORTH_A_THREAD:
        return first + [function(item) for item in rest]
    results: list[Any] = [None] * len(rest)

    def take(number: int) -> None:
        results[number::threads] = [function(item) for item in rest[number::threads]]

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(take, range(min(threads, len(rest)))))
    return first + results


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause it: it would walk all of them again and again, for a third of the time of reading a thousand manifests."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
