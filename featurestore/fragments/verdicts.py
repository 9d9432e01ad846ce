"""Which files this process has found to be what a manifest says: each is hashed once, unless it changes."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from typing import TYPE_CHECKING, TypeAlias

from featurestore.errors import StorageError, first_line

if TYPE_CHECKING:
    from featurestore.layout.manifest import Fragment

    Look: TypeAlias = tuple[str, int, int, int, int]

_found: dict[str, Look] = {}
_MOST = 1 << 19
"""Files that are remembered at most: some hundred bytes each."""
SETTLED_NS = 50_000_000
"""A file that changed this short a time ago may change again and keep its time, which some file systems count in steps."""


def problem(place: str, fragment: Fragment) -> str:
    """What is wrong with a file that should hold a fragment, in words, or an empty text; it is hashed unless that is known.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        look = look_at(place, fragment)
        if look is None:
            return fragment.size_problem(None)
        if look[1] != fragment.bytes:
            return fragment.size_problem(look[1])
        if is_known(place, look):
            return ""
        with open(place, "rb") as file:  # noqa: PTH123 # of some thousand files
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"Cannot read {place}: {first_line(error)}.") from error
    if digest != fragment.sha256:
        return "its sha256 differs"
    remember(place, look)
    return ""


def look_at(place: str, fragment: Fragment) -> Look | None:
    """What tells a file that was not changed from one that was; None if there is none.

    Raises:
        StorageError: It is no file: whoever opened a pipe would wait.
    """
    try:
        status = os.stat(place)  # noqa: PTH116 # a Path costs more than the look
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"{place} is no file: move it out of the lake.")
    return fragment.sha256, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def is_known(place: str, look: Look) -> bool:
    """Whether a file that looks so was found to be what its manifest says."""
    return _found.get(place) == look


def remember(place: str, look: Look) -> None:
    """Note that a file that looked so, before it was read, was found to be what its manifest says."""
    if time.time_ns() - max(look[2], look[3]) < SETTLED_NS:
        return
    if len(_found) >= _MOST:
        _found.clear()
    _found[place] = look
