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
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.lineage.benchmark import benchmarks
from analysis.metrics.id_rank import id_rank
from analysis.metrics.table import write_metrics
from benchmarks.measure import Measurement, best, measure
from extract.pools.vit_ood_2024 import entries
from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from featurestore.query import catalog
from featurestore.query.filters import reads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extract.pools.entry import PoolEntry
    from featurestore.layout.manifest import Part

DETECTORS = ("max-logit", "mahalanobis", "relative-mahalanobis")
OODS = {"ninco": (5_879, 64), "unit-tests": (6_800, 17)}
ID, ID_SAMPLES, CLASSES = "imagenet-val", 50_000, 1_000
RUNS = 3
TPR = 0.99


def put(lake: Lake, table: str, key: Mapping[str, str], columns: Mapping[str, Any], **part: str) -> None:
    """Write one part through the lake's own writer; columns that are not given are null."""
    rows = len(next(iter(columns.values())))
    empty = {name: [None] * rows for name in TABLES[table].columns.names}
    target = writing.Target(TABLES[table], key, {"bench": 1}, part)
    writing.write_part(lake.storage, target, pa.table(empty | dict(columns), TABLES[table].columns), replacing=False)


def make_lake(location: Path, models: int) -> None:
    """A lake of the pool's first models, unless it is there: random scores, their ranks, accuracies, no metrics yet."""
    done = location / "models-made"
    if done.exists():
        return
    lake = Lake(location)
    make_dataset(lake, "imagenet-train", "fit", 8, 2)
    make_dataset(lake, ID, "id", ID_SAMPLES, CLASSES)
    for name, (samples, classes) in OODS.items():
        make_dataset(lake, name, "ood", samples, classes)
    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda item: make_model(lake, *item), enumerate(spread(entries(), models))))
    print(f"{location}: {models} models made in {time.perf_counter() - start:.0f} s")
    done.touch()


def spread(pool: list[PoolEntry], models: int) -> list[PoolEntry]:
    """So many of the pool, from all over it."""
    return [pool[number * len(pool) // models] for number in range(models)]


def make_dataset(lake: Lake, name: str, role: str, samples: int, classes: int) -> None:
    """A dataset's row and its list of samples."""
    row = {"role": role, "benchmarks": ["main"], "samples": samples, "classes": classes, "digest": name, "location": ""}
    put(lake, "datasets", {"dataset": name}, {key: [value] for key, value in row.items()})
    number = np.arange(samples)
    columns = {
        "sample": number,
        "path": [f"{i % classes:04d}/{i:05d}.jpg" for i in range(samples)],
        "bytes": number * 0 + 100_000,
        "label": [None] * samples if role == "ood" else number % classes,
        "class_name": [f"class-{i % classes:04d}" for i in range(samples)],
    }
    put(lake, "samples", {"dataset": name}, columns)


def make_model(lake: Lake, number: int, entry: PoolEntry) -> None:
    """A model's row, accuracy, and scores by every detector."""
    size = int(entry.architecture.rpartition("_")[2])
    row = {"architecture": entry.architecture, "input_size": size, **dict(entry.recipe or {}), "model_kwargs": "{}"}
    put(lake, "models", {"model": entry.name}, {key: [value] for key, value in row.items()})
    accuracy = {"n": [ID_SAMPLES], "top1": [0.7 + number % 151 / 1000], "top5": [0.95]}
    put(lake, "accuracy", {"model": entry.name, "dataset": ID}, accuracy)
    generator = np.random.default_rng(number)
    parts: dict[str, list[Part]] = {}
    for detector in DETECTORS:
        id_scores = generator.standard_normal(ID_SAMPLES) + 1.5 * generator.random()
        ordered = np.sort(id_scores)
        of = {ID: id_scores, **{name: generator.standard_normal(samples) for name, (samples, _) in OODS.items()}}
        for dataset, scores in of.items():
            columns = {"sample": np.arange(len(scores)), "score": scores, "id_rank": id_rank(scores, ordered)}
            target = writing.Target(TABLES["scores"], scores_key(entry, dataset), {"bench": 1}, {"detector": detector})
            rows = pa.table(columns, TABLES["scores"].columns)
            parts.setdefault(dataset, []).append(target.part([writing.write_fragment(lake.storage, target, 0, rows)]))
    for dataset, of_dataset in parts.items():
        writing.commit(lake.storage, TABLES["scores"], scores_key(entry, dataset), of_dataset, replacing=False)


def scores_key(entry: PoolEntry, dataset: str) -> dict[str, str]:
    """The partition of a model's scores on a dataset."""
    return {"benchmark": "main", "model": entry.name, "dataset": dataset}


def make_part_of(location: Path, whole: Path, models: int) -> None:
    """A lake of some of another's models, its files linked."""
    if location.exists():
        return
    kept = {f"model={entry.name}" for entry in spread(entries(), models)}

    def left_out(_: str, names: list[str]) -> list[str]:
        return [name for name in names if name == "metrics" or (name.startswith("model=") and name not in kept)]

    shutil.copytree(whole, location, ignore=left_out, copy_function=lambda a, b: Path(b).hardlink_to(a))


def rebuild_metrics(location: str) -> float:
    """Every metric of every model from its stored scores; the seconds that it took."""
    shutil.rmtree(Path(location) / "metrics", ignore_errors=True)
    lake = Lake(location)
    start = time.perf_counter()
    (benchmark,) = benchmarks(lake)
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
    if "metrics" in only or any(not (location / "metrics").exists() for location in lakes.values()):
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
