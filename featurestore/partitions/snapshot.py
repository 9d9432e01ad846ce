"""What a lake holds now: the manifest that counts of each partition, and fragments that are what it says."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from featurestore.errors import CorruptionError, MissingError, StorageError
from featurestore.layout import basis, paths
from featurestore.layout import manifest as manifests
from featurestore.machine import collector_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow.parquet as pq

    from featurestore.layout.manifest import Fragment, Manifest
    from featurestore.layout.tables import Table
    from featurestore.storage import Storage

Item = TypeVar("Item")
Result = TypeVar("Result")

_READERS = 16
_WORTH_A_THREAD = 1e-3
"""Seconds."""
UNREADABLE = (pa.ArrowException, OSError, ValueError, LookupError)
"""What pyarrow raises on a file that is no whole Parquet file."""
HASHED_BYTES = 8 << 20
"""A fragment up to this size is read in one go and hashed; the pages of a larger one are checked as they are read."""


def latest(storage: Storage, table: Table, key: Mapping[str, str]) -> Manifest | None:
    """The newest manifest of one partition, or None if the partition does not exist."""
    found = latest_commit(storage, table, key)
    return found if found and found.parts else None


def latest_commit(storage: Storage, table: Table, key: Mapping[str, str]) -> Manifest | None:
    """The newest manifest of one partition, also where it says that the partition was removed; None if there is none."""
    folder = paths.partition_path(table, key)
    path = _newest_below(storage, folder).get(folder)
    return load(storage, path) if path else None


def current(storage: Storage, table: Table, **key: str) -> list[Manifest]:
    """The newest manifests of the partitions that a table has, in order of their keys.

    Args:
        storage: The lake's storage.
        table: The table.
        key: Keep only the partitions with these values, e.g. `model="vit-b"`.
    """
    return [manifest for manifest in current_commits(storage, table, **key) if manifest.parts]


def current_commits(storage: Storage, table: Table, **key: str) -> list[Manifest]:
    """What `current` gives, and the manifests of partitions that were removed; arguments as there."""
    found = newest(storage, table, **key)
    with collector_paused():
        return _each(partial(load, storage), list(found.values()))


def newest(storage: Storage, table: Table, **key: str) -> dict[str, str]:
    """Where the newest manifest of each partition of a table lies, by the partition's folder; arguments as of `current`."""
    prefix = table.name
    for name in table.keys:
        if name not in key:
            break
        prefix += f"/{name}={paths.encoded(key[name])}"
    found = {}
    for folder, path in sorted(_newest_below(storage, prefix).items()):
        own = paths.partition_key(table, folder)
        if own and all(own[name] == value for name, value in key.items() if name in own):
            found[folder] = path
    return found


def load(storage: Storage, path: str) -> Manifest:
    """Read a manifest, and check that it describes the partition that it lies in.

    Raises:
        CorruptionError: It is not a manifest, or that of another partition or version.
        FormatError: It was written in a newer format.
    """
    manifest = basis.compared(manifests.from_json(storage.get(path), path))
    if manifest.path != path:
        raise CorruptionError(f"{path} describes {manifest.title}: it was moved or altered.")
    return manifest


def check(storage: Storage, fragments: Sequence[tuple[str, Fragment]]) -> None:
    """Compare fragments with their manifests, as reading does before it opens them: for readers that would not.

    Raises:
        CorruptionError: A fragment is missing, or not as its manifest says.
    """
    _each(lambda entry: opener(storage, *entry), fragments)


def opener(storage: Storage, path: str, fragment: Fragment) -> Callable[[], pa.NativeFile]:
    """How to open a fragment, once it is known to be the manifest's: a small one is read and hashed here.

    Raises:
        CorruptionError: It is missing, or not as its manifest says.
    """
    if fragment.bytes > HASHED_BYTES:
        _check(path, fragment.size_problem(storage.size(path)))
        return partial(storage.open_input, path)
    return partial(pa.BufferReader, content(storage, path, fragment))


def content(storage: Storage, path: str, fragment: Fragment) -> bytes:
    """A fragment's bytes, hashed.

    Raises:
        CorruptionError: It is missing, or not as its manifest says.
    """
    try:
        data = storage.get(path)
    except MissingError as error:
        raise corrupt(path, fragment.size_problem(None)) from error
    _check(path, fragment.size_problem(len(data)))
    _check(path, "" if hashlib.sha256(data).hexdigest() == fragment.sha256 else "its sha256 differs")
    return data


def open_parquet(open_input: Callable[[], pa.NativeFile], path: str, fragment: Fragment) -> pq.ParquetFile:
    """A fragment as a Parquet file of as many rows as its manifest says.

    Raises:
        CorruptionError: It is not.
    """
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(open_input(), page_checksum_verification=True)
    except StorageError:
        raise
    except UNREADABLE as error:
        raise corrupt(path, str(error)) from error
    _check(path, fragment.rows_problem(file.metadata.num_rows))
    return file


def corrupt(path: str, reason: str) -> CorruptionError:
    """The error for a fragment that is not what its manifest says."""
    return CorruptionError(
        f"The fragment {path} is not what its manifest says ({reason}): delete its partition's folder and make it again."
    )


def _check(path: str, problem: str) -> None:
    if problem:
        raise corrupt(path, problem)


def _newest_below(storage: Storage, prefix: str) -> dict[str, str]:
    """Per folder below a prefix, the path of the manifest with the highest version."""
    found: dict[str, tuple[int, str]] = {}
    for key in storage.names(prefix):
        version = paths.manifest_version(key)
        if version is not None:
            folder = key.rpartition("/")[0]
            found[folder] = max(found.get(folder, (0, "")), (version, key))
    return {folder: path for folder, (_, path) in found.items()}


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
