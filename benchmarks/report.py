"""The report of a lake of the paper's size, made here, and of any other lake: seconds of the command, and size of the page.

python -m benchmarks.report [--lake FOLDER] [--models 16,296] [--detectors 31] [OTHER_LAKE …]

The lakes are those of `benchmarks.query`, and are kept under FOLDER for the next run. With `--detectors`
there is another of 296 models, with that many detectors and few samples: what the page has to leave out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from analysis.detectors.registry import default_detectors
from benchmarks.lakes.random_scores import Shape, make
from benchmarks.query import make_lake, make_part_of
from extract.unit_tests import KINDS

RUNS = 3
PAPER = 296
LIMITS = "limits: 10 s for the demo, 60 s and 5 MB for 296 models"


def show(location: Path) -> None:
    """One line for a lake: the command in new processes, without and with figures."""
    with tempfile.TemporaryDirectory() as folder:
        page, figures = Path(folder) / "report.html", Path(folder) / "figures"
        plain = min(seconds_of(location, str(page)) for _ in range(RUNS))
        with_figures = seconds_of(location, str(page), "--figures", str(figures))
        megabytes, drawings = page.stat().st_size / 1e6, len(list(figures.glob("*.png")))
    print(
        f"  {location}: {plain:.1f} s, {megabytes:.2f} MB; with {drawings} figures as files {with_figures:.1f} s",
        flush=True,
    )


def seconds_of(location: Path, *arguments: str) -> float:
    """How long `featurestore report` takes, from its start."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "featurestore", "report", "--lake", str(location), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def make_wide(location: Path, detectors: int) -> None:
    """A lake of 296 models with many detectors and few samples, unless it is there."""
    if location.exists():
        return
    names = tuple(detector.name for detector in default_detectors())[:detectors]
    ood = {"ninco": (tuple(f"class-{number}" for number in range(8)), 3), "unit-tests": (tuple(KINDS), 3)}
    make(location, Shape(models=PAPER, detectors=names, id_samples=40, ood=ood))


def main() -> None:
    """Make the lakes that are not there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("others", nargs="*", type=Path, metavar="OTHER_LAKE")
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--models", default="16,296")
    parser.add_argument("--detectors", type=int, default=0)
    options = parser.parse_args()
    wanted = sorted({int(number) for number in options.models.split(",")})
    with nullcontext(options.lake) if options.lake else tempfile.TemporaryDirectory(dir=".") as folder:
        lakes = {number: Path(folder) / f"models-{number}" for number in wanted}
        make_lake(lakes[wanted[-1]], wanted[-1])
        for number in wanted[:-1]:
            make_part_of(lakes[number], lakes[wanted[-1]], number)
        wide = [Path(folder) / f"wide-{options.detectors}"] if options.detectors else []
        for location in wide:
            make_wide(location, options.detectors)
        print(f"featurestore report, best of {RUNS}; {LIMITS}")
        for location in (*options.others, *lakes.values(), *wide):
            show(location)


if __name__ == "__main__":
    main()
