"""A lake as if something were written over it: what is written stays in memory, and the lake as it is."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from featurestore.errors import MissingError, StorageError
from featurestore.storage.base import Storage, StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa
    from obstore.store import ObjectStore

_MANIFEST = ".json"


class Overlay(Storage):
    """Another storage, with changes that it is never told of; as it was when this was made.

    A copy is another name of what lies there, and takes no memory. Small files that never change, which manifests are, are read
    once.
    """

    def __init__(self, below: Storage) -> None:
        self.below = below
        self.location = below.location
        self.called = below.called
        self._lock = threading.Lock()
        self._read_once = cache(below.get)
        self._objects: dict[str, StoredObject] = {}
        self._contents: dict[str, bytes | str] = {}
        """Of each object its bytes, or what it is called below."""
        self._folders: dict[str, dict[str, None]] = defaultdict(dict)
        for found in below.list(""):
            self._add(found, found.key)

    @property
    def _store(self) -> ObjectStore:
        return self.below._store  # noqa: SLF001 # of the same class, whose verbs are all given anew here

    def exists(self) -> bool:
        """Whether there is anything, below or over it."""
        return bool(self._objects) or self.below.exists()

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Keep an object in memory."""
        with self._lock:
            self._add(StoredObject(key, len(data), datetime.now(UTC)), bytes(data))

    def create(self, key: str, data: bytes | memoryview) -> bool:
        """Keep an object in memory, unless there is one of that name."""
        with self._lock:
            if key in self._objects:
                return False
            self._add(StoredObject(key, len(data), datetime.now(UTC)), bytes(data))
        return True

    def copy(self, key: str, target: str) -> bool:
        """Give an object another name, too, unless there is one of that name."""
        with self._lock:
            if target in self._objects:
                return False
            content = self._content(key)
            self._add(StoredObject(target, self._objects[key].bytes, datetime.now(UTC)), content)
        return True

    def uri(self, key: str) -> str:
        """What others call an object that lies below; others cannot read what is in memory."""
        content = self._contents.get(key, key)
        if isinstance(content, bytes):
            raise StorageError(
                f"{key} was not written to the {self.called} at {self.location}, and has no address there."
            )
        return self.below.uri(content)

    def open_input(self, key: str, size: int | None = None) -> pa.NativeFile:
        """Open an object for random access by pyarrow."""
        import pyarrow as pa

        content = self._content(key)
        return pa.BufferReader(content) if isinstance(content, bytes) else self.below.open_input(content, size)

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        content = self._content(key)
        if isinstance(content, bytes):
            return content
        return self._read_once(content) if content.endswith(_MANIFEST) else self.below.get(content)

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Read some bytes of an object."""
        content = self._content(key)
        return content[start:end] if isinstance(content, bytes) else self.below.read_range(content, start, end)

    def size(self, key: str) -> int | None:
        """The object's size in bytes, or None if there is none."""
        found = self._objects.get(key)
        return found.bytes if found else None

    def find(self, key: str) -> StoredObject | None:
        """An object as `list` has it, or None if there is none."""
        return self._objects.get(key)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a prefix."""
        with self._lock:
            found = [self._objects[key] for key in self._folders.get(prefix.strip("/"), ())]
        return iter(found)

    def delete(self, keys: Iterable[str]) -> None:
        """Forget objects; a missing one is no error."""
        with self._lock:
            for key in keys:
                if self._objects.pop(key, None):
                    del self._contents[key]
                    for folder in _folders(key):
                        del self._folders[folder][key]

    def _content(self, key: str) -> bytes | str:
        content = self._contents.get(key)
        if content is None:
            raise MissingError(f"There is no {key} in the {self.called} at {self.location}.")
        return content

    def _add(self, found: StoredObject, content: bytes | str) -> None:
        self._objects[found.key], self._contents[found.key] = found, content
        for folder in _folders(found.key):
            self._folders[folder][found.key] = None


def _folders(key: str) -> Iterator[str]:
    """The prefixes that an object is below.

    >>> list(_folders("a/b/c"))
    ['', 'a', 'a/b']
    """
    segments = key.split("/")
    return ("/".join(segments[:count]) for count in range(len(segments)))
