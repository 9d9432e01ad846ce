"""Carrying: fragments from one storage to another, many at a time, each checked; the manifests of a table after its fragments.

A table is there whole before the next one begins, so that nothing is ever named that is not there. What was carried before
a kill is found and taken.
"""

from __future__ import annotations

import contextlib
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.fragments import opening
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from featurestore.layout.manifest import Fragment, Manifest, Part
    from featurestore.storage import Storage

_WORKERS = 16
_IN_MEMORY = 1 << 30
"""Bytes of fragments under way, of which each may be there twice: as it came, and as the other lake has it."""


@dataclass(frozen=True, slots=True)
class Load:
    """Parts of one partition that another lake is to get, beside those that it has."""

    manifest: Manifest
    parts: tuple[Part, ...]

    @property
    def files(self) -> list[tuple[str, Fragment]]:
        """The fragments with their keys in both storages."""
        return [file for part in self.parts for file in self.manifest.files(part)]


def carry(
    source: Storage,
    target: Storage,
    loads: Sequence[Load],
    held: Mapping[str, int],
    advance: Callable[[int], None] = lambda _: None,
    *,
    replacing: bool = False,
) -> None:
    """Carry the loads of one table; each partition is committed once its fragments are there.

    Args:
        source: Where they are.
        target: Where they are to be.
        loads: Parts that the target lacks.
        held: Sizes of what the target has, by key.
        advance: Is told the number of fragments just done.
        replacing: Whether they take the place of other parts of the same key.

    Raises:
        CorruptionError: A fragment is not what its manifest says.
        ConflictError: Someone else wrote another part of that key meanwhile.
        StorageError: A store cannot be reached, or refuses.
    """
    files = [file for load in loads for file in load.files]
    largest = max((fragment.bytes for _, fragment in files), default=1)
    workers = max(1, min(_WORKERS, _IN_MEMORY // (2 * largest + 1)))
    with _threads(workers) as pool, _threads(_WORKERS) as committers:
        brought = pool.map(partial(_bring, source, target, held), *zip(*files, strict=True)) if files else iter(())
        commits = []
        for load in loads:
            parts = []
            for part in load.parts:
                fragments = []
                for _ in part.fragments:
                    fragments.append(next(brought))
                    advance(1)
                parts.append(replace(part, fragments=tuple(fragments)))
            table, key = TABLES[load.manifest.table], load.manifest.key
            commits.append(committers.submit(writing.commit, target, table, key, parts, replacing=replacing))
        for commit in commits:
            commit.result()


def _bring(source: Storage, target: Storage, held: Mapping[str, int], path: str, fragment: Fragment) -> Fragment:
    """One fragment into the target; returns what lies there then, which another job may have made in other bytes."""
    if held.get(path) == fragment.bytes and _sha256(target.get(path)) == fragment.sha256:
        return fragment
    data = opening.content(source, path, fragment)
    if target.create(path, data):
        return fragment
    there = _sound(target, path, fragment)
    if there is None:
        target.put(path, data)
    return there or fragment


def _sound(target: Storage, path: str, fragment: Fragment) -> Fragment | None:
    """The same rows in another writer's bytes, as they lie in the target; None if that is no whole file of them."""
    data = target.get(path)
    try:
        rows = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read().num_rows
    except opening.unreadable():
        return None
    return replace(fragment, bytes=len(data), sha256=_sha256(data)) if rows == fragment.rows else None


@contextlib.contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of which an error, or an interrupt, takes the work that has not begun."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
