"""Sizes of many files: a million take a second or two, since the threads that ask for them do not wait for each other."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyarrow.fs import LocalFileSystem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_AT_ONCE = 4_096
_THREADS = 16


def file_sizes(root: Path, paths: Sequence[str]) -> list[int | None]:
    """The sizes of files below a folder, in bytes; None for one that is not there, or is no file. Links are followed.

    Args:
        root: The folder.
        paths: Paths relative to it, or absolute.

    Raises:
        OSError: A file may not be looked at.
    """
    prefix = f"{root.absolute()}/"
    blocks = [paths[start : start + _AT_ONCE] for start in range(0, len(paths), _AT_ONCE)]
    with ThreadPoolExecutor(max(1, min(_THREADS, len(blocks)))) as pool:
        return [size for sizes in pool.map(lambda block: _sizes(prefix, block), blocks) for size in sizes]


def _sizes(prefix: str, paths: Sequence[str]) -> list[int | None]:
    """Arrow looks at files without holding Python's lock, but takes only names that are UTF-8, and tells less of errors."""
    places = [path if path.startswith("/") else prefix + path for path in paths]
    try:
        return [info.size for info in LocalFileSystem().get_file_info(places)]
    except (OSError, ValueError):
        return [_size(place) for place in places]


def _size(place: str) -> int | None:
    try:
        return os.stat(place).st_size  # noqa: PTH116 # a Path would cost more than the call
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
