"""What the benchmarks share: work in a process of its own, timed, with the memory that it took at its peak."""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Measurement:
    """Seconds, megabytes by which the process grew at its peak, and seconds of its CPU; imports count in none of them.

    `given` is what the work returned.
    """

    seconds: float
    megabytes: float
    cpu: float = 0.0
    given: Any = None


def measure(work: Callable[..., Any], *arguments: Any) -> Measurement:
    """Run `work` in a fresh process.

    Where it returns a function, all until then was preparation, and that function is what is measured. Where it returns a
    number, that is taken as its seconds, else the wall time.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # it may have processes of its own
        return pool.submit(_measured, work, arguments).result()


def in_turns(rounds: int, **works: Callable[[], Any]) -> dict[str, list[Any]]:
    """What each gives in each round, in which all take turns, so that a machine that others use slows all of them."""
    given: dict[str, list[Any]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            given[name].append(work())
    return given


def best(runs: list[Measurement]) -> Measurement:
    """The fastest times and the highest peak of several runs."""
    return Measurement(
        min(run.seconds for run in runs), max(run.megabytes for run in runs), min(run.cpu for run in runs)
    )


def command(*arguments: object, **variables: str) -> Measurement:
    """Wall time and CPU of a cold `featurestore` command, from its start to its end.

    Raises:
        SystemExit: It failed; with what it said.
    """
    return python("-m", "featurestore", *arguments, **variables)


def python(*arguments: object, **variables: str) -> Measurement:
    """The same of any Python."""
    environment: Mapping[str, str] = {**os.environ, **variables}
    start, cpu = time.perf_counter(), _of_children()
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], check=False, capture_output=True, text=True, env=environment
    )
    seconds, cpu = time.perf_counter() - start, _of_children() - cpu
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))[:200]} failed: {done.stderr or done.stdout}")
    return Measurement(seconds, float("nan"), cpu)


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _measured(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Measurement:
    before = _kilobytes("VmHWM")
    start, cpu = time.perf_counter(), time.process_time()
    returned = work(*arguments)
    if callable(returned):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the high-water mark begins anew
        before = _kilobytes("VmRSS")
        start, cpu = time.perf_counter(), time.process_time()
        returned = returned()
    elapsed = time.perf_counter() - start
    seconds = returned if isinstance(returned, float) else elapsed
    return Measurement(seconds, (_kilobytes("VmHWM") - before) / 1024, time.process_time() - cpu, returned)


def _kilobytes(name: str) -> int:
    """Of this process's memory; the kernel's high-water mark, unlike `ru_maxrss`, begins anew with each program."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])
