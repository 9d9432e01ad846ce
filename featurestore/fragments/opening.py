"""Fragments that are what their manifests say: compared, brought from elsewhere, opened."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING

from featurestore.errors import CorruptionError, LakeError, MissingError, first_line
from featurestore.fragments import verdicts
from featurestore.machine import each
from featurestore.storage.base import is_tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq

    from featurestore.layout.manifest import Fragment
    from featurestore.storage import LakeCache, Storage

HASHED_BYTES = 8 << 20
"""A fragment up to this size is read in one go and hashed; the pages of a larger one are checked as they are read."""
STREAMED = "activations"
"""The table whose fragments are read in their bucket, unless they are small or the settings ask for them to be kept."""
_SMALL = 1 << 20
_UNDER_WAY = 256 << 20
"""Bytes of fragments that are fetched at the same time."""
_LISTED = 8
"""A listing takes the place of questions for the sizes of more than so many fragments."""


@cache
def unreadable() -> tuple[type[Exception], ...]:
    """What pyarrow, which is slow to import, raises on a file that is no whole Parquet file."""
    import pyarrow as pa

    return pa.ArrowException, OSError, ValueError, LookupError


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Turn what pyarrow raises on a fragment into a sentence that names it.

    Raises:
        CorruptionError: It cannot be read.
    """
    try:
        yield
    except LakeError:
        raise
    except unreadable() as error:
        raise corrupt(path, first_line(error)) from error


def check(storage: Storage, fragments: Sequence[tuple[str, Fragment]]) -> None:
    """Compare fragments of one table with their manifests where they lie, for readers that would not: DuckDB and polars.

    Those on this machine are hashed, each once in a process. Of those in a bucket, the large ones are compared in size alone.

    Raises:
        CorruptionError: A fragment is missing, or not as its manifest says.
    """
    if storage.folder is not None:
        each(lambda file: _check(file[0], verdicts.problem(storage.uri(file[0]), file[1])), fragments)
        return
    large = [file for file in fragments if file[1].bytes > HASHED_BYTES]
    if len(large) > _LISTED:
        sizes = {found.key: found.bytes for found in storage.list(large[0][0].partition("/")[0])}
        for path, fragment in large:
            _check(path, fragment.size_problem(sizes.get(path)))
        fragments = [file for file in fragments if file[1].bytes <= HASHED_BYTES]
    each(lambda file: opener(storage, *file), fragments)


def bring(
    storage: Storage, fragments: Sequence[tuple[str, Fragment]], *, hashing: bool = False, at_most: int | None = None
) -> list[Path] | None:
    """Files on this machine that hold fragments of a lake elsewhere, for readers that take paths; those that lack are fetched, and hashed.

    Args:
        storage: The lake's storage.
        fragments: Fragments of one table, with their keys in the storage.
        hashing: Whether those that are here already are hashed, too, once in a process, not only compared in size.
        at_most: Bytes that are worth fetching; any number by default.

    Returns:
        A file for each; None where they are to be read where they lie: there is no cache or no room in it, or they are not kept.

    Raises:
        CorruptionError: A fragment is missing, or not as its manifest says.
    """
    cache = storage.cache
    if cache is None or not all(_is_kept(cache, *file) for file in fragments):
        return None
    lacking = [file for file in fragments if not _is_here(cache, *file, hashing=hashing)]
    size = sum(fragment.bytes for _, fragment in lacking)
    if lacking and ((at_most is not None and size > at_most) or not cache.has_room(size)):
        return None
    if not _fetch_all(storage, cache, lacking):
        return None
    return [cache.place(path, fragment.sha256) for path, fragment in fragments]


def keep(storage: Storage, path: str, fragment: Fragment, data: bytes | memoryview) -> None:
    """Keep a fragment that was just written elsewhere, if it is one that is kept: it may soon be read."""
    if storage.cache and _is_kept(storage.cache, path, fragment):
        storage.cache.keep(path, fragment.sha256, data)


def opener(storage: Storage, path: str, fragment: Fragment) -> Callable[[], pa.NativeFile]:
    """How to open a fragment, once it is known to be the manifest's: a small one is read here, and hashed if it was not yet.

    Raises:
        CorruptionError: It is missing, or not as its manifest says.
    """
    import pyarrow as pa

    kept = storage.cache if storage.cache and _is_kept(storage.cache, path, fragment) else None
    if fragment.bytes > HASHED_BYTES:
        if kept and bring(storage, [(path, fragment)]):
            return partial(_open_kept, storage, kept, path, fragment)
        _check(path, fragment.size_problem(storage.size(path)))
        return partial(storage.open_input, path, fragment.bytes)
    data = kept.read(path, fragment.sha256) if kept else None
    if data is None:
        data = content(storage, path, fragment)
        if kept:
            kept.keep(path, fragment.sha256, data)
    return partial(pa.BufferReader, data)


def content(storage: Storage, path: str, fragment: Fragment) -> bytes:
    """A fragment's bytes as they lie in the storage, hashed.

    Raises:
        CorruptionError: It is missing, or not as its manifest says.
    """
    look = verdicts.look_at(storage.uri(path), fragment) if storage.folder else None
    try:
        data = storage.get(path)
    except MissingError as error:
        raise corrupt(path, fragment.size_problem(None)) from error
    _check(path, fragment.size_problem(len(data)))
    if look is None or not verdicts.is_known(storage.uri(path), look):
        _check(path, "" if hashlib.sha256(data).hexdigest() == fragment.sha256 else "its sha256 differs")
        if look:
            verdicts.remember(storage.uri(path), look)
    return data


def listed_content(storage: Storage, path: str, fragment: Fragment, tag: str) -> bytes | None:
    """A fragment's bytes as they lie in the storage, of which a listing has just told; None if their sha256 is not the manifest's.

    What the cache keeps is taken where the listing's mark is its MD5: then the same lies in the storage. Else it is fetched, and kept.
    """
    data = storage.cache.read(path, fragment.sha256) if storage.cache else None
    if data is None or not is_tag_of(tag, data):
        data = storage.get(path)
        if hashlib.sha256(data).hexdigest() != fragment.sha256:
            return None
        keep(storage, path, fragment, data)
    return data


def _is_kept(cache: LakeCache, path: str, fragment: Fragment) -> bool:
    """Whether a fragment is one that the cache keeps."""
    return fragment.bytes <= _SMALL or cache.settings.activations or not path.startswith(f"{STREAMED}/")


def _is_here(cache: LakeCache, path: str, fragment: Fragment, *, hashing: bool) -> bool:
    if not cache.holds(path, fragment.sha256, fragment.bytes):
        return False
    return not hashing or not verdicts.problem(str(cache.place(path, fragment.sha256)), fragment)


def _fetch_all(storage: Storage, cache: LakeCache, lacking: Sequence[tuple[str, Fragment]]) -> bool:
    """Bring fragments into the cache, many at a time; return whether all are there."""
    largest = max((min(fragment.bytes, HASHED_BYTES) for _, fragment in lacking), default=1)
    threads = max(1, min(storage.at_once, len(lacking), _UNDER_WAY // max(largest, 1)))
    with ThreadPoolExecutor(threads) as pool:
        return all(list(pool.map(lambda file: _fetch(storage, cache, *file), lacking)))


def _fetch(storage: Storage, cache: LakeCache, path: str, fragment: Fragment) -> bool:
    if fragment.bytes <= HASHED_BYTES:
        return cache.keep(path, fragment.sha256, content(storage, path, fragment))
    return cache.keep_pieces(path, fragment.sha256, fragment.bytes, _checked_pieces(storage, path, fragment))


def _checked_pieces(storage: Storage, path: str, fragment: Fragment) -> Iterator[bytes]:
    """A large fragment, which at its end is found to be the manifest's or not."""
    digest, size = hashlib.sha256(), 0
    try:
        for piece in storage.stream(path):
            digest.update(piece)
            size += len(piece)
            yield piece
    except MissingError as error:
        raise corrupt(path, fragment.size_problem(None)) from error
    _check(path, fragment.size_problem(size))
    _check(path, "" if digest.hexdigest() == fragment.sha256 else "its sha256 differs")


def _open_kept(storage: Storage, cache: LakeCache, path: str, fragment: Fragment) -> pa.NativeFile:
    """A fragment in the cache; in the storage, if the cache was cleared since it was looked for."""
    import pyarrow as pa

    try:
        return pa.OSFile(str(cache.place(path, fragment.sha256)))
    except FileNotFoundError:
        return storage.open_input(path, fragment.bytes)


def open_parquet(open_input: Callable[[], pa.NativeFile], path: str, fragment: Fragment) -> pq.ParquetFile:
    """A fragment as a Parquet file of as many rows as its manifest says.

    Raises:
        CorruptionError: It is not.
    """
    import pyarrow.parquet as pq

    with readable(path):
        file = pq.ParquetFile(open_input(), page_checksum_verification=True)
    _check(path, fragment.rows_problem(rows_of(file.metadata)))
    return file


def rows_of(metadata: pq.FileMetaData) -> int:
    """How many rows are read of a Parquet file: those of its row groups, whatever number it gives for all of them."""
    return sum(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))


def corrupt(path: str, reason: str) -> CorruptionError:
    """The error for a fragment that is not what its manifest says."""
    return CorruptionError(
        f"The fragment {path} is not what its manifest says ({reason}): delete its partition's folder and make it again."
    )


def _check(path: str, problem: str) -> None:
    if problem:
        raise corrupt(path, problem)
