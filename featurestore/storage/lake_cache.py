"""The cache of a lake: on this machine, what was read of it in its bucket. Any process may use it, and any may clear it.

Nothing in it can be out of date. What never changes under its name (a fragment) is named by its path in the lake and its sha256;
what may be replaced (a manifest) by its path and the mark that a listing gave it, which differs once the object does. What is
read whole is hashed each time, so that what a crash or a failing disk left is read again from the bucket.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
import warnings
from typing import TYPE_CHECKING

from featurestore.errors import StorageError
from featurestore.staging import STAGED, staged, write_whole
from featurestore.storage import caches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from featurestore.storage.caches import CacheSettings

_TOUCHED_AGAIN = 60.0
"""Seconds after which it is noted again that a file is in use, and looked again for room where there was none."""
_DIGEST = hashlib.sha256().digest_size
_LETTERS = 16
_SCRATCH = "unfinished"


class LakeCache:
    """The cache of one lake.

    Args:
        settings: Where it lies, and how much all caches there hold.
        location: What tells the lake from all others.
    """

    def __init__(self, settings: CacheSettings, location: str) -> None:
        self.settings = settings
        self.folder = settings.root / hashlib.sha256(location.encode()).hexdigest()[:_LETTERS]
        self._location = location
        self._scratch = self.folder / _SCRATCH
        self._lock = threading.Lock()
        self._held: int | None = None
        """Bytes in the caches of all lakes when they were last counted, and what was kept since."""
        self._since = 0
        self._coming = 0
        """Bytes that threads have taken room for, and not written yet."""
        self._full_until = 0.0
        self._has_failed = False
        self._made: set[Path] = set()
        """Folders that are there, unless somebody cleared the cache since."""

    def place(self, key: str, digest: str) -> Path:
        """Where an object of that content lies, if it is here: below folders of the same names, as readers of Parquet want it."""
        stem, dot, suffix = key.rpartition(".")
        return self.folder / f"{stem}.{digest[:_LETTERS]}{dot}{suffix}"

    def holds(self, key: str, digest: str, size: int) -> bool:
        """Whether a file of that size is here; it is taken for used now."""
        path = self.place(key, digest)
        try:
            status = path.stat()
            if status.st_size == size:
                self._touch(path, status.st_mtime)
                return True
        except OSError:
            pass
        return False

    def read(self, key: str, digest: str) -> bytes | None:
        """An object whose sha256 is known; None where it is not here, or not whole."""
        data = self._bytes(self.place(key, digest))
        return data if data is not None and hashlib.sha256(data).hexdigest() == digest else None

    def read_marked(self, key: str, mark: str) -> bytes | None:
        """An object that a listing gave that mark; None where it is not here, or not whole."""
        data = self._bytes(self._marked(key, mark))
        if data is None or hashlib.sha256(memoryview(data)[_DIGEST:]).digest() != data[:_DIGEST]:
            return None
        return data[_DIGEST:]

    def keep(self, key: str, digest: str, data: bytes | memoryview) -> bool:
        """Keep an object of that sha256, if there is room; return whether it is here now."""
        return self._write(self.place(key, digest), data)

    def keep_marked(self, key: str, mark: str, data: bytes) -> None:
        """Keep an object that a listing gave that mark, if there is room."""
        self._write(self._marked(key, mark), hashlib.sha256(data).digest() + data)

    def cuts(self, prefix: str) -> list[str]:
        """Where the listing of a prefix may be cut, as an earlier one told."""
        data = self.read_marked(_cuts_of(prefix), "")
        return list(json.loads(data)) if data else []

    def keep_cuts(self, prefix: str, cuts: Sequence[str]) -> None:
        """Note where the listing of a prefix may be cut."""
        self.keep_marked(_cuts_of(prefix), "", json.dumps(cuts).encode())

    def keep_pieces(self, key: str, digest: str, size: int, pieces: Iterable[bytes]) -> bool:
        """Keep an object that comes in pieces, unless they end in an error, if there is room; return whether it is here now."""
        if not self._take(size):
            return False
        place, is_kept = self.place(key, digest), False
        self._made.discard(place.parent)  # pieces come once: no second attempt where somebody cleared the cache
        try:
            self._prepare(place)
            with staged(self._scratch) as half:
                with half.open("xb") as file:
                    for piece in pieces:
                        file.write(piece)
                half.replace(place)
            is_kept = True
        except StorageError:
            raise
        except OSError as error:
            self._made.clear()
            self._tell(error)
        finally:
            self._settle(size, is_kept=is_kept)
        return is_kept

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may be kept; what was not used for longest makes room for them."""
        with self._lock:
            return self._makes_room(size)

    def _take(self, size: int) -> bool:
        """Take room for so many bytes, if there is any: what other threads are about to write counts."""
        with self._lock:
            if not self._makes_room(size):
                return False
            self._held, self._since = (self._held or 0) + size, self._since + size
            self._coming += size
            return True

    def _settle(self, size: int, *, is_kept: bool) -> None:
        """What was taken room for is there, or will not come."""
        with self._lock:
            self._coming -= size
            if not is_kept:
                self._held = (self._held or 0) - size

    def _makes_room(self, size: int) -> bool:
        limit = self.settings.limit
        is_short = self._held is None or self._held + size > limit or self._since > limit // 16
        if size > limit or (is_short and time.time() < self._full_until):
            return False
        if self._held is None or is_short:
            self._held, self._since = caches.evict(self.settings, size + self._coming) + self._coming, 0
            if self._held + size > limit:  # all of it is in use: this does not change at once
                self._full_until = time.time() + _TOUCHED_AGAIN
        return self._held + size <= limit

    def _write(self, place: Path, data: bytes | memoryview) -> bool:
        if not self._take(len(data)):
            return False
        for attempt in range(2):
            try:
                self._prepare(place)
                _put_whole(f"{self._scratch}/{STAGED}{os.urandom(16).hex()}", place, data)
            except OSError as error:
                self._made.clear()
                if attempt or not isinstance(error, FileNotFoundError):  # someone may have cleared the cache meanwhile
                    self._tell(error)
                    self._settle(len(data), is_kept=False)
                    return False
            else:
                break
        self._settle(len(data), is_kept=True)
        return True

    def _prepare(self, place: Path) -> None:
        if place.parent in self._made:
            return
        if not (self.folder / caches.LOCATION).is_file():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self.folder / caches.LOCATION, self._location.encode())
        self._scratch.mkdir(exist_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        self._made.add(place.parent)

    def _tell(self, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            warnings.warn(
                f"The cache at {self.settings.root} cannot be written ({error.strerror or error}): the lake is read from its "
                "bucket; set FEATURESTORE_CACHE to another folder, or FEATURESTORE_CACHE_SIZE to 0B.",
                stacklevel=2,
            )

    def _bytes(self, path: Path) -> bytes | None:
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 # a lake is some thousand small files
                self._touch(path, os.fstat(file.fileno()).st_mtime)
                return file.read()
        except OSError:
            return None

    def _marked(self, key: str, mark: str) -> Path:
        return self.place(key, hashlib.sha256(mark.encode()).hexdigest())

    def _touch(self, path: Path, used: float) -> None:
        if time.time() - used > _TOUCHED_AGAIN:
            with contextlib.suppress(OSError):
                os.utime(path)


def _put_whole(half: str, place: Path, data: bytes | memoryview) -> None:
    """What `write_whole` does, for some thousand small files: without a look at what is there."""
    try:
        with open(half, "xb") as file:  # noqa: PTH123
            file.write(data)
        os.replace(half, place)  # noqa: PTH105
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(half)  # noqa: PTH108
        raise


def _cuts_of(prefix: str) -> str:
    return f"{prefix or '.'}/listing.cuts"
