"""Reading: manifests resolved to explicit file lists, and blocks of rows in bounded memory."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from featurestore.errors import CorruptionError, MissingError, StorageError
from featurestore.layout import manifest as manifests
from featurestore.layout import paths
from featurestore.machine import collector_paused
from featurestore.partitions import vector_pages
from featurestore.partitions.encoding import to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow.parquet as pq
    from numpy.typing import NDArray

    from featurestore.layout.manifest import Fragment, Manifest, Part
    from featurestore.layout.tables import Table
    from featurestore.storage import Storage

Item = TypeVar("Item")
Result = TypeVar("Result")

_READERS = 16
_WORTH_A_THREAD = 1e-3
"""Seconds."""
# Row groups decoded beside the consumer: each is some megabytes, and memory is bounded by this many of them.
_DECODERS = 2
_UNREADABLE = (pa.ArrowException, OSError, ValueError, LookupError)
_HASHED_BYTES = 8 << 20
"""A fragment up to this size is read in one go and hashed; the pages of a larger one are checked as they are read."""


def latest(storage: Storage, table: Table, key: Mapping[str, str]) -> Manifest | None:
    """The newest manifest of one partition, or None if the partition does not exist."""
    folder = paths.partition_path(table, key)
    path = _newest(storage, folder).get(folder)
    return _load(storage, path) if path else None


def snapshot(storage: Storage, table: Table, **key: str) -> list[Manifest]:
    """The newest manifests of a table's partitions, in order of their keys.

    Args:
        storage: The lake's storage.
        table: The table.
        key: Keep only the partitions with these values, e.g. `model="vit-b"`.
    """
    prefix = table.name
    for name in table.keys:
        if name not in key:
            break
        prefix += f"/{name}={key[name]}"
    folders = {}
    for folder, path in _newest(storage, prefix).items():
        found = paths.partition_key(table, folder)
        if found and all(found[name] == value for name, value in key.items() if name in found):
            folders[folder] = path
    return _load_all(storage, [folders[folder] for folder in sorted(folders)])


def files(manifest: Manifest, part: Part) -> Iterator[tuple[str, Fragment]]:
    """A part's fragments with their keys in the storage."""
    return ((f"{_folder(manifest)}/{fragment.path}", fragment) for fragment in part.fragments)


def check(storage: Storage, fragments: Sequence[tuple[str, Fragment]]) -> None:
    """Compare fragments with their manifests, as `batches` does before it reads them: for readers that would not.

    Raises:
        CorruptionError: A fragment is missing, or not as its manifest says.
    """
    _each(lambda entry: _opener(storage, *entry), fragments)


def batches(
    storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str], rows: int
) -> Iterator[tuple[NDArray[Any], ...]]:
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
    with ThreadPoolExecutor(_DECODERS) as pool:
        ahead: deque[Future[tuple[NDArray[Any], ...]]] = deque()
        try:
            for group in _row_groups(storage, manifest, part, columns):
                ahead.append(pool.submit(group))
                if len(ahead) > _DECODERS:
                    yield from _blocks(ahead.popleft().result(), rows)
            while ahead:
                yield from _blocks(ahead.popleft().result(), rows)
        finally:
            # A reader that stops early waits for the row groups in flight, and for no others.
            for future in ahead:
                future.cancel()


def pieces(
    storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str]
) -> list[Callable[[], tuple[NDArray[Any], ...]]]:
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
    found: list[Callable[[], tuple[NDArray[Any], ...]]] = []
    for entry in (entry for entry in files(manifest, part) if entry[1].rows):
        small = entry[1].bytes <= _HASHED_BYTES
        found += [partial(_read_whole, storage, entry, columns)] if small else _groups_of(storage, entry, columns)
    return found


def read(storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a small part whole, or some of its columns.

    Raises:
        CorruptionError: A fragment is missing, or not as its manifest says.
    """
    tables = []
    for path, fragment in files(manifest, part):
        with _open(_opener(storage, path, fragment), path, fragment) as file:
            tables.append(file.read(None if columns is None else list(columns)))
    return pa.concat_tables(tables)


def _row_groups(
    storage: Storage, manifest: Manifest, part: Part, columns: Sequence[str]
) -> Iterator[Callable[[], tuple[NDArray[Any], ...]]]:
    """Each row group of a part as a function that reads it; the fragments are checked here, in order."""
    for entry in files(manifest, part):
        yield from _groups_of(storage, entry, columns)


def _groups_of(
    storage: Storage, entry: tuple[str, Fragment], columns: Sequence[str]
) -> Iterator[Callable[[], tuple[NDArray[Any], ...]]]:
    path, fragment = entry
    opener = _opener(storage, path, fragment)
    with _open(opener, path, fragment) as file:
        _check_columns(file, columns, path)
        metadata = file.metadata
    for index in range(metadata.num_row_groups):
        yield partial(_read_row_group, opener, path, metadata, index, list(columns))


def _read_whole(storage: Storage, entry: tuple[str, Fragment], columns: Sequence[str]) -> tuple[NDArray[Any], ...]:
    groups = [read_group() for read_group in _groups_of(storage, entry, columns)]
    return tuple(np.concatenate(column) for column in zip(*groups, strict=True)) if len(groups) != 1 else groups[0]


def _read_row_group(
    opener: Callable[[], pa.NativeFile], path: str, metadata: pq.FileMetaData, index: int, columns: list[str]
) -> tuple[NDArray[Any], ...]:
    import pyarrow.parquet as pq

    try:
        with opener() as source, pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True) as file:
            vectors = _plain_vectors(file, metadata.row_group(index), columns)
            arrays = {name: vector_pages.read_chunk(source, *vectors[name]) for name in vectors}
            others = [name for name in columns if name not in vectors]
            table = file.read_row_group(index, columns=others, use_threads=False)
    except StorageError:
        raise
    except _UNREADABLE as error:
        raise _corrupt(path, str(error)) from error
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


def _blocks(arrays: tuple[NDArray[Any], ...], rows: int) -> Iterator[tuple[NDArray[Any], ...]]:
    for start in range(0, len(arrays[0]), rows):
        yield tuple(array[start : start + rows] for array in arrays)


def _check_columns(file: pq.ParquetFile, columns: Sequence[str], path: str) -> None:
    unknown = set(columns) - set(file.schema_arrow.names)
    if unknown:
        names = ", ".join(file.schema_arrow.names)
        raise MissingError(f"{path} has no column {', '.join(sorted(unknown))}: it has {names}.")


def _open(opener: Callable[[], pa.NativeFile], path: str, fragment: Fragment) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(opener(), page_checksum_verification=True)
    except StorageError:
        raise
    except _UNREADABLE as error:
        raise _corrupt(path, str(error)) from error
    if file.metadata.num_rows != fragment.rows:
        raise _corrupt(path, f"it has {file.metadata.num_rows} rows instead of {fragment.rows}")
    return file


def _opener(storage: Storage, path: str, fragment: Fragment) -> Callable[[], pa.NativeFile]:
    """How to open a fragment, once it is known to be the manifest's: a small one is read and hashed here."""
    if fragment.bytes > _HASHED_BYTES:
        _check_size(path, fragment, storage.size(path))
        return partial(storage.open_input, path)
    try:
        data = storage.get(path)
    except MissingError as error:
        raise _corrupt(path, "it is missing") from error
    _check_size(path, fragment, len(data))
    if hashlib.sha256(data).hexdigest() != fragment.sha256:
        raise _corrupt(path, "its sha256 differs")
    return partial(pa.BufferReader, data)


def _check_size(path: str, fragment: Fragment, size: int | None) -> None:
    if size != fragment.bytes:
        raise _corrupt(path, "it is missing" if size is None else f"it has {size} bytes instead of {fragment.bytes}")


def _corrupt(path: str, reason: str) -> CorruptionError:
    return CorruptionError(
        f"The fragment {path} is not what its manifest says ({reason}): delete its partition's folder and make it again."
    )


def _newest(storage: Storage, prefix: str) -> dict[str, str]:
    """Per partition folder below a prefix, the path of the manifest with the highest version."""
    found: dict[str, tuple[int, str]] = {}
    for key in storage.names(prefix):
        version = paths.manifest_version(key)
        if version is not None:
            folder = key.rpartition("/")[0]
            found[folder] = max(found.get(folder, (0, "")), (version, key))
    return {folder: path for folder, (_, path) in found.items()}


def _load_all(storage: Storage, keys: Iterable[str]) -> list[Manifest]:
    with collector_paused():
        return _each(lambda key: _load(storage, key), list(keys))


def _each(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The function's results in order, from a few threads that each take every so many items where waiting is what costs.

    The first two items tell: on a bucket or a busy network drive one takes milliseconds, on a local disk less than it takes
    to hand work from thread to thread.
    """
    first, seconds = [], []
    for item in items[:2]:
        start = time.perf_counter()
        first.append(function(item))
        seconds.append(time.perf_counter() - start)
    rest = items[2:]
    if min(seconds, default=0) < _WORTH_A_THREAD:
        return first + [function(item) for item in rest]
    results: list[Any] = [None] * len(rest)

    def take(number: int) -> None:
        results[number::_READERS] = [function(item) for item in rest[number::_READERS]]

    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(take, range(min(_READERS, len(rest)))))
    return first + results


def _load(storage: Storage, key: str) -> Manifest:
    manifest = manifests.from_json(storage.get(key), key)
    if _folder(manifest) != key.rpartition("/")[0] or manifest.version != paths.manifest_version(key):
        raise CorruptionError(f"{key} describes {manifest.title}: it was moved or altered.")
    return manifest


def _folder(manifest: Manifest) -> str:
    return "/".join([manifest.table, *(f"{name}={value}" for name, value in manifest.key.items())])
