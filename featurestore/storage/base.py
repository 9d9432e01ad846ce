"""Storage as verbs on keys: one layer over local disk and object stores, through obstore.

A key is a path relative to the lake's root, with `/` between segments. An object is visible whole or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError

from featurestore.errors import MissingError, StorageError, first_line
from featurestore.machine import each

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import duckdb
    import pyarrow as pa
    from obstore.store import ObjectStore

    from featurestore.storage.lake_cache import LakeCache

_CHUNK = 8 << 20


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a store.

    Attributes:
        key: Its key.
        bytes: Its size.
        modified: When it was written.
        tag: The store's mark of its content (`ETag`), where a listing gives one.
    """

    key: str
    bytes: int
    modified: datetime
    tag: str = ""


def is_tag_of(tag: str, data: bytes) -> bool:
    """Whether a store's mark says that these bytes lie there: on S3, it is the MD5 of what was put in one go.

    Where it is anything else (of uploads in several parts, of buckets with keys of one's own, on other stores), it says nothing.
    """
    return hashlib.md5(data, usedforsecurity=False).hexdigest() == tag.strip('"')


class Storage(ABC):
    """The verbs that every store has. Subclasses say how to write and how others may open a key.

    Attributes:
        location: Where the lake is, as the user gave it.
        folder: The lake's folder on this machine; None if it lies elsewhere.
        called: What messages call it.
        remark: What the user is to know of how it is reached; empty where nothing is.
        cache: What is kept of it on this machine; None where it lies on it.
        at_once: How many requests are worth having under way.
    """

    location: str
    called: str = "lake"
    remark: str = ""
    folder: Path | None = None
    cache: LakeCache | None = None
    at_once: int = 16

    @property
    @abstractmethod
    def _store(self) -> ObjectStore: ...

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything at the lake's location."""

    @abstractmethod
    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write an object, replacing what is there."""

    @abstractmethod
    def create(self, key: str, data: bytes | memoryview) -> bool:
        """Write an object if there is none under this key yet; return whether it was written."""

    def copy(self, key: str, target: str) -> bool:
        """Copy an object to another key unless there is one under it; return whether it was copied."""
        if self.size(target) is not None:
            return False
        with self._errors("copy", key):
            obstore.copy(self._store, key, target)
        return True

    @abstractmethod
    def uri(self, key: str) -> str:
        """What polars and DuckDB call the object."""

    @abstractmethod
    def open_input(self, key: str, size: int | None = None) -> pa.NativeFile:
        """Open an object for random access by pyarrow; its size is asked for unless it is known."""

    def afresh(self) -> Storage:
        """This storage as one that remembers nothing: what a commit begins with."""
        return self

    def leftovers(self, prefix: str) -> Iterator[StoredObject]:  # noqa: ARG002 # most stores have none
        """What killed writers left half-written below a prefix, which `list` hides; `delete` takes it away."""
        return iter(())

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:  # noqa: B027 # DuckDB reads local files as it is
        """Teach a DuckDB connection to read this store's URIs."""

    @property
    def readable(self) -> list[str]:
        """The places in which whoever reads the lake reads."""
        return [self.uri("")]

    @property
    def polars_options(self) -> Mapping[str, str] | None:
        """Options with which polars reads this store's URIs."""
        return None

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        with self._errors("read", key):
            return bytes(obstore.get(self._store, key).bytes())

    def get_all(self, keys: Sequence[str]) -> list[bytes]:
        """Read objects whole, many at a time where each has to be waited for."""
        return each(self.get, keys)

    def stream(self, key: str) -> Iterator[bytes]:
        """Read an object in pieces of some megabytes."""
        with self._errors("read", key):
            yield from map(bytes, obstore.get(self._store, key).stream(_CHUNK))

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Read some bytes of an object."""
        with self._errors("read", key):
            return bytes(obstore.get_range(self._store, key, start=start, end=end))

    def size(self, key: str) -> int | None:
        """The object's size in bytes, or None if there is none."""
        try:
            with self._errors("look at", key):
                return int(obstore.head(self._store, key)["size"])
        except MissingError:
            return None

    def find(self, key: str) -> StoredObject | None:
        """An object as `list` has it, or None if there is none."""
        try:
            with self._errors("look at", key):
                meta = obstore.head(self._store, key)
        except MissingError:
            return None
        return StoredObject(key, meta["size"], meta["last_modified"])

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a prefix, in no particular order."""
        with self._errors("list", prefix):
            for batch in obstore.list(self._store, prefix):
                for meta in batch:
                    yield StoredObject(meta["path"], meta["size"], meta["last_modified"])

    def names(self, prefix: str) -> Iterator[str]:
        """The keys of all objects below a prefix, in no particular order; cheaper than `list` where sizes cost."""
        return (found.key for found in self.list(prefix))

    def marked(self, prefix: str) -> Iterator[tuple[str, str]]:
        """What `names` gives, each with a mark that differs once the object does; empty where a listing gives none."""
        return ((key, "") for key in self.names(prefix))

    def marked_in(self, prefix: str, levels: Sequence[str]) -> Iterator[tuple[str, str]]:  # noqa: ARG002 # a listing tells all at once
        """What `marked` gives of at least those objects that lie in folders some levels below a prefix, and not deeper.

        Args:
            prefix: The prefix.
            levels: Of each level, what the names of its folders begin with.
        """
        return self.marked(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; a missing one is no error."""
        for key in keys:
            with contextlib.suppress(MissingError), self._errors("delete", key):
                obstore.delete(self._store, key)

    def _reason(self, error: Exception) -> str:
        """What went wrong, in a few words."""
        return first_line(error)

    @contextlib.contextmanager
    def _errors(self, verb: str, key: str) -> Iterator[None]:
        """Turn what a store raises into one sentence that names the object."""
        try:
            yield
        except (BaseError, OSError) as error:
            # Where the folder or bucket itself is missing, a write fails, and nothing can be said of the object.
            if isinstance(error, FileNotFoundError) and verb != "write" and "NoSuchBucket" not in str(error):
                raise MissingError(f"There is no {key} in the {self.called} at {self.location}.") from error
            what = f"{key} in the {self.called}" if key else f"the {self.called}"
            raise StorageError(f"Cannot {verb} {what} at {self.location}: {self._reason(error)}.") from error
