"""Writing, scanning and opening a lake, as ratios against floors measured in the same run.

python -m benchmarks.lake [--rows 200000] [--models 296] [--only write,scan,open,age,codecs]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.detectors import detectors
from analysis.detectors.registry import default_detectors
from benchmarks.lakes import activations
from benchmarks.lakes.wide import FRAGMENTS, make_wide_lake, replace_dataset
from benchmarks.measure import Measurement, best, measure
from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.machine import collector_paused
from featurestore.partitions import writing
from featurestore.partitions.age import AGEING, OF_SAMPLES, Held, complaints
from featurestore.partitions.encoding import ROW_GROUP_ROWS
from featurestore.partitions.writing import FragmentWriter
from featurestore.query import catalog

WIDTH, CLASSES, FRAGMENT_ROWS, RUNS = 768, 1000, 16_384, 3
AGE_RUNS, AGEING_DETECTORS = 5, 23


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


def bench_open(folder: Path, models: int) -> None:
    """Cold commands on a lake of many models."""
    location = folder / "wide"
    make_wide_lake(location, models, list(detectors().values()))
    print(
        f"a lake of {models} models x {len(FRAGMENTS)} datasets, {models * sum(FRAGMENTS.values()):,} fragments of activations, "
        f"{len(detectors())} detectors; best of {RUNS} cold commands:"
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


def bench_age(folder: Path, models: int) -> None:
    """What it costs that answers know whether they rest on what is stale; fresh, and after a dataset was replaced."""
    location, known = folder / "age", default_detectors()[:AGEING_DETECTORS]
    make_wide_lake(location, models, known)
    parts = models * (len(FRAGMENTS) - 1) * len(known)
    asked: dict[frozenset[str], list[str]] = defaultdict(list)
    for name, question in catalog.questions().items():
        asked[frozenset(catalog.views_behind(question.sql) & TABLES.keys())].append(name)
    print(f"a lake of {models} models, {parts:,} parts of scores; milliseconds of CPU, best of {AGE_RUNS} (limit 50):")
    for state in ("all is fresh", "a dataset was replaced"):
        print(f"  {state}:")
        for tables, names in sorted(asked.items(), key=lambda item: sorted(item[0])):
            runs = [_age(location, tables) for _ in range(AGE_RUNS)] if tables & set(AGEING) else []
            if runs:
                needed, look = (min(times) for times in zip(*runs, strict=True))
                print(
                    f"    {look:.0f} beside {needed:.0f} to read manifests of {', '.join(sorted(tables))}: {', '.join(names)}"
                )
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


def _command(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--models", type=int, default=296)
    parser.add_argument("--only", default="write,scan,open,age,codecs")
    options = parser.parse_args()
    only = set(options.only.split(","))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        if only & {"write", "scan"}:
            bench_write_and_scan(Path(folder), options.rows, only)
        if "codecs" in only:
            bench_codecs(options.rows)
        if "open" in only:
            bench_open(Path(folder), options.models)
        if "age" in only:
            bench_age(Path(folder), options.models)


if __name__ == "__main__":
    main()
