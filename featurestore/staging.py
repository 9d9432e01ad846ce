"""Files that are there whole or not at all: written under a hidden name first, then moved into their place."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGED = ".staged-"


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

    Args:
        path: The file; its folder is made.
        content: All of its bytes.
        scratch: A folder on the same file system in which such a half does no harm; the file's own by default.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with staged(scratch or path.parent) as half:
        half.write_bytes(content)
        half.replace(path)
