"""Which files below a folder are opened meanwhile, as the kernel counts them (inotify)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPENED = 0x20
_HEADER = struct.Struct("iIII")


@contextlib.contextmanager
def opened_files(folder: Path) -> Iterator[set[Path]]:
    """A set that holds the files that were opened, once the block has ended."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(os.O_NONBLOCK)
    watched = {
        library.inotify_add_watch(descriptor, os.fsencode(top), _OPENED): Path(top) for top, _, _ in os.walk(folder)
    }
    assert -1 not in watched
    found: set[Path] = set()
    try:
        yield found
        with contextlib.suppress(BlockingIOError):
            while True:
                found |= {watched[watch] / name for watch, name in _events(os.read(descriptor, 1 << 20)) if name}
    finally:
        os.close(descriptor)


def _events(data: bytes) -> Iterator[tuple[int, str]]:
    position = 0
    while position < len(data):
        watch, _, _, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        yield watch, os.fsdecode(data[position : position + length].rstrip(b"\0"))
        position += length
