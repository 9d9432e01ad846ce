"""A lake in a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from obstore.store import LocalStore

from featurestore.errors import InputError, MissingError
from featurestore.staging import STAGED, staged
from featurestore.storage.base import Storage, StoredObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa
    from obstore.store import ObjectStore

_CHUNK = 1 << 20
_NO_FILE = "it is no file: move it out of the lake"


class LocalStorage(Storage):
    """A folder. Writes are staged beside their place, synced to disk, then renamed or linked into it."""

    folder: Path

    def __init__(self, root: Path) -> None:
        self.folder = root.expanduser().absolute()
        self._top = str(self.folder)
        self.location = str(root)
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"The lake at {root} is a file: give a folder with --lake, or move the file away.")

    @cached_property
    def _store(self) -> ObjectStore:
        if not self.folder.is_dir():
            raise FileNotFoundError(self.folder)
        return LocalStore(prefix=self.folder)

    def exists(self) -> bool:
        """Whether the folder exists."""
        return self.folder.is_dir()

    def uri(self, key: str) -> str:
        """The absolute path."""
        return f"{self._top}/{key}" if key else self._top

    def get(self, key: str) -> bytes:
        """The file's bytes, without the detour through a store's machinery: opening a lake reads some thousand small files."""
        with self._errors("read", key):
            return _read_file(self.uri(key))

    def open_input(self, key: str, size: int | None = None) -> pa.NativeFile:  # noqa: ARG002 # it costs nothing here
        """The file, by its path."""
        import pyarrow as pa  # slow to import, and questions are answered without it

        with self._errors("read", key):
            os.close(_open_file(self.uri(key))[0])
            return pa.OSFile(self.uri(key))

    def size(self, key: str) -> int | None:
        """The file's size in bytes, or None if there is none; a pipe is refused, and not waited for."""
        found = self.find(key)
        return found.bytes if found else None

    def find(self, key: str) -> StoredObject | None:
        """A file as `list` has it, or None if there is none."""
        path = self.uri(key)
        try:
            with self._errors("look at", key):
                status = Path(path).stat()
                if not stat.S_ISREG(status.st_mode):
                    raise OSError(errno.EINVAL, _NO_FILE, path)
        except MissingError:
            return None
        return StoredObject(key, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """All objects below a prefix; none if the folder is not there. Files that are still being staged are no objects."""
        if (self.folder / prefix).is_dir():
            yield from (found for found in super().list(prefix) if not found.key.rpartition("/")[2].startswith(STAGED))

    def leftovers(self, prefix: str) -> Iterator[StoredObject]:
        """Files that a killed job was still staging."""
        for file in filter(Path.is_file, (self.folder / prefix).rglob(f"{STAGED}*")):
            with contextlib.suppress(FileNotFoundError):
                status = file.lstat()
                modified = datetime.fromtimestamp(status.st_mtime, UTC)
                yield StoredObject(file.relative_to(self.folder).as_posix(), status.st_size, modified)

    def names(self, prefix: str) -> Iterator[str]:
        """The keys of all objects below a prefix, without a look at each file."""
        folders = [prefix.strip("/")]
        while folders:
            inside = folders.pop()
            for entry in self._entries(inside):
                key = f"{inside}/{entry.name}" if inside else entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(key)
                elif not entry.name.startswith(STAGED):
                    yield key

    def marked_in(self, prefix: str, levels: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The files in those folders alone, without marks: below them may lie a hundred times as many."""
        folders = [prefix.strip("/")]
        for level in levels:
            folders = [
                f"{folder}/{entry.name}"
                for folder in folders
                for entry in self._entries(folder)
                if entry.name.startswith(level) and entry.is_dir(follow_symlinks=False)
            ]
        for folder in folders:
            for entry in self._entries(folder):
                if not entry.name.startswith(STAGED) and not entry.is_dir(follow_symlinks=False):
                    yield f"{folder}/{entry.name}", ""

    def _entries(self, folder: str) -> Iterable[os.DirEntry[str]]:
        """What is in a folder; nothing where there is none."""
        missing = contextlib.suppress(FileNotFoundError, NotADirectoryError)
        with self._errors("list", folder), missing, os.scandir(self.uri(folder)) as entries:
            return list(entries)
        return ()

    def put(self, key: str, data: bytes | memoryview) -> None:
        """Write a file so that a crash leaves the old one or the new one."""
        with self._errors("write", key), self._staged(key, data) as (half, target):
            half.replace(target)

    def create(self, key: str, data: bytes | memoryview) -> bool:
        """Write a file unless one is there: a hard link is exclusive, and shows only what was synced before."""
        with self._errors("write", key), self._staged(key, data) as (half, target):
            try:
                os.link(half, target)
            except FileExistsError:
                return False
        return True

    def copy(self, key: str, target: str) -> bool:
        """Give a file a second name, or a copy where the disk has no links, unless one of that name is there."""
        path = self.folder / target
        _make_folder(path.parent)
        try:
            os.link(self.folder / key, path)
        except FileExistsError:
            return False
        except FileNotFoundError as error:
            raise MissingError(f"There is no {key} in the {self.called} at {self.location}.") from error
        except OSError:
            return self.create(target, self.get(key))
        with self._errors("write", target):
            os.utime(path)  # it is as young as a file that was written now: `gc` goes by that
            _sync_folder(path.parent)
        return True

    @contextlib.contextmanager
    def _staged(self, key: str, data: bytes | memoryview) -> Iterator[tuple[Path, Path]]:
        target = self.folder / key
        _make_folder(target.parent)
        with staged(target.parent) as half:
            with half.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield half, target
        _sync_folder(target.parent)


def _read_file(path: str) -> bytes:
    """A file's bytes; the system's own calls are sooner done than a file object is made."""
    descriptor, size = _open_file(path)
    try:
        pieces = [os.read(descriptor, size + 1)]
        while len(pieces[-1]) and sum(map(len, pieces)) != size:
            pieces.append(os.read(descriptor, max(size, _CHUNK)))
    finally:
        os.close(descriptor)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _open_file(path: str) -> tuple[int, int]:
    """Open a file, and nothing else, and look how long it is: whoever opened a pipe would wait, and a device has no end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status.st_size
    os.close(descriptor)
    raise OSError(errno.EINVAL, _NO_FILE, path)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each synced into its parent before anything is written below."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
