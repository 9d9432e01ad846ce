"""`featurestore report` as a cold command: seconds, and the size of the page.

The lakes are a small one as the demo's, with all detectors; those of [Questions](#questions), of which one is as large as the paper's; and one of 296
models with many detectors and few samples, which shows what the page has to leave out.

python -m benchmarks.report [--lake FOLDER] [--models 16,296] [--detectors 31] [--rounds 1] [OTHER_LAKE …]

The lakes are kept under FOLDER for the next run.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.detectors.registry import default_detectors
from benchmarks.lakes.random_scores import Shape, make
from benchmarks.lakes.scored import make_scored_lake
from benchmarks.measure import command
from benchmarks.query import make_lake, make_part_of
from benchmarks.record import Record, arguments
from extract.unit_tests import KINDS

if TYPE_CHECKING:
    from benchmarks.record import Table

PAPER, SMALL, LIMIT, DEMO_LIMIT = 296, 16, 60, 10
"""Models of the paper's pool, and of the demo's; seconds that its report, and that of a lake as the demo's, may take."""


def measured(table: Table, name: str, location: Path, rounds: int, limit: float | None) -> None:
    """One row for a lake: the command in new processes, without and with figures."""
    with tempfile.TemporaryDirectory() as folder:
        page, figures = Path(folder) / "report.html", Path(folder) / "figures"
        table.runs(name, [command("report", page, "--lake", location) for _ in range(rounds)], most=limit)
        with_figures = command("report", page, "--figures", figures, "--lake", location)
        table.add(name, [with_figures.seconds], column="with figures as files")
        table.add(name, [page.stat().st_size / 1e6], column="page", unit="MB", most=5)


def make_wide(location: Path, detectors: int) -> None:
    """A lake of 296 models with many detectors and few samples, unless it is there."""
    if location.exists():
        return
    names = tuple(detector.name for detector in default_detectors())[:detectors]
    ood = {"ninco": (tuple(f"class-{number}" for number in range(8)), 3), "unit-tests": (tuple(KINDS), 3)}
    make(location, Shape(models=PAPER, detectors=names, id_samples=40, ood=ood))


def main() -> None:
    """Make the lakes that are not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("others", nargs="*", type=Path, metavar="OTHER_LAKE")
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--models", default="16,296")
    parser.add_argument("--detectors", type=int, default=31)
    parser.add_argument("--rounds", type=int, default=1)
    options = arguments(parser, models="2", detectors=0, rounds=1)
    record, rounds = Record("report", options), options.rounds
    wanted = sorted({int(number) for number in options.models.split(",")})
    with nullcontext(options.lake) if options.lake else tempfile.TemporaryDirectory(dir=".") as folder:
        lakes = {number: Path(folder) / f"models-{number}" for number in wanted}
        make_lake(lakes[wanted[-1]], wanted[-1])
        for number in wanted[:-1]:
            make_part_of(lakes[number], lakes[wanted[-1]], number)
        scored, wide = Path(folder) / "scored", Path(folder) / f"wide-{options.detectors}"
        if not scored.exists():
            make_scored_lake(scored, min(SMALL, wanted[-1]))
        with record.table("Reports") as table:
            measured(table, "as the demo's, all detectors", scored, rounds, DEMO_LIMIT)
            for number, location in lakes.items():
                measured(table, f"{number} models x 3 detectors x 62,679 scores", location, rounds, LIMIT)
            if options.detectors:
                make_wide(wide, options.detectors)
                measured(table, f"{PAPER} models x {options.detectors} detectors, few samples", wide, rounds, LIMIT)
            for location in options.others:
                measured(table, str(location), location, rounds, None)
    record.close()


if __name__ == "__main__":
    main()
