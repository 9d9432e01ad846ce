"""A lake elsewhere, for a job that looks at its partitions one by one: each table is listed once, not each partition."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.storage.base import Storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import duckdb
    import pyarrow as pa
    from obstore.store import ObjectStore

    from featurestore.storage.base import StoredObject

_SECONDS = 20.0
_SHARE = 20
"""A listing is remembered for so many times as long as it took, so that a long job spends hardly any of its time on them."""


@dataclass(slots=True)
class _Listing:
    """What a table held: its keys in order, their marks, and until when that is remembered."""

    keys: list[str]
    marks: dict[str, str]
    until: float

    def below(self, prefix: str) -> Iterator[tuple[str, str]]:
        inside = f"{prefix}/"
        for key in self.keys[bisect_left(self.keys, inside) :]:
            if not key.startswith(inside):
                return
            yield key, self.marks[key]

    def add(self, key: str) -> None:
        if key not in self.marks:
            insort(self.keys, key)
        self.marks[key] = ""

    def remove(self, key: str) -> None:
        if self.marks.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]


class Remembering(Storage):
    """Another storage, of which `marked` may tell what was there some seconds ago, and what was written through this since.

    All else is asked of the storage itself, and so is `marked` of what `afresh` gives: a commit begins with that. A key that turns
    out to be taken makes its table forgotten.
    """

    def __init__(self, below: Storage) -> None:
        self._below = below
        self.location, self.called, self.folder = below.location, below.called, below.folder
        self.cache, self.at_once = below.cache, below.at_once
        self._lock = threading.Lock()
        self._looking: dict[str, threading.Lock] = defaultdict(threading.Lock)
        self._listings: dict[str, _Listing] = {}
        self._writes = 0
        self._is_there = False

    @property
    def _store(self) -> ObjectStore:
        return self._below._store  # noqa: SLF001 # of the same class

    def afresh(self) -> Storage:
        """The storage itself, which remembers nothing."""
        return self._below

    def marked(self, prefix: str) -> Iterator[tuple[str, str]]:
        """What the listing of the whole table has below the prefix."""
        prefix = prefix.strip("/")
        table = prefix.partition("/")[0]
        with self._lock:
            looking = self._looking[table]
        with looking:
            listing = self._listings.get(table)
            if listing is None or listing.until < time.monotonic():
                listing = self._listed(table)
        with self._lock:
            return iter(tuple(listing.below(prefix)))

    def _listed(self, table: str) -> _Listing:
        writes, start = self._writes, time.monotonic()
        marks = dict(self._below.marked(table))
        end = time.monotonic()
        listing = _Listing(sorted(marks), marks, end + max(_SECONDS, _SHARE * (end - start)))
        with self._lock:
            if self._writes == writes:  # else it may lack what was written while it was made
                self._listings[table] = listing
        return listing

    def exists(self) -> bool:
        """Whether there is anything at the lake's location; once there is, it is not asked again."""
        self._is_there = self._is_there or self._below.exists()
        return self._is_there

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write an object, replacing what is there."""
        self._below.put(key, data)
        self._note(key)

    def create(self, key: str, data: bytes | memoryview) -> bool:
        """Write an object if there is none under this key yet; return whether it was written."""
        try:
            created = self._below.create(key, data)
        except BaseException:
            self._forget(key)
            raise
        if created:
            self._note(key)
        else:
            self._forget(key)
        return created

    def copy(self, key: str, target: str) -> bool:
        """Copy an object to another key unless there is one under it; return whether it was copied."""
        copied = self._below.copy(key, target)
        self._note(target)
        return copied

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; a missing one is no error."""
        gone = list(keys)
        self._below.delete(gone)
        with self._lock:
            self._writes += 1
            for key in gone:
                listing = self._listings.get(key.partition("/")[0])
                if listing:
                    listing.remove(key)

    def uri(self, key: str) -> str:
        """What polars and DuckDB call the object."""
        return self._below.uri(key)

    def open_input(self, key: str, size: int | None = None) -> pa.NativeFile:
        """Open an object for random access by pyarrow."""
        return self._below.open_input(key, size)

    def leftovers(self, prefix: str) -> Iterator[StoredObject]:
        """What killed writers left half-written below a prefix."""
        return self._below.leftovers(prefix)

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Teach a DuckDB connection to read this store's URIs."""
        self._below.register(connection)

    @property
    def readable(self) -> list[str]:
        """The places in which whoever reads the lake reads."""
        return self._below.readable

    @property
    def polars_options(self) -> Mapping[str, str] | None:
        """Options with which polars reads this store's URIs."""
        return self._below.polars_options

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        return self._below.get(key)

    def get_all(self, keys: Sequence[str]) -> list[bytes]:
        """Read objects whole, many at a time."""
        return self._below.get_all(keys)

    def stream(self, key: str) -> Iterator[bytes]:
        """Read an object in pieces of some megabytes."""
        return self._below.stream(key)

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Read some bytes of an object."""
        return self._below.read_range(key, start, end)

    def size(self, key: str) -> int | None:
        """The object's size in bytes, or None if there is none."""
        return self._below.size(key)

    def find(self, key: str) -> StoredObject | None:
        """An object as `list` has it, or None if there is none."""
        return self._below.find(key)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a prefix, as they are now."""
        return self._below.list(prefix)

    def names(self, prefix: str) -> Iterator[str]:
        """The keys of all objects below a prefix, as they are now."""
        return self._below.names(prefix)

    def _note(self, key: str) -> None:
        with self._lock:
            self._writes += 1
            listing = self._listings.get(key.partition("/")[0])
            if listing:
                listing.add(key)

    def _forget(self, key: str) -> None:
        with self._lock:
            self._writes += 1
            self._listings.pop(key.partition("/")[0], None)
