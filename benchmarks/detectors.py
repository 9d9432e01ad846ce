"""Fitting and scoring at the width and classes of ImageNet, from a lake on disk, beside the products that they cannot avoid.

The made-up network is as good and as sure as a real one (80 % of `val` are classified correctly, see `benchmarks/lakes/imagenet.py`). The
floor of fitting is one product of all features with themselves, 2 N d^2 operations in float32, on arrays in memory; ours accumulates in
float64, of which one triangle is enough. The floor of scoring is the float64 products that seven Gaussian and logit detectors need. Only
statistics are stored; what follows from them is computed again for each job that scores.

The published way is a mean of each class in a loop, scikit-learn's EmpiricalCovariance in float64, and a loop over samples and classes.

python -m benchmarks.detectors [--lake FOLDER] [--rows 1281167] [--judged 1] [--rounds 3] [--only fit,all,refit,score,naive]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors.registry import default_detectors, get
from analysis.lineage.benchmark import read_benchmarks
from analysis.lineage.learning_set import learning_set_of
from analysis.rows.lake_rows import Rows
from analysis.scoring.blocks import score_rows
from analysis.scoring.fits import Means, read_fits
from analysis.statistics.class_statistics import CLASS_STATISTICS, UNIT_CLASS_STATISTICS
from analysis.statistics.statistic import FIT
from analysis.statistics.sweep import gather
from benchmarks.lakes.imagenet import CLASSES, DATASETS, FIT_ROWS, MODEL, WIDTH, make_lake
from benchmarks.measure import in_turns, measure
from benchmarks.published_way import bench_naive
from benchmarks.record import Record, arguments
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from analysis.rows.activations import Block
    from analysis.scoring.fits import ModelFits
    from analysis.statistics.statistic import Accumulator, Statistic, SweepContext

BLOCK = 16_384
GAUSSIAN_AND_LOGIT = (
    "energy",
    "mahalanobis",
    "mahalanobis-pp",
    "max-logit",
    "msp",
    "relative-mahalanobis",
    "relative-mahalanobis-pp",
)
JUDGED = tuple(name for name, role in DATASETS.items() if role != "fit")
OOD = tuple(name for name, role in DATASETS.items() if role == "ood")
OF_FLOOR = "of the floor's time"


def fits_of(location: str) -> ModelFits:
    """The fits of the lake's one model."""
    lake = Lake(location)
    (benchmark,) = read_benchmarks(lake)
    activations = {m.key["dataset"]: m.parts[0] for m in lake.partitions("activations", model=MODEL)}
    return read_fits(lake, benchmark, MODEL, activations, say=print, means=Means())


def bare_fit(_: str, rows: int) -> Callable[[], None]:
    """The floor of fitting: 2 N d^2 operations in float32, on arrays that are in memory."""
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, BLOCK, WIDTH), np.float32)

    def products() -> None:
        for at in range(0, rows, BLOCK):
            count = min(BLOCK, rows - at)
            left[:count].T @ right[:count]

    return products


def sweep_of(location: str, names: Sequence[str]) -> Callable[[], None]:
    """One sweep for some statistics."""
    known = {s.name: s for s in (CLASS_STATISTICS, UNIT_CLASS_STATISTICS)}
    return _sweep(location, [known[name] for name in names])


def _sweep(location: str, statistics: Iterable[Statistic]) -> Callable[[], None]:
    fits = fits_of(location)
    source = learning_set_of(fits.benchmark, FIT, fits.activations)
    assert source

    def sweep() -> None:
        gather(fits.rows(source), statistics, fits.context(source))

    return sweep


def bare_score(_: str, rows: int) -> Callable[[], None]:
    """The floor of scoring: whitening by classes and by background, and products with all class means, in float64, twice."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((2048, WIDTH))
    whitening, background = rng.standard_normal((2, WIDTH, WIDTH))
    centres = rng.standard_normal((CLASSES, WIDTH))

    def products() -> None:
        for at in range(0, rows, len(features)):
            block = features[: min(len(features), rows - at)]
            for _ in ("raw", "normalised"):
                (block @ whitening) @ centres.T
                block @ background

    return products


def score_with(location: str, names: Sequence[str]) -> Callable[[], None]:
    """Scores of the evaluation rows; the fits are in the lake."""
    fits = fits_of(location)
    fitted = fits.of([get(name) for name in names])
    chosen = [get(name) for name in fitted]  # of few rows not all learn enough
    return lambda: _score(fits, chosen, fitted, JUDGED)


def _score(fits: ModelFits, chosen: Sequence[Any], fitted: Any, datasets: Sequence[str]) -> None:
    for dataset in datasets:
        rows = Rows(fits.lake, MODEL, dataset, head=fits.head)
        score_rows(rows, chosen, fitted, fits.activations[dataset].rows)


class _Timed:
    """An accumulator whose time is kept."""

    def __init__(self, inner: Accumulator, times: dict[str, float], name: str) -> None:
        self.inner, self.times, self.name = inner, times, name

    def update(self, block: Block) -> None:
        start = time.thread_time()
        self.inner.update(block)
        self.times[self.name] = self.times.get(self.name, 0.0) + time.thread_time() - start

    def merge(self, other: _Timed) -> None:
        self.inner.merge(other.inner)

    def finish(self) -> dict[str, np.ndarray]:
        return self.inner.finish()


def timed(statistic: Statistic, times: dict[str, float]) -> Statistic:
    """The statistic, telling how long its accumulators took."""

    def start(context: SweepContext) -> Any:
        return _Timed(statistic.start(context), times, statistic.name)

    return replace(statistic, start=start, after=tuple(timed(earlier, times) for earlier in statistic.after))


def fit_all(location: str) -> Callable[[], dict[str, float]]:
    """All that the default detectors learn, in as few sweeps as it takes; gives the processor's seconds by statistic.

    What several share counts for whoever came first.
    """
    times: dict[str, float] = {}
    needs = {need.name: timed(need, times) for d in default_detectors() for need in d.statistics if need.source == FIT}
    sweep = _sweep(location, needs.values())

    def fit() -> dict[str, float]:
        sweep()
        return times

    return fit


def refit(location: str) -> Callable[[], None]:
    """What the default detectors learn, from the statistics that the lake holds."""
    fits = fits_of(location)

    def learn() -> None:
        fits.of(default_detectors())

    return learn


def score_each(location: str) -> dict[str, float]:
    """Seconds of each default detector alone on the OOD rows."""
    fits, seconds = fits_of(location), {}
    fitted = fits.of(default_detectors())
    for detector in map(get, fitted):
        start = time.perf_counter()
        _score(fits, [detector], fitted, OOD)
        seconds[detector.name] = time.perf_counter() - start
    return seconds


def bench_fit(record: Record, location: str, rows: int, rounds: int) -> None:
    """Class statistics against 2 N d^2 operations."""
    floor, raw, both = "floor: float32 products", "class statistics", "class statistics, raw and normalised"
    runs = in_turns(
        rounds,
        **{
            floor: partial(measure, bare_fit, location, rows),
            raw: partial(measure, sweep_of, location, [CLASS_STATISTICS.name]),
            both: partial(measure, sweep_of, location, [CLASS_STATISTICS.name, UNIT_CLASS_STATISTICS.name]),
        },
    )
    with record.table(f"Class statistics of {rows:,} x {WIDTH}, {CLASSES:,} classes") as table:
        for name, of in runs.items():
            table.runs(name, of)
        table.ratio(raw, floor, column=OF_FLOOR, most=1.4)
        table.ratio(both, floor, column=OF_FLOOR, most=2.6)


def bench_all(record: Record, location: str, rows: int) -> None:
    """Everything in as few sweeps as it takes, and which statistic takes how long."""
    run = measure(fit_all, location)
    with record.table(f"All that {len(default_detectors())} detectors learn from {rows:,} rows") as table:
        table.runs("two sweeps", [run], most=120 if rows == FIT_ROWS else None)
    with record.table("of which, by statistic, on a thread") as table:
        for name, seconds in sorted(run.given.items(), key=lambda item: -item[1]):
            table.add(name, [seconds], column="processor")


def bench_refit(record: Record, location: str, rounds: int) -> None:
    """What is not stored, since it follows from what is."""
    fits_of(location).of(default_detectors())
    with record.table(f"What {len(default_detectors())} detectors learn, from the stored statistics") as table:
        table.runs("reading and fitting", in_turns(rounds, refit=partial(measure, refit, location))["refit"], most=15)


def bench_score(record: Record, location: str, rounds: int) -> None:
    """Seven detectors against the float64 products they need; all together; each alone."""
    fits_of(location).of(default_detectors())
    rows = sum(fits_of(location).activations[dataset].rows for dataset in JUDGED)
    everything = [detector.name for detector in default_detectors()]
    floor, seven, together = "floor: float64 products", "seven detectors", f"all {len(everything)} detectors"
    runs = in_turns(
        rounds,
        **{
            floor: partial(measure, bare_score, location, rows),
            seven: partial(measure, score_with, location, GAUSSIAN_AND_LOGIT),
        },
    )
    with record.table(f"Scores of {rows:,} rows") as table:
        for name, of in runs.items():
            table.runs(name, of)
        table.runs(together, [measure(score_with, location, everything)])
        table.ratio(seven, floor, column=OF_FLOOR)
    with record.table(f"Each alone, {sum(fits_of(location).activations[name].rows for name in OOD):,} rows") as table:
        for name, seconds in sorted(measure(score_each, location).given.items(), key=lambda item: -item[1]):
            table.add(name, [seconds])


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", help="Where the lake is made, and kept; by default in a folder that is deleted.")
    parser.add_argument("--rows", type=int, default=FIT_ROWS)
    parser.add_argument("--judged", type=float, default=1.0, help="share of the 62,679 rows that are judged")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="fit,all,refit,score,naive")
    options = arguments(parser, rows=4_000, judged=0.02, rounds=1)
    record, rows, rounds, only = Record("detectors", options), options.rows, options.rounds, options.only.split(",")
    with nullcontext(options.lake) if options.lake else tempfile.TemporaryDirectory(dir=".") as folder:
        location = str(make_lake(Path(folder), rows, judged=options.judged).location)
        if "fit" in only:
            bench_fit(record, location, rows, rounds)
        if "all" in only:
            bench_all(record, location, rows)
        if "refit" in only:
            bench_refit(record, location, rounds)
        if "score" in only:
            bench_score(record, location, rounds)
        if "naive" in only:
            bench_naive(record, location, min(50_000, rows), min(30, round(1_000 * options.judged)), rounds)
    record.close()


if __name__ == "__main__":
    main()
