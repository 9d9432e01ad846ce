"""Files that are there whole or not at all: written under a hidden name first, then moved into their place."""

from __future__ import annotations

import contextlib
import time
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGED = ".staged-"
_ABANDONED = 3600.0
"""Seconds after which nobody writes a half any more."""


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A hidden name in a folder, to write a file under and to move it from; what still bears it at the end is deleted."""
    file = folder / f"{STAGED}{uuid.uuid4().hex}"
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | memoryview, *, scratch: Path | None = None) -> None:
    """Write a file that is there whole or not at all; a process that is killed may leave a hidden half of it.

    Such halves of earlier processes, in the file's folder, are taken away. What is no file, such as `/dev/stdout`, is written to
    as it is, and a link stays one.

    Args:
        path: The file; its folder is made.
        content: All of its bytes.
        scratch: A folder on the same file system in which such a half does no harm; the file's own by default.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    if scratch is None:
        clear_abandoned(path.parent)
    with staged(scratch or path.parent) as half:
        half.write_bytes(content)
        half.replace(path)


def clear_abandoned(folder: Path) -> None:
    """Delete what processes that were killed left half-written in a folder, an hour ago or longer."""
    for file in folder.glob(f"{STAGED}*"):
        with contextlib.suppress(OSError):
            if time.time() - file.lstat().st_mtime > _ABANDONED:
                file.unlink()
