"""Reading: the rows of a part, whole or in blocks, in bounded memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from featurestore.errors import MissingError, StorageError
from featurestore.machine import ahead
from featurestore.partitions import snapshot, vector_pages
from featurestore.partitions.encoding import to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    from featurestore.layout.manifest import Fragment, Manifest, Part
    from featurestore.storage import Storage

    Block: TypeAlias = tuple[NDArray[Any], ...]
    ReadBlock: TypeAlias = Callable[[], Block]

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
    for entry in (entry for entry in manifest.files(part) if entry[1].rows):
        small = entry[1].bytes <= snapshot.HASHED_BYTES
        found += [partial(_read_whole, storage, entry, columns)] if small else _groups_of(storage, entry, columns)
    return found


def read(storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a small part whole, or some of its columns.

    Raises:
        CorruptionError: A fragment is missing, or not as its manifest says.
    """
    tables = []
    for path, fragment in manifest.files(part):
        with snapshot.open_parquet(snapshot.opener(storage, path, fragment), path, fragment) as file:
            tables.append(file.read(None if columns is None else list(columns)))
    return pa.concat_tables(tables)


def _row_groups(storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str]) -> Iterator[ReadBlock]:
    """Each row group of a part as a function that reads it; the fragments are checked here, in order."""
    for entry in manifest.files(part):
        yield from _groups_of(storage, entry, columns)


def _groups_of(storage: Storage, entry: tuple[str, Fragment], columns: Sequence[str]) -> Iterator[ReadBlock]:
    path, fragment = entry
    opener = snapshot.opener(storage, path, fragment)
    with snapshot.open_parquet(opener, path, fragment) as file:
        _check_columns(file, columns, path)
        metadata = file.metadata
    for index in range(metadata.num_row_groups):
        yield partial(_read_row_group, opener, path, metadata, index, list(columns))


def _read_whole(storage: Storage, entry: tuple[str, Fragment], columns: Sequence[str]) -> Block:
    groups = [read_group() for read_group in _groups_of(storage, entry, columns)]
    return tuple(np.concatenate(column) for column in zip(*groups, strict=True)) if len(groups) != 1 else groups[0]


def _read_row_group(
    opener: Callable[[], pa.NativeFile], path: str, metadata: pq.FileMetaData, index: int, columns: list[str]
) -> Block:
    import pyarrow.parquet as pq

    try:
        with opener() as source, pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True) as file:
            vectors = _plain_vectors(file, metadata.row_group(index), columns)
            arrays = {name: vector_pages.read_chunk(source, *vectors[name]) for name in vectors}
            others = [name for name in columns if name not in vectors]
            table = file.read_row_group(index, columns=others, use_threads=False)
    except StorageError:
        raise
    except snapshot.UNREADABLE as error:
        raise snapshot.corrupt(path, str(error)) from error
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


def _check_columns(file: pq.ParquetFile, columns: Sequence[str], path: str) -> None:
    unknown = set(columns) - set(file.schema_arrow.names)
    if unknown:
        names = ", ".join(file.schema_arrow.names)
        raise MissingError(f"{path} has no column {', '.join(sorted(unknown))}: it has {names}.")
