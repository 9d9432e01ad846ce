"""What the benchmarks share: work in a process of its own, timed, with the memory that it took at its peak."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Measurement:
    """Seconds, megabytes by which the process grew at its peak, and seconds of its CPU; imports count in none of them."""

    seconds: float
    megabytes: float
    cpu: float = 0.0


def measure(work: Callable[..., Any], *arguments: Any) -> Measurement:
    """Run `work` in a fresh process. Where it returns a number, that is taken as its seconds, else the wall time."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # it may have processes of its own
        return pool.submit(_measured, work, arguments).result()


def best(runs: list[Measurement]) -> Measurement:
    """The fastest times and the highest peak of several runs."""
    return Measurement(
        min(run.seconds for run in runs), max(run.megabytes for run in runs), min(run.cpu for run in runs)
    )


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Measurement:
    before = _peak()
    start, cpu = time.perf_counter(), time.process_time()
    returned = work(*arguments)
    elapsed = time.perf_counter() - start
    seconds = returned if isinstance(returned, float) else elapsed
    return Measurement(seconds, _peak() - before, time.process_time() - cpu)


def _peak() -> float:
    """Megabytes; the kernel's high-water mark, which unlike `ru_maxrss` begins anew with each program."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
