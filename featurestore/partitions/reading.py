"""Reading: the rows of a part, whole or in blocks, in bounded memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from featurestore.errors import CorruptionError, MissingError
from featurestore.fragments import opening, vector_pages
from featurestore.layout.manifest import title
from featurestore.layout.tables import TABLES
from featurestore.machine import ahead
from featurestore.partitions import row_rules
from featurestore.partitions.encoding import to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Self

    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    from featurestore.layout.manifest import Fragment, Manifest, Part
    from featurestore.layout.tables import Table
    from featurestore.storage import Storage

    Block: TypeAlias = tuple[NDArray[Any], ...]
    ReadBlock: TypeAlias = Callable[[], Block]


class Batch(tuple["NDArray[Any]", ...]):  # noqa: SLOT001 # a tuple can have no slots with something in them
    """Rows of some columns: a tuple of one array per column, which are attributes too.

    >>> block = Batch([np.arange(2), np.zeros((2, 3))], ("sample", "feature"))
    >>> block.feature.shape, block.columns
    ((2, 3), ('sample', 'feature'))

    Attributes:
        columns: The names of the columns, in the order of the arrays.
    """

    columns: tuple[str, ...]

    def __new__(cls, arrays: Iterable[NDArray[Any]], columns: Sequence[str]) -> Self:
        """Name arrays by their columns."""
        block = super().__new__(cls, arrays)
        block.columns = tuple(columns)
        return block

    def __getnewargs__(self) -> tuple[tuple[NDArray[Any], ...], tuple[str, ...]]:
        return tuple(self), self.columns

    def __getattr__(self, name: str) -> NDArray[Any]:
        """The array of that column."""
        if name in self.__dict__.get("columns", ()):
            return self[self.columns.index(name)]
        raise AttributeError(f"The batch has no column {name!r}: it has {', '.join(self.__dict__.get('columns', ()))}.")

    def __repr__(self) -> str:
        held = (f"{name}: {array.dtype}{list(array.shape)}" for name, array in zip(self.columns, self, strict=True))
        return f"Batch({', '.join(held)})"


# Row groups decoded beside the consumer: each is some megabytes, and memory is bounded by this many of them.
_DECODERS = 2


def batches(storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str], rows: int) -> Iterator[Block]:
    """Read a part's columns block by block, in row order; memory is bounded by a few blocks.

    Args:
        storage: The lake's storage.
        manifest: The partition.
        part: Its part.
        columns: Columns of the fragments.
        rows: Largest number of rows in a block.

    Yields:
        One array per column: [n], or [n, width] for a vector column. Missing integers are -1.

    Raises:
        CorruptionError: A fragment is missing, or not as its manifest says.
    """
    groups = _row_groups(storage, manifest, part, columns)
    with ThreadPoolExecutor(_DECODERS) as pool, closing(ahead(pool, groups, _DECODERS)) as decoded:
        for group in decoded:
            yield from _blocks(group, rows)


def pieces(storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str]) -> list[ReadBlock]:
    """Functions that each read some rows of a part, in row order: for readers that share the work among threads.

    Args:
        storage: The lake's storage.
        manifest: The partition.
        part: Its part.
        columns: Columns of the fragments.

    Returns:
        Functions of no argument, one for each row group or, where fragments are small, each fragment; each returns what
        `batches` yields, and raises what it raises.
    """
    found: list[ReadBlock] = []
    table = TABLES[manifest.table]
    for entry in (entry for entry in manifest.files(part) if entry[1].rows):
        small = entry[1].bytes <= opening.HASHED_BYTES
        found += (
            [partial(_read_whole, storage, table, entry, columns)]
            if small
            else _groups_of(storage, table, entry, columns)
        )
    return found


def read(storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a small part whole, or some of its columns: those of its table, whatever else its writer knew.

    Raises:
        CorruptionError: A fragment is missing, or not as its manifest says.
    """
    table, tables = TABLES[manifest.table], []
    wanted = table.columns.names if columns is None else list(columns)
    for path, fragment in manifest.files(part):
        opener = opening.opener(storage, path, fragment)
        with opening.open_parquet(opener, path, fragment) as file, opening.readable(path):
            added = _added(table, file, wanted, path)
            rows = file.read([name for name in wanted if not added[name]])
        for field in filter(None, added.values()):
            rows = rows.append_column(field, pa.nulls(len(rows), field.type))
        tables.append(rows.select(wanted))
    found = (
        pa.concat_tables(tables, promote_options="default") if tables else table.columns.empty_table().select(wanted)
    )
    if problem := row_rules.problem(table, found):
        raise unsound(manifest, part, problem)
    return found


def unsound(manifest: Manifest, part: Part, problem: str) -> CorruptionError:
    """The error for a part whose rows are none that a writer stores."""
    called = title(manifest.table, {**manifest.key, **part.key})
    return CorruptionError(
        f"{called} cannot be used, {problem}: `featurestore verify --deep` tells all; make it again."
    )


def _row_groups(storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str]) -> Iterator[ReadBlock]:
    """Each row group of a part as a function that reads it; the fragments are checked here, in order."""
    for entry in manifest.files(part):
        yield from _groups_of(storage, TABLES[manifest.table], entry, columns)


def _groups_of(
    storage: Storage, table: Table, entry: tuple[str, Fragment], columns: Sequence[str]
) -> Iterator[ReadBlock]:
    path, fragment = entry
    opener = opening.opener(storage, path, fragment)
    with opening.open_parquet(opener, path, fragment) as file:
        added = _added(table, file, columns, path)
        metadata = file.metadata
    for index in range(metadata.num_row_groups):
        yield partial(_read_row_group, opener, path, metadata, index, added)


def _read_whole(storage: Storage, table: Table, entry: tuple[str, Fragment], columns: Sequence[str]) -> Block:
    groups = [read_group() for read_group in _groups_of(storage, table, entry, columns)]
    return tuple(np.concatenate(column) for column in zip(*groups, strict=True)) if len(groups) != 1 else groups[0]


def _read_row_group(
    opener: Callable[[], pa.NativeFile],
    path: str,
    metadata: pq.FileMetaData,
    index: int,
    columns: Mapping[str, pa.Field | None],
) -> Block:
    import pyarrow.parquet as pq

    with (
        opening.readable(path),
        opener() as source,
        pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True) as file,
    ):
        held = [name for name, added in columns.items() if not added]
        vectors = _plain_vectors(file, metadata.row_group(index), held)
        arrays = {name: vector_pages.read_chunk(source, *vectors[name]) for name in vectors}
        others = [name for name in held if name not in vectors]
        table = file.read_row_group(index, columns=others, use_threads=False)
    rows = metadata.row_group(index).num_rows
    arrays |= {name: to_numpy(pa.nulls(rows, field.type)) for name, field in columns.items() if field}
    return tuple(arrays[name] if name in arrays else to_numpy(table.column(name)) for name in columns)


def _plain_vectors(
    file: pq.ParquetFile, group: pq.RowGroupMetaData, columns: list[str]
) -> dict[str, tuple[pq.ColumnChunkMetaData, int]]:
    """The vector columns that have a short way, with their chunks and widths."""
    chunks = {chunk.path_in_schema.partition(".")[0]: chunk for chunk in map(group.column, range(group.num_columns))}
    types = {name: file.schema_arrow.field(name).type for name in columns}
    return {
        name: (chunks[name], type_.list_size)
        for name, type_ in types.items()
        if pa.types.is_fixed_size_list(type_) and vector_pages.is_plain(chunks[name])
    }


def _blocks(arrays: Block, rows: int) -> Iterator[Block]:
    for start in range(0, len(arrays[0]), rows):
        yield tuple(array[start : start + rows] for array in arrays)


def _added(table: Table, file: pq.ParquetFile, columns: Sequence[str], path: str) -> dict[str, pa.Field | None]:
    """Per column, None if the file has it, or else what is null since it was added to the table after the file was written.

    Raises:
        MissingError: The file has no such column, and never had it.
    """
    held = set(file.schema_arrow.names)
    unknown = set(columns) - held - set(table.added)
    if unknown:
        names = ", ".join(file.schema_arrow.names)
        raise MissingError(f"{path} has no column {', '.join(sorted(unknown))}: it has {names}.")
    return {name: None if name in held else table.columns.field(name) for name in columns}
