"""Activations as extraction stores them, in float16, are written to a lake on disk and read from it.

Every side has the same rows, and a warm page cache. The floor of writing is to write and sync the bytes of the same files; of scanning, to read the bytes of the same columns into one buffer.
`pyarrow` and `numpy.load` are what one would use without a lake: pyarrow writes one file in one call, from a table in memory; `.npy`
files hold the features alone, and nothing checks what comes from them. A lake writes fragments behind whoever makes the rows, each synced,
hashed and committed, and checks each page's checksum when it reads.

python -m benchmarks.lake [--rows 200000] [--rounds 3] [--only write,scan]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.lakes import activations
from benchmarks.measure import in_turns, measure
from benchmarks.record import Record, arguments
from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from featurestore.partitions.encoding import ROW_GROUP_ROWS
from featurestore.partitions.writing import FragmentWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Measurement

WIDTH, CLASSES, FRAGMENT_ROWS = 768, 1000, 16_384
FEATURES = ("sample", "feature")
EVERYTHING = ("sample", "label", "feature", "logits")
FLOOR, OURS, PYARROW, NUMPY = "floor: the bytes", "the lake", "pyarrow", "numpy.load of .npy"


def make_arrays(folder: Path, rows: int) -> None:
    """Samples, labels, features and logits of each fragment, and features as `.npy`."""
    (folder / "npy").mkdir()
    (folder / "arrays").mkdir()
    for number, start in enumerate(range(0, rows, FRAGMENT_ROWS)):
        generator, count = np.random.default_rng(number), min(FRAGMENT_ROWS, rows - start)
        feature, logits = (generator.standard_normal((count, n), np.float32).astype("f2") for n in (WIDTH, CLASSES))
        sample = np.arange(start, start + count)
        np.savez(folder / "arrays" / f"{number:05d}.npz", sample, sample % CLASSES, feature, logits)
        np.save(folder / "npy" / f"{number:05d}.npy", feature)


def arrays_of(folder: str) -> list[list[np.ndarray]]:
    """The columns of each fragment, in memory."""
    blocks = []
    for path in sorted(Path(folder).glob("arrays/*.npz")):
        with np.load(path) as stored:
            blocks.append(list(stored.values()))
    return blocks


def write_bytes(folder: str) -> Callable[[], None]:
    """The floor: the bytes of the lake's fragments, from memory, each file synced."""
    contents = [path.read_bytes() for path in fragments(folder)]

    def write() -> None:
        for number, content in enumerate(contents):
            _written(f"{folder}/raw-{number}", lambda path, content=content: Path(path).write_bytes(content))

    return write


def write_pyarrow(folder: str) -> Callable[[], None]:
    """The peer: one call of pyarrow on the whole table, with the same encoding, synced."""
    columns = (np.concatenate(column) for column in zip(*arrays_of(folder), strict=True))
    table, plain = activations(*columns, "float16"), ["sample", "label"]
    options: dict[str, Any] = {"use_dictionary": plain, "write_statistics": plain, "write_page_checksum": True}
    options |= {"row_group_size": ROW_GROUP_ROWS, "compression": dict.fromkeys(plain, "zstd")}
    return lambda: _written(f"{folder}/bare.parquet", lambda path: pq.write_table(table, path, **options))


def _written(path: str, write: Callable[[str], Any]) -> None:
    write(path)
    with Path(path).open("rb") as file:
        os.fsync(file.fileno())


def write_lake(folder: str) -> Callable[[], None]:
    """Fragments as extraction writes them: encoded and stored behind the producer, then committed."""
    blocks, lake = arrays_of(folder), Lake(f"{folder}/lake")
    rows = sum(len(sample) for sample, *_ in blocks)
    target = writing.Target(TABLES["activations"], {"model": "m", "dataset": "d"}, {"rows": rows}, {})

    def write() -> None:
        with FragmentWriter(lake.storage) as writer:
            rows_of = (partial(activations, *block, "float16") for block in blocks)
            written = [writer.submit(target, number, made) for number, made in enumerate(rows_of)]
            part = target.part([fragment.result() for fragment in written])
            writing.commit(lake.storage, target.table, target.key, [part], replacing=False)

    return write


def fragments(folder: str) -> list[Path]:
    """The lake's files of activations."""
    return sorted(Path(folder).glob("lake/activations/*/*/*.parquet"))


def scan_bytes(folder: str, columns: tuple[str, ...]) -> Callable[[], None]:
    """The floor: the bytes of these columns, read into one buffer."""
    places = [(path, list(_chunks(path, columns))) for path in fragments(folder)]
    buffer = memoryview(bytearray(max(length for _, chunks in places for _, length in chunks)))

    def scan() -> None:
        for path, chunks in places:
            with path.open("rb", buffering=0) as file:
                for start, length in chunks:
                    assert os.preadv(file.fileno(), [buffer[:length]], start) == length

    return scan


def _chunks(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Where the columns lie in a file."""
    metadata = pq.ParquetFile(path).metadata
    for group, column in np.ndindex(metadata.num_row_groups, metadata.num_columns):
        chunk = metadata.row_group(group).column(column)
        if chunk.path_in_schema.partition(".")[0] in columns:
            yield chunk.dictionary_page_offset or chunk.data_page_offset, chunk.total_compressed_size


def from_lake(folder: str, columns: tuple[str, ...]) -> Iterator[tuple[np.ndarray, ...]]:
    """Blocks of `Lake.batches`."""
    yield from Lake(f"{folder}/lake").batches(model="m", dataset="d", columns=columns)


def from_pyarrow(folder: str, columns: tuple[str, ...]) -> Iterator[tuple[np.ndarray, ...]]:
    """Blocks of pyarrow's reader of the same files, as the same arrays."""
    for path in fragments(folder):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=ROW_GROUP_ROWS, columns=list(columns)):
            yield tuple(_array(batch.column(name)) for name in columns)


def _array(column: Any) -> np.ndarray:
    flat = column.flatten() if hasattr(column, "flatten") and column.type.num_fields else column
    return flat.to_numpy(zero_copy_only=False).reshape(len(column), *([-1] if flat is not column else []))


def from_numpy(folder: str, _: tuple[str, ...]) -> Iterator[tuple[np.ndarray, ...]]:
    """Features from `.npy`."""
    yield from ((np.load(path),) for path in sorted(Path(folder).glob("npy/*.npy")))


def scan(
    blocks: Callable[..., Iterator[tuple[np.ndarray, ...]]], folder: str, columns: tuple[str, ...]
) -> Callable[[], None]:
    """Take every block; the first one beforehand too, so that nothing is imported meanwhile."""
    next(blocks(folder, columns))

    def take() -> None:
        assert sum(len(block[0]) for block in blocks(folder, columns))

    return take


def check_rows(folder: str) -> None:
    """Every side gives the same rows."""
    for ours, theirs, block in zip(
        from_lake(folder, EVERYTHING), from_pyarrow(folder, EVERYTHING), _stored(folder), strict=True
    ):
        assert all(starmap(np.array_equal, zip(ours, theirs, strict=True)))
        assert all(starmap(np.array_equal, zip(ours, block, strict=True)))


def _stored(folder: str) -> Iterator[list[np.ndarray]]:
    """What was written, in blocks as the lake gives them."""
    for block in arrays_of(folder):
        for start in range(0, len(block[0]), ROW_GROUP_ROWS):
            yield [column[start : start + ROW_GROUP_ROWS] for column in block]


def bench_write(record: Record, folder: str, rows: int, rounds: int) -> None:
    """Writing beside its floor and pyarrow."""

    def ours() -> Measurement:
        shutil.rmtree(f"{folder}/lake", ignore_errors=True)
        return measure(write_lake, folder)

    ours()  # whose bytes the floor writes
    works = {OURS: ours, FLOOR: partial(measure, write_bytes, folder), PYARROW: partial(measure, write_pyarrow, folder)}
    _table(record, f"Writing {rows:,} rows of {WIDTH} features and {CLASSES:,} logits", in_turns(rounds, **works))


def bench_scan(record: Record, folder: str, rows: int, rounds: int) -> None:
    """Scanning features, and all there is, beside the floor, pyarrow and numpy."""
    check_rows(folder)
    for title, columns in ((f"Scanning the features of {rows:,} rows", FEATURES), ("Scanning all columns", EVERYTHING)):
        works: dict[str, Callable[[], Measurement]] = {FLOOR: partial(measure, scan_bytes, folder, columns)}
        sides = {OURS: from_lake, PYARROW: from_pyarrow} | ({NUMPY: from_numpy} if columns == FEATURES else {})
        works |= {name: partial(measure, scan, blocks, folder, columns) for name, blocks in sides.items()}
        _table(record, title, in_turns(rounds, **works))


def _table(record: Record, title: str, runs: dict[str, list[Measurement]]) -> None:
    with record.table(title) as table:
        for name in sorted(runs, key=FLOOR.__ne__):
            table.runs(name, runs[name])
        for name in sorted(runs.keys() - {FLOOR}):
            table.ratio(name, FLOOR, column="of the floor's time")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="write,scan")
    options = arguments(parser, rows=20_000, rounds=2)
    record = Record("lake", options)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        make_arrays(Path(folder), options.rows)
        bench_write(record, folder, options.rows, options.rounds if "write" in options.only else 0)
        if "scan" in options.only:
            bench_scan(record, folder, options.rows, options.rounds)
    record.close()


if __name__ == "__main__":
    main()
