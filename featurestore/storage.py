"""Storage as verbs on keys: one layer over local disk and object stores, through obstore.

A key is a path relative to the lake's root, with `/` between segments. An object is visible whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from featurestore.errors import InputError, MissingError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from obstore.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored object: its key, size in bytes, and when it was written."""

    key: str
    bytes: int
    modified: datetime


def open_storage(location: str) -> Storage:
    """Open the storage of a lake: a folder, or a URL such as `s3://bucket/prefix`.

    Raises:
        InputError: The location is a file, or a URL that no store knows.
    """
    if "://" in location and not location.startswith("file://"):
        return ObjectStorage(location)
    return LocalStorage(Path(urlsplit(location).path if location.startswith("file://") else location))


class Storage:
    """The verbs that every store has. Subclasses say how to write and how others may open a key."""

    location: str

    def _store(self) -> ObjectStore:
        raise NotImplementedError

    def exists(self) -> bool:
        """Whether there is anything at the lake's location."""
        raise NotImplementedError

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write an object, replacing what is there."""
        raise NotImplementedError

    def create(self, key: str, data: bytes | memoryview) -> bool:
        """Write an object if there is none under this key yet; return whether it was written."""
        raise NotImplementedError

    def uri(self, key: str) -> str:
        """What polars and DuckDB call the object."""
        raise NotImplementedError

    def open_input(self, key: str) -> pa.NativeFile:
        """Open an object for random access by pyarrow."""
        raise NotImplementedError

    def get(self, key: str) -> bytes:
        """Read an object whole."""
        with self._errors("read", key):
            return bytes(obstore.get(self._store(), key).bytes())

    def size(self, key: str) -> int | None:
        """The object's size in bytes, or None if there is none."""
        try:
            with self._errors("look at", key):
                return int(obstore.head(self._store(), key)["size"])
        except MissingError:
            return None

    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects below a prefix, in no particular order."""
        with self._errors("list", prefix):
            for batch in obstore.list(self._store(), prefix):
                for meta in batch:
                    yield Entry(meta["path"], meta["size"], meta["last_modified"])

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; a missing one is no error."""
        for key in keys:
            with contextlib.suppress(MissingError), self._errors("delete", key):
                obstore.delete(self._store(), key)

    @contextlib.contextmanager
    def _errors(self, verb: str, key: str) -> Iterator[None]:
        """Turn what a store raises into one sentence that names the object."""
        try:
            yield
        except FileNotFoundError as error:
            raise MissingError(f"There is no {key} in the lake at {self.location}.") from error
        except (BaseError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else _first_line(error)
            raise StorageError(f"Cannot {verb} {key} in the lake at {self.location}: {reason}.") from error


class LocalStorage(Storage):
    """A folder. Writes are staged beside their place, synced to disk, then renamed or linked into it."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.location = str(root)
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"The lake at {root} is a file: give a folder with --lake, or move the file away.")

    def _store(self) -> ObjectStore:
        return LocalStore(prefix=self.root)

    def exists(self) -> bool:
        """Whether the folder exists."""
        return self.root.is_dir()

    def uri(self, key: str) -> str:
        """The absolute path."""
        return str(self.root / key)

    def open_input(self, key: str) -> pa.NativeFile:
        """The file, by its path."""
        with self._errors("read", key):
            return pa.OSFile(self.uri(key))

    def list(self, prefix: str) -> Iterator[Entry]:
        """All objects below a prefix; none if the folder is not there. Files that are still being staged are no objects."""
        if (self.root / prefix).is_dir():
            yield from (
                entry for entry in super().list(prefix) if not entry.key.rpartition("/")[2].startswith(".staged-")
            )

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write a file so that a crash leaves the old one or the new one."""
        with self._errors("write", key), self._staged(key, data) as (staged, target):
            staged.replace(target)

    def create(self, key: str, data: bytes | memoryview) -> bool:
        """Write a file unless one is there: a hard link is exclusive, and shows only what was synced before."""
        with self._errors("write", key), self._staged(key, data) as (staged, target):
            try:
                os.link(staged, target)
            except FileExistsError:
                return False
        return True

    @contextlib.contextmanager
    def _staged(self, key: str, data: bytes | memoryview) -> Iterator[tuple[Path, Path]]:
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.parent / f".staged-{uuid.uuid4().hex}"
        try:
            with staged.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield staged, target
        finally:
            staged.unlink(missing_ok=True)
        _sync_folder(target.parent)


class ObjectStorage(Storage):
    """A bucket prefix in S3, GCS or Azure; credentials come from the provider's usual environment variables."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")
        try:
            self._remote = from_url(self.location)
        except (BaseError, ValueError) as error:
            raise InputError(f"Cannot open a lake at {location}: {_first_line(error)}.") from error

    def _store(self) -> ObjectStore:
        return self._remote

    def exists(self) -> bool:
        """A bucket needs no creation."""
        return True

    def uri(self, key: str) -> str:
        """The object's URL."""
        return f"{self.location}/{key}"

    def open_input(self, key: str) -> pa.NativeFile:
        """The object, read by ranges."""
        with self._errors("read", key):
            return pa.PythonFile(obstore.open_reader(self._remote, key), mode="r")

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write an object, replacing what is there."""
        with self._errors("write", key):
            obstore.put(self._remote, key, data)

    def create(self, key: str, data: bytes | memoryview) -> bool:
        """Write an object if there is none: the store decides between racing writers."""
        with self._errors("write", key):
            try:
                obstore.put(self._remote, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first_line(error: Any) -> str:
    return str(error).partition("\n")[0].rstrip(".")
