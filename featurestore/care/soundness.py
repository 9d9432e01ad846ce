"""One fragment against its manifest: is it there, and of the bytes, rows, columns, hash and content that it should have."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import LakeError
from featurestore.layout.tables import VECTOR_DTYPES
from featurestore.storage.base import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from featurestore.care.row_checks import Check
    from featurestore.layout.manifest import Fragment
    from featurestore.layout.tables import Table
    from featurestore.storage import Storage

_BATCH_ROWS = 2048
_HASHED_AT_ONCE = 8 << 20
_VECTOR = pa.list_(pa.float32())
_UNREADABLE = (pa.ArrowException, LakeError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Outside:
    """What can be told of a fragment without reading its rows: its columns, or what is wrong."""

    schema: pa.Schema | None
    problem: str = ""


def outside(storage: Storage, table: Table, path: str, fragment: Fragment, *, without: str | None = None) -> Outside:
    """Look at a fragment's size and footer; `without` is a vector column that is there in name only."""
    try:
        size = storage.size(path)
        if size != fragment.bytes:
            return Outside(
                None, "it is missing" if size is None else f"it has {size} bytes instead of {fragment.bytes}"
            )
        with storage.open_input(path) as source, pq.ParquetFile(source) as file:
            rows, schema = file.metadata.num_rows, file.schema_arrow
    except _UNREADABLE as error:
        return Outside(None, f"it cannot be read: {first_line(error)}")
    problem = (
        f"it has {rows} rows instead of {fragment.rows}"
        if rows != fragment.rows
        else schema_problem(table, schema, without)
    )
    return Outside(schema, problem)


def schema_problem(table: Table, schema: pa.Schema, without: str | None = None) -> str:
    """What is wrong with a fragment's columns, or an empty text; a later version may have added some at the end."""
    names = table.columns.names
    if schema.names[: len(names)] != names:
        return f"it has the columns {', '.join(schema.names)} instead of {', '.join(names)}"
    wrong = [
        name
        for name in names
        if not _is_stored_as(table.columns.field(name).type, schema.field(name).type, absent=name == without)
    ]
    return f"its column {wrong[0]} is of the type {schema.field(wrong[0]).type}" if wrong else ""


def width_problem(first: pa.Schema | None, other: pa.Schema | None) -> str:
    """Which vector differs in width or precision between two fragments of one part, or an empty text."""
    if first is None or other is None:
        return ""
    vectors = [field for field in first if pa.types.is_fixed_size_list(field.type)]
    wrong = [field for field in vectors if other.field(field.name).type != field.type]
    if not wrong:
        return ""
    return f"its {wrong[0].name} is {_vector_text(other.field(wrong[0].name).type)}, elsewhere {_vector_text(wrong[0].type)}"


def inside(storage: Storage, path: str, fragment: Fragment, checks: Sequence[Check]) -> Iterator[str]:
    """Hash a fragment and look at each of its rows, in blocks; each check speaks once at most.

    Rows of a fragment whose hash differs are not looked at: nothing in it is to be trusted.
    """
    try:
        if _sha256(storage, path) != fragment.sha256:
            yield "its sha256 differs: it was altered"
            return
        left = list(checks)
        with storage.open_input(path) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            for rows in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                said = [(check, check(rows)) for check in left]
                left = [check for check, problem in said if problem is None]
                yield from (problem for _, problem in said if problem)
    except _UNREADABLE as error:
        yield f"it cannot be read: {first_line(error)}"


def _is_stored_as(column: pa.DataType, stored: pa.DataType, *, absent: bool) -> bool:
    """Whether a column of SQL may be stored so: vectors have a width and a precision, and lists differ in names only."""
    if column == _VECTOR and not absent:
        return bool(pa.types.is_fixed_size_list(stored) and stored.value_type in VECTOR_DTYPES.values())
    if pa.types.is_list(column):
        return bool(pa.types.is_list(stored) and stored.value_type == column.value_type)
    return bool(stored == column)


def _sha256(storage: Storage, path: str) -> str:
    digest = hashlib.sha256()
    with storage.open_input(path) as source:
        while block := source.read(_HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def _vector_text(stored: pa.DataType) -> str:
    return f"{stored.list_size} x {stored.value_type}" if pa.types.is_fixed_size_list(stored) else str(stored)
