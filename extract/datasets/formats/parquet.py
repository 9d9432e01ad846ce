"""Parquet files with the images' bytes in them, as Hugging Face lays datasets out."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.table_columns import TableColumns, choose_columns, choose_image
from extract.datasets.formats.walk import address, base_of, files_at, version
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from extract.datasets.formats.format import FormatOptions

_SUFFIX = ".parquet"
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class ParquetReader:
    """Images by `<file>#<row>`; a process keeps the row group that it read last."""

    location: str

    def open(self, path: str) -> io.BytesIO:
        """Read an image."""
        name, _, row = path.rpartition("#")
        key = version(base_of(self.location) / name)
        starts = _group_starts(*key)
        group = int(np.searchsorted(starts, int(row), side="right")) - 1
        content = _row_group(*key, group)[int(row) - int(starts[group])].as_py()
        if content is None:
            raise ValueError("the row has no bytes")
        return io.BytesIO(content)


def list_parquet(location: str, role: str, options: FormatOptions) -> Found:
    """List the images in order of the files and of their rows.

    Raises:
        InputError: There are no images, labels are missing, or files of several splits or schemas are mixed.
    """
    files = files_at(location, _SUFFIX)
    _check_one_split(location, files)
    columns = _columns(location, _schema(files[0]), options.label_column)
    paths: list[str] = []
    sizes: list[int] = []
    labels: list[str | int | None] = []
    for file in files:
        if _columns(str(file), _schema(file), options.label_column) != columns:
            raise InputError(f"{file} has other columns or classes than {files[0]}: they are not one dataset.")
        for batch in _batches(file, columns):
            prefix = f"{address(file, location)}#"
            first = int(paths[-1].rpartition("#")[2]) + 1 if paths and paths[-1].startswith(prefix) else 0
            paths += [f"{prefix}{first + row}" for row in range(len(batch))]
            sizes += pc.fill_null(pc.binary_length(_bytes(batch.column(columns.image))), 0).to_pylist()
            labels += batch.column(columns.label).to_pylist() if columns.label else [None] * len(batch)
    return Found(paths, sizes, *columns.classes_of(location, labels, role, base_of(location).name))


def _batches(file: Path, columns: TableColumns) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(file) as opened:
        leaf = _leaf(opened.schema_arrow, columns.image)
        yield from opened.iter_batches(_ROWS_AT_ONCE, columns=[leaf, columns.label] if columns.label else [leaf])


def _bytes(column: Any) -> Any:
    return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column


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
        return bool(type_.get_field_index("bytes") >= 0)
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_))


def _check_one_split(location: str, files: Sequence[Path]) -> None:
    splits = sorted({match[1] for file in files if (match := re.match(r"(.+)-\d{5}-of-\d{5}", file.name))})
    if len(splits) > 1:
        raise InputError(
            f"{location} holds several splits ({', '.join(splits)}), which are different datasets: "
            f"choose one with a quoted glob, such as '{base_of(location)}/**/{splits[0]}-*{_SUFFIX}'."
        )


@lru_cache(maxsize=64)
def _group_starts(path: str, _size: int, _time: int) -> Any:
    metadata = pq.read_metadata(path)
    rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return np.concatenate([[0], np.cumsum(rows)[:-1]])


@lru_cache(maxsize=1)
def _row_group(path: str, _size: int, _time: int, group: int) -> Any:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        image = choose_image(path, _image_columns(schema))
        return _bytes(file.read_row_group(group, columns=[_leaf(schema, image)]).column(image))


PARQUET = Format(
    "parquet",
    list_parquet,
    lambda location, _: ParquetReader(location),
    frozenset({"label_column"}),
    lambda location: files_at(location, _SUFFIX),
)
