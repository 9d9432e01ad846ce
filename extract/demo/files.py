"""Writing the demo's files so that each is there whole or not at all."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(path: Path, content: bytes, scratch: Path) -> None:
    """Write a file under a temporary name and move it into place.

    Args:
        path: The file to write; its folder is created.
        content: All of its bytes.
        scratch: An existing folder on the same file system for the temporary file. Image folders are read whole, so
            that a file that a killed run left in one would count as an image.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = scratch / f".partial-{uuid.uuid4().hex}"
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
