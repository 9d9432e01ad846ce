"""Cold commands: what a user waits for from the start of the process to its end, where the answer itself takes no time.

The small lake is as the demo's: 16 models with all usual detectors. The wide one has the paper's 296 models, all detectors and 25,160 fragments
of activations, of which hardly more than the manifests are there. The floor is Python with the libraries that every question needs.

Answers say whether they rest on what is stale: of a process in which the lake is open already, the third table has the time of processors
that this look takes beside what is read anyway, when all is fresh and after a dataset was replaced.

python -m benchmarks.commands [--models 296] [--rounds 3] [--only cold,age]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

from analysis.detectors import detectors
from analysis.detectors.registry import default_detectors
from benchmarks.lakes.scored import make_scored_lake
from benchmarks.lakes.wide import FRAGMENTS, make_wide_lake, replace_dataset
from benchmarks.measure import command, in_turns, python
from benchmarks.record import Record, arguments
from featurestore import Lake
from featurestore.held import AGEING, OF_SAMPLES, Held, complaints
from featurestore.layout.tables import TABLES
from featurestore.machine import collector_paused
from featurestore.query import catalog

SMALL_MODELS, AGEING_DETECTORS = 16, 23
FLOOR = "python -c 'import duckdb'"
SMALL = {("--help",): 0.25, ("ask", "best_detector", "--format", "csv"): 0.4, ("score",): None}
WIDE = {
    ("ask", "accuracy_vs_unit_test_fpr"): 1.5,
    ("status",): 2.5,
    ("score",): None,
    ("sql", "select count(*) from models"): None,
}
"""Commands, and the seconds that they may take on a quiet machine."""


def bench_cold(
    record: Record, title: str, lake: Path, limits: dict[tuple[str, ...], float | None], rounds: int
) -> None:
    """Each command in a new process, in turns."""
    named = {f"featurestore {' '.join(words)}": (words, limit) for words, limit in limits.items()}
    place = {"FEATURESTORE_LAKE": str(lake)}
    runs = {name: partial(command, *words, **place) for name, (words, _) in named.items()}
    taken = in_turns(rounds, **{FLOOR: partial(python, "-c", "import duckdb"), **runs})
    with record.table(title) as table:
        table.runs(FLOOR, taken[FLOOR])
        for name, (_, limit) in named.items():
            table.runs(name, taken[name], most=limit)


def bench_age(record: Record, location: Path, rounds: int) -> None:
    """What it costs that answers know whether they rest on what is stale; fresh, and after a dataset was replaced."""
    asked: dict[frozenset[str], int] = defaultdict(int)
    for question in catalog.questions().values():
        asked[frozenset(catalog.views_behind(question.sql) & TABLES.keys())] += 1
    with record.table("The look at the age of what is read, the processor's time") as table:
        for state in ("all is fresh", "a dataset was replaced"):
            for tables, count in sorted(asked.items(), key=lambda item: sorted(item[0])):
                if tables & set(AGEING):
                    name = f"{', '.join(sorted(tables))}: {count} questions"
                    needed, looks = zip(*(_age(location, tables) for _ in range(rounds)), strict=True)
                    table.add(name, looks, unit="ms", column=state, most=50)
                    if state == "all is fresh":
                        table.add(name, needed, unit="ms", column="manifests that are read anyway")
            replace_dataset(Lake(location), "far")


def _age(location: Path, tables: frozenset[str]) -> tuple[float, float]:
    """Milliseconds of CPU of a process for the manifests that a question reads, and for the look at their age with what it reads."""
    held = Held(Lake(location).storage)
    with collector_paused():  # as the commands do
        start = time.process_time()
        manifests = [manifest for table in sorted(tables) for manifest in held.of(table)]
        needed = time.process_time()
        for manifest in manifests:
            held.current_parts(manifest, OF_SAMPLES)
        complaints(held, tables, without=OF_SAMPLES)
        return 1e3 * (needed - start), 1e3 * (time.process_time() - needed)


def main() -> None:
    """Make the lakes, and run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=296)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="cold,age")
    options = arguments(parser, models=4, rounds=2)
    record = Record("commands", options)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        small, wide, age = (Path(folder) / name for name in ("small", "wide", "age"))
        if "cold" in options.only:
            make_scored_lake(small, min(SMALL_MODELS, options.models))
            bench_cold(record, "A lake like the demo's", small, SMALL, options.rounds)
            make_wide_lake(wide, options.models, list(detectors().values()))
            title = f"{options.models} models x {len(FRAGMENTS)} datasets, {len(detectors())} detectors"
            bench_cold(record, title, wide, WIDE, options.rounds)
        if "age" in options.only:
            make_wide_lake(age, options.models, default_detectors()[:AGEING_DETECTORS])
            bench_age(record, age, options.rounds)
    record.close()


if __name__ == "__main__":
    main()
