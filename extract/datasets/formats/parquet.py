"""Parquet files with the images' bytes in them, as Hugging Face lays datasets out."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.shards import address, base_of, files_at, others_at
from extract.datasets.formats.splits import one_split
from extract.datasets.formats.suffixes import passed_over
from extract.datasets.formats.table_columns import TableColumns, choose_columns, choose_image
from extract.datasets.formats.walk import version
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extract.datasets.formats.format import FormatOptions

_SUFFIX = ".parquet"
_ROWS_AT_ONCE = 256
_BYTES_AT_ONCE = 128 << 20


@dataclass(frozen=True, slots=True)
class ParquetReader:
    """Images by `<file>#<row>`; a process keeps the rows around the one that it read last."""

    location: str

    def open(self, path: str) -> io.BytesIO:
        """Read an image."""
        name, _, row = path.rpartition("#")
        key = version(base_of(self.location) / name)
        starts = _group_starts(*key)
        group = int(np.searchsorted(starts, int(row), side="right")) - 1
        content = _cursor(*key, group, os.getpid()).row(int(row) - int(starts[group]))
        if content is None:
            raise ValueError("the row has no bytes")
        return io.BytesIO(content)


def list_parquet(location: str, role: str, options: FormatOptions) -> Found:
    """List the images in order of the files and of their rows.

    Raises:
        InputError: There are no images, labels are missing, or files of several splits or schemas are mixed.
    """
    there = {address(file, location): file for file in files_at(location, _SUFFIX)}
    files = [there[name] for name in one_split(location, list(there), options.split, adding=options.adding)]
    schema = _schema(files[0])
    columns = _columns(location, schema, options.label_column)
    paths: list[str] = []
    sizes: list[int] = []
    labels: list[Any] = []
    empty = 0
    for file in files:
        if _columns(str(file), _schema(file), options.label_column) != columns:
            raise InputError(f"{file} has other columns or classes than {files[0]}: they are not one dataset.")
        for batch in _batches(file, columns):
            prefix = f"{address(file, location)}#"
            first = int(paths[-1].rpartition("#")[2]) + 1 if paths and paths[-1].startswith(prefix) else 0
            paths += [f"{prefix}{first + row}" for row in range(len(batch))]
            lengths = pc.binary_length(_bytes(batch.column(columns.image)))
            empty += lengths.null_count
            sizes += pc.fill_null(lengths, 0).to_pylist()
            labels += batch.column(columns.label).to_pylist() if columns.label else [None] * len(batch)
    notes = [] if empty == 0 else [f"{location}: {empty:,} of {len(paths):,} rows have no bytes, and will fail"]
    notes += columns.passed_over(location, schema.names, _image_columns(schema))
    labels, were_floats = _without_floats(labels)
    others = others_at(location, _SUFFIX)
    others["files of other splits"] += len(there) - len(files)
    notes += passed_over(location, len(paths), +others)
    notes += [f"{location}: labels are integers stored as 3.0, which are read as 3"] * were_floats
    return Found(paths, sizes, *columns.classes_of(location, labels, role, base_of(location).name), notes)


def _without_floats(labels: list[Any]) -> tuple[list[str | int | None], bool]:
    """Labels, of which floats that are all whole become integers, as pandas had before a gap; and whether there were any."""
    floats = [label for label in labels if isinstance(label, float)]
    if not floats or not all(label.is_integer() for label in floats):
        return labels, False
    return [int(label) if isinstance(label, float) else label for label in labels], True


def _batches(file: Path, columns: TableColumns) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(file) as opened:
        leaf = _leaf(opened.schema_arrow, columns.image)
        rows = _rows_at_once(opened.metadata, leaf)
        yield from opened.iter_batches(rows, columns=[leaf, columns.label] if columns.label else [leaf])


def _bytes(column: Any) -> Any:
    """The images' bytes with wide offsets, whether they stand in a struct, in a dictionary or in views."""
    content = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
    return content.cast(pa.large_binary())


def _leaf(schema: pa.Schema, image: str) -> str:
    return f"{image}.bytes" if pa.types.is_struct(schema.field(image).type) else image


def _schema(file: Path) -> pa.Schema:
    try:
        return pq.read_schema(file)
    except pa.ArrowInvalid as error:
        raise InputError(f"{file} is not a Parquet file: {str(error).splitlines()[0]}") from error


def _columns(location: str, schema: pa.Schema, label_column: str | None) -> TableColumns:
    declared = {name: said for name, said in _features(schema).items() if said.get("_type") == "ClassLabel"}
    classes = {name: said.get("names") for name, said in declared.items()}
    return choose_columns(location, schema.names, _image_columns(schema), classes, label_column)


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What the datasets library says of the columns; nothing for other writers' files."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {name: feature for name, feature in features.items() if isinstance(feature, dict)}


def _image_columns(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if _holds_images(field.type)]


def _holds_images(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        place = type_.get_field_index("bytes")
        return bool(place >= 0 and _is_binary(type_.field(place).type))
    return _is_binary(type_)


def _is_binary(type_: pa.DataType) -> bool:
    if pa.types.is_dictionary(type_):
        return _is_binary(type_.value_type)
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_binary_view(type_))


@lru_cache(maxsize=64)
def _group_starts(path: str, _size: int, _time: int) -> Any:
    metadata = pq.read_metadata(path)
    rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return np.concatenate([[0], np.cumsum(rows)[:-1]])


class _Cursor:
    """The images of one row group, read forwards in blocks, since a row group may be larger than memory or Arrow's offsets.

    Going back begins again.
    """

    def __init__(self, path: str, group: int) -> None:
        self._file, self._group = pq.ParquetFile(path), group
        schema = self._file.schema_arrow
        self._image = choose_image(path, _image_columns(schema))
        self._leaf = _leaf(schema, self._image)
        self._batches, self._block, self._first = self._begin()

    def row(self, number: int) -> bytes | None:
        """The bytes of an image, by its place in the row group."""
        if number < self._first:
            self._batches, self._block, self._first = self._begin()
        while number >= self._first + len(self._block):
            self._first += len(self._block)
            self._block = _bytes(next(self._batches).column(self._image))
        content: bytes | None = self._block[number - self._first].as_py()
        return content

    def _begin(self) -> tuple[Iterator[pa.RecordBatch], Any, int]:
        rows = _rows_at_once(self._file.metadata, self._leaf)
        batches = self._file.iter_batches(rows, row_groups=[self._group], columns=[self._leaf])
        return batches, pa.array([], pa.large_binary()), 0


@lru_cache(maxsize=1)
def _cursor(path: str, _size: int, _time: int, group: int, _process: int) -> _Cursor:
    return _Cursor(path, group)


def _rows_at_once(metadata: pq.FileMetaData, leaf: str) -> int:
    """How many images are read at once: so many that they take a bounded number of bytes."""
    largest = max((_row_bytes(metadata.row_group(group), leaf) for group in range(metadata.num_row_groups)), default=1)
    return max(1, min(_ROWS_AT_ONCE, _BYTES_AT_ONCE // largest))


def _row_bytes(group: pq.RowGroupMetaData, leaf: str) -> int:
    """The mean size of a row group's images, uncompressed."""
    columns = (group.column(number) for number in range(group.num_columns))
    total: int = sum(column.total_uncompressed_size for column in columns if column.path_in_schema == leaf)
    return max(1, total // max(1, int(group.num_rows)))


PARQUET = Format(
    "parquet",
    list_parquet,
    lambda location, _: ParquetReader(location),
    frozenset({"label_column", "label_kind", "split"}),
    lambda location: files_at(location, _SUFFIX),
)
