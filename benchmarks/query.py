"""Questions and metrics on a lake of the paper's size, made here: 296 models x 3 detectors x 62,679 scores, 55.7 million rows, and parts of it.

Warm is the second time on one connection, cold the command in a new process, whose answer is a table.

python -m benchmarks.query [--lake FOLDER] [--models 74,148,296] [--only questions,fpr,metrics]

The lakes are kept under FOLDER for the next run; the smaller ones hold some of the largest one's models.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.lineage.benchmark import read_benchmarks
from analysis.metrics.table import write_metrics
from benchmarks.lakes.random_scores import Shape, make
from benchmarks.measure import command, measure
from benchmarks.record import Record, arguments
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


def questions_of_metrics() -> list[str]:
    """The questions that read metrics, and neither single scores nor activations."""
    heavy = {"scores", "activations"}
    return [
        name
        for name, question in catalog.questions().items()
        if "metrics" in reads(question.sql) and not heavy & reads(question.sql)
    ]


def run(record: Record, lakes: Mapping[int, Path], only: set[str], rounds: int) -> None:
    """Measure what was asked for."""
    names = {number: str(location) for number, location in lakes.items()}
    largest = max(lakes)
    for part, title, work, limit, times in (
        ("metrics", "Metrics of all models rebuilt from raw scores", rebuild_metrics, 30, 1),
        ("fpr", f"`fpr_at` {TPR} over all models, detectors and OOD classes", fpr_over_all, 5, rounds),
    ):
        if part in only:
            with record.table(title) as table:
                for number, name in names.items():
                    runs = [measure(work, name) for _ in range(times)]
                    table.runs(f"{number} models", runs, most=limit if number == largest else None)
    if "questions" in only:
        name = names[largest]
        with record.table(f"Questions that read metrics, {largest} models") as table:
            for question in questions_of_metrics():
                warm = measure(ask_warm, name, question)
                table.add(question, [warm.seconds], column="warm", most=0.3)
                cold = [command("ask", question, "--lake", name) for _ in range(rounds)]
                table.add(question, [run.seconds for run in cold], column="cold", most=1.5)
                table.add(question, [run.cpu for run in cold], column="cold, processor")
                table.add(question, [warm.megabytes], column="memory", unit="MB")


def main() -> None:
    """Make the lakes that are not there, and run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path)
    parser.add_argument("--models", default="74,148,296")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="questions,fpr,metrics")
    options = arguments(parser, models="2", rounds=1)
    record = Record("query", options)
    wanted = sorted(int(number) for number in options.models.split(","))
    with nullcontext(options.lake) if options.lake else tempfile.TemporaryDirectory(dir=".") as folder:
        lakes = {number: Path(folder) / f"models-{number}" for number in wanted}
        make_lake(lakes[wanted[-1]], wanted[-1])
        for number in wanted[:-1]:
            make_part_of(lakes[number], lakes[wanted[-1]], number)
        run(record, lakes, set(options.only.split(",")), options.rounds)
    record.close()


if __name__ == "__main__":
    main()
