"""Writers and askers on one lake for half an hour: memory, open files and the time of answers stay what they are.

    python -m tests.faults.soak [MINUTES]

A process begins jobs that change the lake and change it back (recipes, detectors, datasets, garbage); others keep one lake open and ask it.
Each asker tells its memory, its open files and its processor's time per round; the last quarter is held against the second one, since the
first fills caches. Exits 1 if memory or files grew, answers took longer, an answer was no whole one, or files were left.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from featurestore import Lake
from tests.faults.lakes import Templates
from tests.faults.processes import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

ASKERS = 2
GRACE = "1m"
"""Longer than an answer takes, on a machine with much else to do, too: what is superseded for longer is taken away."""
JOBS = (
    ("model", "set", "b", "weight_decay=0.5"),
    ("score", "--detector", "energy"),
    ("gc", "--older-than", GRACE),
    ("detector", "remove", "energy"),
    ("model", "set", "b", "weight_decay=0.2"),
    ("dataset", "add", "near", "{sources}/near", "--role", "ood"),
    ("dataset", "remove", "near"),
    ("gc", "--older-than", GRACE),
)
MORE_MEMORY, MORE_TIME = 24 << 20, 1.25
"""Bytes by which an asker's memory may grow, as its allocators do, and the factor by which answers may become slower, as measured times do."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Round:
    """What an asker is after a round of questions: bytes of memory, open files, seconds of the processor that the round took."""

    memory: int
    files: int
    seconds: float


def ask(location: str, until: float, rounds: Any) -> None:
    """Ask the same of an open lake again and again."""
    lake = Lake(location)
    while time.time() < until:
        start = time.process_time()
        models = {row[0] for row in lake.sql("select model from metrics").fetchall()}
        assert {"a", "b"} <= models, models
        assert len(lake.ask("best_detector").fetchall()) >= 2
        assert lake.scan("scores", dataset="far", detector="msp").collect().height == 36
        assert lake.read("activations", model="a", dataset="test").num_rows == 15
        seconds = time.process_time() - start
        memory = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
        rounds.put((os.getpid(), Round(memory, len(os.listdir("/proc/self/fd")), seconds)))  # noqa: PTH208


def main() -> int:
    """Soak, and say what grew."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name, Server(Path(name, "server")) as server:
        folder = Path(name)
        templates = Templates(folder / "templates", server)
        templates.place("scored", folder / "work" / "lake")
        lake, rounds = folder / "work" / "lake", context.SimpleQueue()
        before = _stored(lake)
        until = time.time() + 60 * minutes
        askers = [context.Process(target=ask, args=(str(lake), until, rounds)) for _ in range(ASKERS)]
        for asker in askers:
            asker.start()
        told: dict[int, list[Round]] = {}
        jobs = _work(server, templates, folder / "work", until, lambda: _collect(rounds, told))
        for asker in askers:
            while asker.is_alive():
                _collect(rounds, told)
                asker.join(0.1)
        _collect(rounds, told)
        problems = [f"an asker ended with {asker.exitcode}" for asker in askers if asker.exitcode]
        problems += [said for each in told.values() for said in _grown(each)]
        problems += [f"left: {file}" for file in (folder / "work" / "tmp").rglob("*")]
        if _stored(lake) != before:
            problems.append(f"{_stored(lake)} fragments and staged files in the end, {before} in the beginning")
    sys.stdout.write(f"{minutes:g} minutes: {jobs} jobs, {sum(map(len, told.values())):,} rounds of four questions\n")
    sys.stdout.write("".join(f"  {line}\n" for each in told.values() for line in [_said(each)]))
    sys.stdout.write("".join(f"{problem}\n" for problem in problems) or "nothing grew\n")
    return int(bool(problems))


def _work(server: Server, templates: Templates, folder: Path, until: float, meanwhile: Any) -> int:
    """Run the jobs, one after the other, whole circles of them; returns how many."""
    count, environment = 0, {"FEATURESTORE_LAKE": str(folder / "lake")}
    while time.time() < until:
        for job in JOBS:
            typed = tuple(argument.format(sources=templates.sources) for argument in job)
            outcome = server.run(typed, folder, environment=environment)
            if outcome.code:
                raise RuntimeError(f"{job} ended with {outcome.code}: {outcome.err}")
            count += 1
            meanwhile()
    time.sleep(2)
    for _ in range(2):
        server.run(("gc", "--older-than", "1s"), folder, environment=environment)
    return count


def _collect(rounds: Any, told: dict[int, list[Round]]) -> None:
    while not rounds.empty():
        process, found = rounds.get()
        told.setdefault(process, []).append(found)


def _stored(lake: Path) -> int:
    """Fragments, and what is staged."""
    return sum(1 for path in lake.rglob("*") if path.suffix == ".parquet" or path.name.startswith(".staged"))


def _quarters(rounds: Sequence[Round]) -> tuple[Sequence[Round], Sequence[Round]]:
    quarter = len(rounds) // 4
    return rounds[quarter : 2 * quarter], rounds[-quarter:]


def _grown(rounds: Sequence[Round]) -> list[str]:
    early, late = _quarters(rounds)
    found = []
    if (more := median(r.memory for r in late) - median(r.memory for r in early)) > MORE_MEMORY:
        found.append(f"memory grew by {more / 2**20:.0f} MiB")
    if max(r.files for r in late) > max(r.files for r in early):
        found.append(f"open files grew from {max(r.files for r in early)} to {max(r.files for r in late)}")
    if median(r.seconds for r in late) > MORE_TIME * median(r.seconds for r in early):
        found.append("answers take longer")
    return found


def _said(rounds: Sequence[Round]) -> str:
    early, late = _quarters(rounds)
    memory, seconds = (
        [median(getattr(r, name) for r in part) for part in (early, late)] for name in ("memory", "seconds")
    )
    files = [max(r.files for r in part) for part in (early, late)]
    return (
        f"asker: {memory[0] / 2**20:.0f} -> {memory[1] / 2**20:.0f} MiB, {files[0]} -> {files[1]} open files, "
        f"{1000 * seconds[0]:.0f} -> {1000 * seconds[1]:.0f} ms of the processor per round"
    )


if __name__ == "__main__":
    sys.exit(main())
