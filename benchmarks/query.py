"""Questions and metrics on a lake of the paper's size, made here: 296 models x 3 detectors x 62,679 scores.

python -m benchmarks.query [--lake FOLDER] [--models 74,148,296] [--only questions,fpr,metrics]

The lakes are kept under FOLDER for the next run; the smaller ones hold some of the largest one's models.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.lineage.benchmark import read_benchmarks
from analysis.metrics.table import write_metrics
from benchmarks.lakes.random_scores import Shape, make
from benchmarks.measure import Measurement, best, measure
from extract.pools.vit_ood_2024 import entries
from featurestore import Lake
from featurestore.query import catalog
from featurestore.query.catalog import views_behind as reads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extract.pools import PoolEntry

SHAPE = Shape(
    detectors=("max-logit", "mahalanobis", "relative-mahalanobis"),
    id_samples=50_000,
    id_classes=1_000,
    ood={
        "ninco": (tuple(f"class-{number}" for number in range(64)), 92),
        "unit-tests": (tuple(f"class-{number}" for number in range(17)), 400),
    },
)
RUNS = 3
TPR = 0.99


def make_lake(location: Path, models: int) -> None:
    """A lake of the pool's first models, unless it is there: random scores and what follows from them."""
    done = location / "models-made"
    if done.exists():
        return
    start = time.perf_counter()
    make(location, SHAPE, {entry.name: described(entry) for entry in spread(entries(), models)})
    print(f"{location}: {models} models made in {time.perf_counter() - start:.0f} s")
    done.touch()


def described(entry: PoolEntry) -> dict[str, Any]:
    """The row of a model of the pool."""
    size = int(entry.architecture.rpartition("_")[2])
    return {"architecture": entry.architecture, "input_size": size, **entry.recipe, "model_kwargs": "{}"}


def spread(pool: list[PoolEntry], models: int) -> list[PoolEntry]:
    """So many of the pool, from all over it."""
    return [pool[number * len(pool) // models] for number in range(models)]


def make_part_of(location: Path, whole: Path, models: int) -> None:
    """A lake of some of another's models, its files linked."""
    if location.exists():
        return
    kept = {f"model={entry.name}" for entry in spread(entries(), models)}

    def left_out(_: str, names: list[str]) -> list[str]:
        return [name for name in names if name.startswith("model=") and name not in kept]

    shutil.copytree(whole, location, ignore=left_out, copy_function=lambda a, b: Path(b).hardlink_to(a))


def rebuild_metrics(location: str) -> float:
    """Every metric of every model from its stored scores; the seconds that it took."""
    shutil.rmtree(Path(location) / "metrics")
    lake = Lake(location)
    start = time.perf_counter()
    (benchmark,) = read_benchmarks(lake)
    prints: dict[str, dict[str, dict[str, str]]] = {}
    for manifest in lake.partitions("scores"):
        of = {part.key["detector"]: part.fingerprint for part in manifest.parts}
        prints.setdefault(manifest.key["model"], {})[manifest.key["dataset"]] = of
    for model, scores in prints.items():
        assert write_metrics(lake, benchmark, model, scores)
    return time.perf_counter() - start


def fpr_over_all(location: str) -> float:
    """`fpr_at` another TPR for every model, detector and OOD class, from raw scores."""
    connection = Lake(location).connect()
    start = time.perf_counter()
    rows = connection.execute(f"select count(*), avg(fpr) from fpr_at(null, null, null, {TPR})").fetchall()
    assert rows[0][0]
    return time.perf_counter() - start


def ask_warm(location: str, name: str) -> float:
    """A question for the second time on one connection."""
    question = catalog.questions()[name]
    connection = Lake(location).connect()
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        connection.execute(question.sql, question.bind({}) or None).fetchall()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def ask_cold(location: str, name: str) -> float:
    """The command in a new process, its answer a table."""
    command = [sys.executable, "-m", "featurestore", "ask", name, "--lake", location]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def questions_of_metrics() -> list[str]:
    """The questions that read metrics, and neither single scores nor activations."""
    heavy = {"scores", "activations"}
    return [
        name
        for name, question in catalog.questions().items()
        if "metrics" in reads(question.sql) and not heavy & reads(question.sql)
    ]


def show(what: str, of: Mapping[int, Measurement]) -> None:
    """One line: seconds, seconds of CPU in the whole process, and megabytes, by number of models."""
    cells = "; ".join(f"{n}: {m.seconds:.2f} s, {m.cpu:.2f} s CPU, {m.megabytes:,.0f} MB" for n, m in of.items())
    print(f"  {what}: {cells}", flush=True)


def run(lakes: Mapping[int, Path], only: set[str]) -> None:
    """Measure what was asked for."""
    names = {number: str(location) for number, location in lakes.items()}
    if "metrics" in only:
        print("metrics of all models rebuilt from raw scores")
        show("rebuild", {number: measure(rebuild_metrics, name) for number, name in names.items()})
    if "fpr" in only:
        print(f"fpr_at {TPR} over all models, detectors and OOD classes, best of {RUNS}")
        show(
            "fpr_at",
            {n: best([measure(fpr_over_all, name) for _ in range(RUNS)]) for n, name in names.items()},
        )
    if "questions" in only:
        print(f"questions that read metrics: warm in one connection, and as a cold command, best of {RUNS}")
        for question in questions_of_metrics():
            show(f"{question}, warm", {n: measure(ask_warm, name, question) for n, name in names.items()})
            cold = {n: min(ask_cold(name, question) for _ in range(RUNS)) for n, name in names.items()}
            print(f"  {question}, cold: {', '.join(f'{n}: {seconds:.2f} s' for n, seconds in cold.items())}")


def main() -> None:
    """Make the lakes that are not there, and run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--models", default="74,148,296")
    parser.add_argument("--only", default="questions,fpr,metrics")
    options = parser.parse_args()
    wanted = sorted(int(number) for number in options.models.split(","))
    with nullcontext(options.lake) if options.lake else tempfile.TemporaryDirectory(dir=".") as folder:
        lakes = {number: Path(folder) / f"models-{number}" for number in wanted}
        make_lake(lakes[wanted[-1]], wanted[-1])
        for number in wanted[:-1]:
            make_part_of(lakes[number], lakes[wanted[-1]], number)
        run(lakes, set(options.only.split(",")))


if __name__ == "__main__":
    main()
