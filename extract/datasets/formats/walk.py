"""Files on this machine: which of them are images, those below a folder, their sizes, and their text."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

from pyarrow.fs import LocalFileSystem

from extract.datasets.formats.suffixes import IMAGE_SUFFIXES, is_image, suffix_of
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HIDDEN = "hidden"
"""How files and folders that begin with a dot are counted; what is in the folders is not."""
_AT_ONCE = 4_096
_THREADS = 16


def images_below(folder: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> list[str]:
    """Relative POSIX paths in order; hidden files and folders are passed over, links are followed."""
    return look_below(folder, suffixes)[0]


def look_below(folder: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> tuple[list[str], Counter[str]]:
    """The images below a folder as `images_below` has them, and how many of all else there are, by suffix."""
    paths: list[str] = []
    others: Counter[str] = Counter()
    stack = [""]
    while stack:
        prefix = stack.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    others[HIDDEN] += 1
                elif entry.is_dir():
                    stack.append(f"{prefix}{entry.name}/")
                elif is_image(entry.name, suffixes):
                    paths.append(prefix + entry.name)
                else:
                    others[suffix_of(entry.name)] += 1
    return sorted(paths), others


def sizes_below(
    folder: Path, paths: Sequence[str], listed_in: Path | None = None, advice: str = "correct the list or the folder"
) -> list[int]:
    """The sizes of files that a folder was seen to hold, or that a list says it holds.

    Args:
        folder: The folder.
        paths: The files' paths, relative to it.
        listed_in: The list that names them.
        advice: What to do where a list names files that are not there, but to download them.

    Raises:
        InputError: Some are not there: they went meanwhile, are links to nothing, or the list is wrong.
    """
    sizes = file_sizes(folder, paths)
    missing = [path for path, size in zip(paths, sizes, strict=True) if size is None]
    if missing and listed_in:
        raise InputError(
            f"{listed_in} lists {len(paths):,} images, of which {len(missing):,} are not in {folder} "
            f"(first: {missing[0]}): download them, or {advice}."
        )
    if missing:
        raise InputError(f"Cannot read {folder / missing[0]}: No such file or directory.")
    return [size for size in sizes if size is not None]


def file_sizes(root: Path, paths: Sequence[str]) -> list[int | None]:
    """The sizes of files below a folder, in bytes; None for one that is not there, or is no file. Links are followed.

    A million take a second or two, since the threads that ask for them do not wait for each other.

    Args:
        root: The folder.
        paths: Paths relative to it, or absolute.

    Raises:
        OSError: A file may not be looked at.
    """
    return [size for size, _ in _looks(root, paths)]


def file_times(root: Path, paths: Sequence[str]) -> list[int | None]:
    """When files below a folder were written, in nanoseconds since 1970; None for one that is not there.

    Args:
        root: The folder.
        paths: Paths relative to it, or absolute.

    Raises:
        OSError: A file may not be looked at.
    """
    return [written for _, written in _looks(root, paths)]


_Look: TypeAlias = tuple[int | None, int | None]
"""A file's size, and when it was written."""


def _looks(root: Path, paths: Sequence[str]) -> list[_Look]:
    prefix = f"{root.absolute()}/"
    blocks = [paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE)]
    with ThreadPoolExecutor(max(1, min(_THREADS, len(blocks)))) as pool:
        return [look for looks in pool.map(lambda block: _look_at(prefix, block), blocks) for look in looks]


def _look_at(prefix: str, paths: Sequence[str]) -> list[_Look]:
    """Arrow looks at files without holding Python's lock, but takes only names that are UTF-8, and tells less of errors."""
    places = [path if path.startswith("/") else prefix + path for path in paths]
    try:
        return [(info.size, info.mtime_ns) for info in LocalFileSystem().get_file_info(places)]
    except (OSError, ValueError):
        return [_stat(place) for place in places]


def _stat(place: str) -> _Look:
    try:
        found = os.stat(place)  # noqa: PTH116 # a Path would cost more than the call
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None, None
    return found.st_size, found.st_mtime_ns


def version(file: Path) -> tuple[str, int, int]:
    """A file as a key of a cache: its path, size and time."""
    stat = file.stat()
    return str(file), stat.st_size, stat.st_mtime_ns


def read_text(file: Path, what: str) -> str:
    """The text of a file as it is, but without the mark that some programs put before it.

    Raises:
        InputError: The file cannot be read, or is no text; the message calls it what it should be.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the {what} {file}: {getattr(error, 'strerror', None) or error}.") from error
