"""Fitting and scoring at the size of ImageNet, as ratios against the bare matrix products that they cannot avoid.

python -m benchmarks.detectors [--lake FOLDER] [--rows 1281167] [--only fit,refit,score,all,naive]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.covariance import EmpiricalCovariance

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
from benchmarks.measure import Measurement, best, measure
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.rows.activations import Block
    from analysis.scoring.fits import ModelFits
    from analysis.statistics.statistic import Accumulator, Statistic, SweepContext

RUNS = 3
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


def fits_of(location: str) -> ModelFits:
    """The fits of the lake's one model."""
    lake = Lake(location)
    (benchmark,) = read_benchmarks(lake)
    activations = {m.key["dataset"]: m.parts[0] for m in lake.partitions("activations", model=MODEL)}
    return read_fits(lake, benchmark, MODEL, activations, say=print, means=Means())


def bare_fit(_: str, rows: int) -> float:
    """The floor of fitting: 2 N d^2 operations in float32, on arrays that are in memory."""
    rng = np.random.default_rng(0)
    left, right = rng.standard_normal((2, BLOCK, WIDTH), np.float32)
    start = time.perf_counter()
    for at in range(0, rows, BLOCK):
        count = min(BLOCK, rows - at)
        left[:count].T @ right[:count]
    return time.perf_counter() - start


def sweep_of(location: str, names: Sequence[str]) -> float:
    """One sweep for some statistics."""
    known = {s.name: s for s in (CLASS_STATISTICS, UNIT_CLASS_STATISTICS)}
    fits = fits_of(location)
    source = learning_set_of(fits.benchmark, FIT, fits.activations)
    assert source
    start = time.perf_counter()
    gather(fits.rows(source), [known[name] for name in names], fits.context(source))
    return time.perf_counter() - start


def bare_score(_: str, rows: int) -> float:
    """The floor of scoring: whitening by classes and by background, and products with all class means, in float64, twice."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((2048, WIDTH))
    whitening, background = rng.standard_normal((2, WIDTH, WIDTH))
    centres = rng.standard_normal((CLASSES, WIDTH))
    start = time.perf_counter()
    for at in range(0, rows, len(features)):
        block = features[: min(len(features), rows - at)]
        for _ in ("raw", "normalised"):
            (block @ whitening) @ centres.T
            block @ background
    return time.perf_counter() - start


def score_with(location: str, names: Sequence[str]) -> float:
    """Scores of the evaluation rows; the fits are in the lake."""
    fits = fits_of(location)
    chosen = [get(name) for name in names]
    fitted = fits.of(chosen)
    start = time.perf_counter()
    for dataset in JUDGED:
        rows = Rows(fits.lake, MODEL, dataset, head=fits.head)
        score_rows(rows, chosen, fitted, fits.activations[dataset].rows)
    return time.perf_counter() - start


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


def fit_all(location: str) -> None:
    """Everything that the default detectors learn, in as few sweeps as it takes; what is shared counts for whoever came first."""
    fits = fits_of(location)
    source = learning_set_of(fits.benchmark, FIT, fits.activations)
    assert source
    times: dict[str, float] = {}
    needs = {need.name: timed(need, times) for d in default_detectors() for need in d.statistics if need.source == FIT}
    start = time.perf_counter()
    gather(fits.rows(source), needs.values(), fits.context(source))
    elapsed = time.perf_counter() - start
    print(
        f"  all statistics of {len(default_detectors())} detectors: {elapsed:.1f} s; seconds of processor by statistic:"
    )
    for name, seconds in sorted(times.items(), key=lambda item: -item[1]):
        print(f"    {name:32} {seconds:7.2f}")


def refit(location: str) -> float:
    """What the default detectors learn, from the statistics that the lake holds."""
    fits = fits_of(location)
    start = time.perf_counter()
    fits.of(default_detectors())
    return time.perf_counter() - start


def score_all(location: str) -> None:
    """Each default detector alone on the evaluation rows, and all of them together."""
    fits = fits_of(location)
    start = time.perf_counter()
    fitted = fits.of(default_detectors())
    print(
        f"  fits of {len(fitted)} detectors, from the statistics that the lake holds or not: {time.perf_counter() - start:.1f} s"
    )
    for chosen in (*([d] for d in default_detectors()), default_detectors()):
        start = time.perf_counter()
        for dataset in JUDGED:
            rows = Rows(fits.lake, MODEL, dataset, head=fits.head)
            score_rows(rows, chosen, fitted, fits.activations[dataset].rows)
        name = chosen[0].name if len(chosen) == 1 else f"all {len(chosen)} together"
        print(f"    {name:32} {time.perf_counter() - start:7.2f}")


def _in_memory(location: str, dataset: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples at equal distances, so that all classes take part."""
    lake = Lake(location)
    _, part = lake.part("activations", model=MODEL, dataset=dataset)
    wanted = np.zeros(part.rows, bool)
    wanted[np.linspace(0, part.rows - 1, rows).astype(int)] = True
    labels, features, start = [], [], 0
    for label, feature in lake.batches(model=MODEL, dataset=dataset, columns=("label", "feature")):
        chosen = wanted[start : start + len(label)]
        labels.append(label[chosen])
        features.append(feature[chosen])
        start += len(label)
    return np.concatenate(labels), np.concatenate(features)


def naive(location: str, rows: int, queries: int) -> float:
    """The published way: a mean per class in a loop, one float64 covariance by scikit-learn, a loop over samples."""
    label, feature = _in_memory(location, "train", rows)
    _, query = _in_memory(location, "val", queries)
    start = time.perf_counter()
    features = feature.astype(np.float64)
    means = np.stack([features[label == c].mean(axis=0) for c in range(CLASSES)])
    centred = np.concatenate([features[label == c] - means[c] for c in range(CLASSES)])
    precision = EmpiricalCovariance(assume_centered=True).fit(centred).precision_
    fitted = time.perf_counter()
    scores = [-np.min([(q - m) @ precision @ (q - m) for m in means]) for q in query.astype(np.float64)]
    ended = time.perf_counter()
    assert np.isfinite(scores).all()
    print(f"  naive: fit of {rows:,} rows {fitted - start:.2f} s, scores of {queries:,} rows {ended - fitted:.2f} s")
    return ended - start


def ours(location: str, rows: int, queries: int) -> float:
    """The same with the product's own functions."""
    from analysis.algebra.class_accumulators import ClassStatisticsAccumulator
    from analysis.algebra.gaussian import fit_gaussian, squared_distance

    label, feature = _in_memory(location, "train", rows)
    _, query = _in_memory(location, "val", queries)
    start = time.perf_counter()
    accumulator = ClassStatisticsAccumulator(CLASSES, WIDTH)
    for at in range(0, rows, 2048):
        accumulator.update(feature[at : at + 2048], label[at : at + 2048])
    fit = fit_gaussian(accumulator.finish())
    fitted = time.perf_counter()
    scores = -squared_distance(fit, query.astype(np.float64))
    ended = time.perf_counter()
    assert np.isfinite(scores).all()
    print(f"  ours:  fit of {rows:,} rows {fitted - start:.2f} s, scores of {queries:,} rows {ended - fitted:.2f} s")
    return ended - start


def show(name: str, runs: Sequence[Measurement], floor: Sequence[Measurement]) -> None:
    """One line, as a multiple of the floor."""
    taken = best(list(runs))
    ratio = taken.seconds / best(list(floor)).seconds
    print(f"  {name:44} {taken.seconds:7.2f} s  {ratio:5.2f}x of the floor  {taken.megabytes:7,.0f} MB")


def bench_fit(location: str, rows: int) -> None:
    """Class statistics against 2 N d^2 operations."""
    print(f"fit: {rows:,} x {WIDTH} float16 features, {CLASSES:,} classes; best of {RUNS}")
    runs: dict[str, list[Measurement]] = {"bare": [], "raw": [], "both": []}
    for _ in range(RUNS):
        runs["bare"].append(measure(bare_fit, location, rows))
        runs["raw"].append(measure(sweep_of, location, [CLASS_STATISTICS.name]))
        runs["both"].append(measure(sweep_of, location, [CLASS_STATISTICS.name, UNIT_CLASS_STATISTICS.name]))
    show("floor: float32 products in memory", runs["bare"], runs["bare"])
    show("class statistics from the lake", runs["raw"], runs["bare"])
    show("the same, raw and normalised", runs["both"], runs["bare"])


def bench_refit(location: str) -> None:
    """What is not stored, since it follows from what is: goal 15 s a model."""
    fits_of(location).of(default_detectors())
    taken = best([measure(refit, location) for _ in range(RUNS)])
    print(f"refit: {len(default_detectors())} detectors, from stored statistics; best of {RUNS}")
    print(f"  {'reading statistics, and learning from them':44} {taken.seconds:7.2f} s  {taken.megabytes:25,.0f} MB")


def bench_score(location: str) -> None:
    """Seven detectors against the float64 products they need."""
    fits_of(location).of([get(name) for name in GAUSSIAN_AND_LOGIT])
    rows = sum(fits_of(location).activations[dataset].rows for dataset in JUDGED)
    print(f"score: {rows:,} rows, {len(GAUSSIAN_AND_LOGIT)} detectors; best of {RUNS}")
    bare, scored = [], []
    for _ in range(RUNS):
        bare.append(measure(bare_score, location, rows))
        scored.append(measure(score_with, location, GAUSSIAN_AND_LOGIT))
    show("floor: float64 products in memory", bare, bare)
    show("scores from the lake", scored, bare)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", help="Where the lake is made, and kept; by default in a folder that is deleted.")
    parser.add_argument("--rows", type=int, default=FIT_ROWS)
    parser.add_argument("--only", default="fit,refit,score,all,naive")
    options = parser.parse_args()
    only = set(options.only.split(","))
    folder = options.lake or tempfile.mkdtemp(dir=".")
    try:
        location = str(make_lake(Path(folder), options.rows).location)
        if "fit" in only:
            bench_fit(location, options.rows)
        if "refit" in only:
            bench_refit(location)
        if "score" in only:
            bench_score(location)
        if "all" in only:
            print(f"everything, peak {measure(fit_all, location).megabytes:,.0f} MB")
            print(f"scores of each detector alone, peak {measure(score_all, location).megabytes:,.0f} MB")
        if "naive" in only:
            rows, queries = min(50_000, options.rows), 100
            print(f"peak of the naive way {measure(naive, location, rows, queries).megabytes:,.0f} MB")
            print(f"peak of ours {measure(ours, location, rows, queries).megabytes:,.0f} MB")
    finally:
        if not options.lake:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
