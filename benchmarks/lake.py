"""Writing, scanning and opening a lake, as ratios against floors measured in the same run.

python -m benchmarks.lake [--rows 200000] [--models 296] [--only write,scan,open,codecs]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.detectors import detectors
from analysis.lineage.benchmark import Benchmark
from analysis.lineage.ingredients import (
    geometry_target,
    metrics_target,
    score_target,
    statistic_targets,
)
from analysis.lineage.learning_set import learning_set_of
from analysis.statistics.statistic import FIT
from benchmarks.lakes import activations, put, put_dataset, put_rows
from benchmarks.measure import Measurement, best, measure
from featurestore import Lake
from featurestore.layout import paths
from featurestore.layout.manifest import Fragment, Manifest, to_json
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from featurestore.partitions.encoding import ROW_GROUP_ROWS
from featurestore.partitions.stored_accuracy import accuracy_target
from featurestore.partitions.writing import FragmentWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featurestore.layout.manifest import Part

WIDTH, CLASSES, FRAGMENT_ROWS, RUNS = 768, 1000, 16_384, 3


def block(number: int, rows: int, dtype: str = "float16") -> tuple[np.ndarray, ...]:
    """Samples, labels, and features and logits like a ViT's: centred, heavy-tailed, in their stored precision."""
    generator = np.random.default_rng(number)
    feature = generator.standard_normal((rows, WIDTH), np.float32).astype(dtype)
    logits = generator.standard_normal((rows, CLASSES), np.float32).astype(dtype)
    sample = np.arange(number * FRAGMENT_ROWS, number * FRAGMENT_ROWS + rows)
    return sample, sample % CLASSES, feature, logits


def sizes(rows: int) -> list[int]:
    """Rows of each fragment."""
    return [min(FRAGMENT_ROWS, rows - start) for start in range(0, rows, FRAGMENT_ROWS)]


def write_bare(folder: str, arrays: str, rows: int) -> float:
    """The floor: one call of pyarrow on the whole table, with the same encoding; the arrays are in memory."""
    blocks = [_load(arrays, number) for number in range(len(sizes(rows)))]
    table = activations(*(np.concatenate(column) for column in zip(*blocks, strict=True)), "float16")
    del blocks
    plain = ["sample", "label"]
    start = time.perf_counter()
    pq.write_table(
        table,
        f"{folder}/bare.parquet",
        row_group_size=ROW_GROUP_ROWS,
        compression=dict.fromkeys(plain, "zstd"),
        use_dictionary=plain,
        write_statistics=plain,
        write_page_checksum=True,
    )
    return time.perf_counter() - start


def write_lake(folder: str, arrays: str, rows: int) -> float:
    """Fragments as extraction writes them: encoded and stored behind the producer, then committed; arrays come from memory."""
    lake = Lake(f"{folder}/lake")
    target = writing.Target(TABLES["activations"], {"model": "m", "dataset": "d"}, {"rows": rows}, {})
    _, label, *held = _load(arrays, 0)
    start = time.perf_counter()
    written = []
    with FragmentWriter(lake.storage) as writer:
        for number, count in enumerate(sizes(rows)):
            feature, logits = (array[:count] for array in held)
            sample = np.arange(count) + number * FRAGMENT_ROWS
            rows_of = partial(activations, sample, label[:count], feature, logits, "float16")
            written.append(writer.submit(target, number, rows_of))
        part = target.part([fragment.result() for fragment in written])
        writing.commit(lake.storage, target.table, target.key, [part], replacing=False)
    return time.perf_counter() - start


def scan_lake(folder: str) -> None:
    """Every feature through `Lake.batches`."""
    total = sum(
        feature.shape[0]
        for _, feature in Lake(f"{folder}/lake").batches(model="m", dataset="d", columns=("sample", "feature"))
    )
    assert total


def scan_bare(folder: str) -> None:
    """The floor: pyarrow on the same files, one after the other, one batch after the other."""
    for path in sorted(Path(folder).glob("lake/activations/*/*/*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=ROW_GROUP_ROWS, columns=["sample", "feature"]):
            assert batch.num_rows


def scan_numpy(folder: str) -> None:
    """The peer: one `.npy` per fragment, features alone, loaded whole as the usual scripts do."""
    blocks = [np.load(path) for path in sorted(Path(folder).glob("npy/*.npy"))]
    assert np.concatenate(blocks).shape[1] == WIDTH


def _load(arrays: str, number: int) -> list[np.ndarray]:
    with np.load(f"{arrays}/{number}.npz") as stored:
        return list(stored.values())


def bench_write_and_scan(folder: Path, rows: int, only: set[str]) -> None:
    """Writing and scanning against their floors."""
    arrays = folder / "arrays"
    (folder / "npy").mkdir()
    arrays.mkdir()
    for number, count in enumerate(sizes(rows)):
        columns = block(number, count)
        np.savez(arrays / f"{number}.npz", *columns)
        np.save(folder / "npy" / f"{number:05d}.npy", columns[2])
    runs: dict[str, list[Measurement]] = {}
    for _ in range(RUNS):
        shutil.rmtree(folder / "lake", ignore_errors=True)
        for work in (write_bare, write_lake):
            runs.setdefault(work.__name__, []).append(measure(work, str(folder), str(arrays), rows))
        (folder / "bare.parquet").unlink()
    print(
        f"{rows:,} rows of {WIDTH} + {CLASSES} float16, {rows * (WIDTH + CLASSES) * 2 / 1e6:,.0f} MB; best of {RUNS} runs:"
    )
    show(runs, "write_bare")
    if "scan" in only:
        scans = (scan_bare, scan_lake, scan_numpy)
        runs = {work.__name__: [measure(work, str(folder)) for _ in range(RUNS)] for work in scans}
        show(runs, "scan_bare")


def show(runs: dict[str, list[Measurement]], floor: str) -> None:
    """One line each, as a share of the floor's rate."""
    for name, of in runs.items():
        fastest = best(of)
        ratio = best(runs[floor]).seconds / fastest.seconds
        print(
            f"  {name:10} {fastest.seconds:6.2f} s, {ratio:4.2f}x of the floor's rate, {fastest.megabytes:6,.0f} MB over the interpreter"
        )


def bench_codecs(rows: int) -> None:
    """Bytes per sample and speed by codec and precision, on features."""
    print("codec      dtype     bytes/sample   write s   read s")
    for dtype in ("float16", "float32"):
        table = activations(*block(0, min(rows, FRAGMENT_ROWS), dtype), dtype)
        for codec in ("none", "lz4", "snappy", "zstd"):
            sink = pa.BufferOutputStream()
            start = time.perf_counter()
            pq.write_table(
                table,
                sink,
                row_group_size=ROW_GROUP_ROWS,
                compression=codec,
                use_dictionary=False,
                write_statistics=False,
            )
            written = time.perf_counter() - start
            data = sink.getvalue()
            start = time.perf_counter()
            pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
            print(
                f"{codec:10} {dtype:9} {data.size / table.num_rows:12,.0f} {written:9.2f} {time.perf_counter() - start:8.2f}"
            )


def make_wide_lake(location: Path, models: int) -> int:
    """A lake of many models and tiny fragments; returns the number of fragments."""
    lake = Lake(location)
    datasets = {"train": ("fit", 79), "val": ("id", 4), "ninco": ("ood", 1), "unit-tests": ("ood", 1)}
    for name, (role, _) in datasets.items():
        put_dataset(lake, name, role, ["c0", "c1"] * 4, [None] * 8)
    sample = np.arange(1)
    tiny = activations(sample, sample, np.zeros((1, WIDTH)), np.zeros((1, 2)), "float16")
    for number in range(models):
        model, parts = f"model-{number:03d}", {}
        row = {"architecture": "vit", "pretraining": ("in21k", "in1k")[number % 2], "weight_decay": 0.1 * (number % 3)}
        put_rows(lake, "models", {"model": model}, row)
        for dataset, (_, count) in datasets.items():
            key, told = {"model": model, "dataset": dataset}, {"dataset_digest": dataset}
            put(lake, "activations", key, [tiny] * count, told)
            parts[dataset] = lake.part("activations", **key)[1]
        metrics = [
            {
                "detector": detector, "id_dataset": "val", "ood_dataset": ood, "aggregation": aggregation, "n_id": 8, "n_ood": 8,
                "ood_class": f"c{k}" if aggregation == "class" else None, "fpr95": (number * 7 % 100) / 100, "auroc": 0.9,
                "aupr_in": 0.9, "aupr_out": 0.9, "fpr95_ood_positive": 0.3,
            }
            for detector in ("msp", "max-logit", "mahalanobis")
            for ood in ("ninco", "unit-tests")
            for aggregation, k in [("class", k) for k in range(17)] + [("class_mean", 0), ("pooled", 0)]
        ]  # fmt: skip
        benchmark = Benchmark("main", "train", "val", ("ninco", "unit-tests"))
        target = metrics_target(benchmark, model, put_manifests(lake, benchmark, model, parts))
        put_rows(lake, "metrics", target.key, *metrics, ingredients=target.ingredients)
        target = accuracy_target(model, "val", parts["val"].fingerprint)
        accuracy = {"n": 8, "top1": 0.7 + number / 2000, "top5": 0.9}
        put_rows(lake, "accuracy", target.key, accuracy, ingredients=target.ingredients)
    return models * sum(count for _, count in datasets.values())


def put_manifests(
    lake: Lake, benchmark: Benchmark, model: str, activations: Mapping[str, Part]
) -> dict[str, dict[str, str]]:
    """Commit fits, geometry and scores of all detectors, of which only manifests are read here: there are no fragments.

    Returns:
        Fingerprints of the scores, by dataset and detector.
    """
    known = list(detectors().values())
    scores = {
        dataset: [score_target(benchmark, model, dataset, detector, activations) for detector in known]
        for dataset in (benchmark.id, *benchmark.oods)
    }
    learning_set = learning_set_of(benchmark, FIT, activations)
    assert learning_set
    geometry = [[geometry_target(model, name, learning_set, part.fingerprint)] for name, part in activations.items()]
    statistics = list(statistic_targets(model, "train", known, activations).values())
    for targets in (statistics, *geometry, *scores.values()):
        first = targets[0]
        made = tuple(one.part([Fragment(one.fragment_path(0), 8, 1000, "0" * 64)]) for one in targets)
        manifest = Manifest(first.table.name, dict(first.key), 1, made)
        lake.storage.create(f"{first.folder}/{paths.manifest_name(1)}", to_json(manifest))
    return {name: {one.part_key["detector"]: one.fingerprint for one in of} for name, of in scores.items()}


def bench_open(folder: Path, models: int) -> None:
    """Cold commands on a lake of many models."""
    location = folder / "wide"
    fragments = make_wide_lake(location, models)
    print(
        f"a lake of {models} models x 4 datasets, {fragments:,} fragments of activations, {len(detectors())} detectors; "
        f"best of {RUNS} cold commands:"
    )
    interpreter = min(_command("-c", "import duckdb, polars, typer") for _ in range(RUNS))
    print(f"  floor, python with its imports: {interpreter:.2f} s")
    for arguments in (
        ["ask", "accuracy_vs_unit_test_fpr", "--format", "csv"],
        ["status"],
        ["score"],
        ["sql", "select count(*) from models"],
    ):
        seconds = min(_command("-m", "featurestore", *arguments, "--lake", str(location)) for _ in range(RUNS))
        print(f"  featurestore {' '.join(arguments)}: {seconds:.2f} s")


def _command(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--models", type=int, default=296)
    parser.add_argument("--only", default="write,scan,open,codecs")
    options = parser.parse_args()
    only = set(options.only.split(","))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        if only & {"write", "scan"}:
            bench_write_and_scan(Path(folder), options.rows, only)
        if "codecs" in only:
            bench_codecs(options.rows)
        if "open" in only:
            bench_open(Path(folder), options.models)


if __name__ == "__main__":
    main()
