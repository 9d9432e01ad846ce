"""Where a lake lies, and what is kept of others here: whether one can write there, how much room there is, and how fast it is."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any

from featurestore.doctor.finding import Finding
from featurestore.errors import LakeError
from featurestore.quantities import bytes_text
from featurestore.settings import read_settings
from featurestore.storage import caches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from featurestore.storage import Storage

_BLOCK = 8 << 20
_BLOCKS = 8
_SECONDS = 2.0
"""After which writing or reading is not gone on with."""
_LITTLE = 1_000_000_000
_REQUESTS = 5
_NOTHING = "doctor-asks-for-nothing"
"""A key that no lake has."""


def examine_lake(opened: Callable[[], Storage]) -> Iterator[Finding]:
    """Whether a lake is there and can be reached, and how fast its place is.

    A folder is measured by a file without a name, which is gone when it is closed; of a bucket, some small things are asked.

    Args:
        opened: Opens the lake's storage.
    """
    location = None
    try:
        storage = opened()
        location = storage.location
        is_there, first = timed(storage.exists)
    except LakeError as error:
        yield Finding("lake", "cannot be reached", {"location": location, "exists": None}, (str(error),))
        return
    said = location if is_there else f"{location}: nothing there yet"
    yield Finding("lake", said, {"location": location, "exists": is_there})
    if storage.folder is None:
        yield _bucket(storage, first)
    else:
        yield _disk(nearest_folder(storage.folder))


def examine_cache() -> Finding:
    """Where what is read of buckets is kept on this machine, and how much there is."""
    try:
        settings = caches.cache_settings(read_settings())
    except LakeError as error:
        return Finding("cache", "its settings cannot be read", {}, (str(error),))
    held = sum(lake.bytes for lake in caches.cached_lakes(settings.root))
    said = f"{settings.root}: {bytes_text(held)} of at most {bytes_text(settings.limit)} of lakes in buckets"
    return Finding("cache", said, {"folder": str(settings.root), "bytes": held, "limit": settings.limit})


def nearest_folder(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What work returns, and the seconds that it took."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def _bucket(storage: Storage, first: float) -> Finding:
    """How long a bucket takes to answer: the first time, with all that it takes to get to know each other, and then."""
    try:
        then = statistics.median(timed(lambda: storage.size(_NOTHING))[1] for _ in range(_REQUESTS))
    except LakeError as error:
        return Finding("bucket", "does not answer", {}, (str(error),))
    said = f"answers in {then * 1e3:.3g} ms (median of {_REQUESTS} requests), the first time in {first * 1e3:.3g} ms"
    return Finding("bucket", said, {"seconds": then, "first_seconds": first, "requests_at_once": storage.at_once})


def _disk(folder: Path) -> Finding:
    room = shutil.disk_usage(folder)
    values: dict[str, Any] = {"folder": str(folder), "bytes": room.total, "free_bytes": room.free}
    said = f"{bytes_text(room.free)} free of {bytes_text(room.total)}"
    if room.free < _LITTLE:
        trouble = f"{folder} has {bytes_text(room.free)} free: make room, or put the lake elsewhere (--lake)."
        return Finding("disk", said, values, (trouble,))
    try:
        size, write, read = disk_speed(folder)
    except OSError as error:
        trouble = f"{folder} cannot be written: {error.strerror}; make it yours, or put the lake elsewhere (--lake)."
        return Finding("disk", said, values, (trouble,))
    values |= {"written_bytes_per_second": size / write, "read_bytes_per_second": size / read}
    speeds = f"writes {bytes_text(size / write)}/s, reads {bytes_text(size / read)}/s ({bytes_text(size)} tried)"
    return Finding("disk", f"{said}; {speeds}", values)


def disk_speed(folder: Path) -> tuple[int, float, float]:
    """Write a file until it is on the disk, and read it back: its bytes, the seconds of writing, and the seconds of reading.

    In between, the system is asked to drop the file from memory; where it cannot be asked, reading is as fast as memory.

    Raises:
        OSError: Nothing can be written there.
    """
    block = os.urandom(_BLOCK)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        start = time.perf_counter()
        size = 0
        while size < _BLOCK * _BLOCKS and time.perf_counter() - start < _SECONDS:
            size += file.write(block)
            os.fsync(file.fileno())
        write = time.perf_counter() - start
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        _, read = timed(lambda: all(iter(lambda: file.read(_BLOCK), b"")))
    return size, write, max(read, 1e-9)
