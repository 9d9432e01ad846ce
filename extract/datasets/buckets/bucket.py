"""Images in object stores: what lies below a URL, with sizes, and its bytes, many objects at a time.

The lake keeps the URL alone; credentials come from the environment of whoever reads, as for a lake.
"""

from __future__ import annotations

import io
import os
import posixpath
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, TYPE_CHECKING, ClassVar

from featurestore.errors import InputError, LakeError, MissingError
from featurestore.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featurestore.storage import Storage, StoredObject

_AT_ONCE = 32
_FEW = 200


def is_url(location: object) -> bool:
    """Whether a location is in an object store."""
    return "://" in str(location)


def parent_url(url: str) -> str:
    """The folder that an object lies in."""
    return url.rpartition("/")[0]


@lru_cache(maxsize=16)
def _storage(url: str, _process: int) -> Storage:
    return open_storage(url, "bucket")


def storage_at(url: str) -> Storage:
    """The store below a URL; each process has its own, since a client does not survive a fork."""
    return _storage(url, os.getpid())


def objects_below(url: str) -> dict[str, StoredObject]:
    """The objects below a URL by key, in order; what is hidden, or below a hidden folder, is left out.

    Raises:
        InputError: There is nothing, or the store cannot be reached.
    """
    try:
        found = {each.key: each for each in storage_at(url).list("")}
    except LakeError as error:
        raise InputError(str(error)) from error
    if not found:
        raise InputError(f"There is nothing below {url}.")
    return {key: found[key] for key in sorted(found) if not _is_hidden(key)}


def sizes_of(url: str, paths: Sequence[str], listed_in: str) -> list[int]:
    """The sizes of objects that a list says lie below a URL.

    Raises:
        InputError: Some are not there, or the store cannot be reached.
    """
    try:
        found = asked(url, paths) if len(paths) <= _FEW else _listed(url, paths)
    except LakeError as error:
        raise InputError(str(error)) from error
    sizes = {path: each.bytes for path, each in found.items() if each is not None}
    missing = [path for path in paths if path not in sizes]
    if missing:
        raise InputError(
            f"{listed_in} lists {len(paths):,} images, of which {len(missing):,} are not in {url} (first: {missing[0]}): "
            "upload them, or correct the list or --root."
        )
    return [sizes[path] for path in paths]


def read_object_text(url: str, what: str) -> str:
    """The text of an object, without the mark that some programs put before it.

    Raises:
        InputError: It cannot be read, or is no text.
    """
    folder, _, name = url.rpartition("/")
    try:
        return storage_at(folder).get(name).decode("utf-8-sig")
    except (LakeError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the {what} {url}: {error}") from error


class ManyAtOnce:
    """What readers of a network have in common.

    Attributes:
        start_method: How processes that read are started: one that is forked would wait for the parent's client for ever.
    """

    __slots__ = ()
    start_method: ClassVar[str] = "spawn"

    def read(self, path: str) -> bytes:
        """An image's bytes."""
        raise NotImplementedError

    def open(self, path: str) -> IO[bytes]:
        """Read an image."""
        try:
            return io.BytesIO(self.read(path))
        except MissingError as error:  # the same text on every machine, as for a file
            raise FileNotFoundError(2, "No such object", path) from error

    def together(self, paths: Sequence[str]) -> Fetched:
        """Read many images at a time; what went wrong with one is raised when it is opened."""
        with ThreadPoolExecutor(max(1, min(_AT_ONCE, len(paths)))) as pool:
            return Fetched(dict(zip(paths, pool.map(self._fetch, paths), strict=True)))

    def _fetch(self, path: str) -> IO[bytes] | Exception:
        try:
            return self.open(path)
        except Exception as error:  # noqa: BLE001 # it becomes that sample's error
            return error


@dataclass(frozen=True, slots=True)
class BucketReader(ManyAtOnce):
    """Images that are objects below a URL."""

    url: str

    def read(self, path: str) -> bytes:
        """An object's bytes."""
        return storage_at(self.url).get(path)


@dataclass(frozen=True, slots=True)
class Fetched:
    """Images whose bytes were fetched already, or the errors of fetching them."""

    files: Mapping[str, IO[bytes] | Exception]

    def open(self, path: str) -> IO[bytes]:
        """The bytes of an image."""
        file = self.files[path]
        if isinstance(file, Exception):
            raise file
        return file


def asked(url: str, paths: Sequence[str]) -> dict[str, StoredObject | None]:
    """Objects below a URL, each asked for; None for one that is not there."""
    with ThreadPoolExecutor(max(1, min(_AT_ONCE, len(paths)))) as pool:
        return dict(zip(paths, pool.map(storage_at(url).find, paths), strict=True))


def _listed(url: str, paths: Sequence[str]) -> dict[str, StoredObject | None]:
    """The objects from the lists of the folders that hold the objects, thousands in one answer."""
    found: dict[str, StoredObject | None] = {}
    for folder in sorted({path.partition("/")[0] for path in paths if "/" in path}):
        found |= {each.key: each for each in storage_at(url).list(folder)}
    loose = [path for path in paths if "/" not in path]
    return found | (asked(url, loose) if loose else {})


def _is_hidden(key: str) -> bool:
    return "/." in f"/{posixpath.normpath(key)}"
