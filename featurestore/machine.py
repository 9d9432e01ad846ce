"""This machine: the threads that are worth starting, work that they do ahead, and Python's collector of cyclic garbage."""

from __future__ import annotations

import gc
import os
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future, ThreadPoolExecutor

Result = TypeVar("Result")


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
