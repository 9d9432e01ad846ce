"""Caches: on this machine, what was read of lakes in buckets. Where they lie, how much they hold, and what may go."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import InputError
from featurestore.quantities import bytes_text, parse_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featurestore.settings import Settings

DEFAULT_SIZE = "20GB"
IN_USE = 3600.0
"""Seconds for which a file is not evicted after it was asked for: whoever was told its path may still be reading."""
LOCATION = "location"
"""The file that tells which lake a folder is of: what lies beside such folders is not ours."""
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """Where caches lie, and how much they hold.

    Attributes:
        root: The folder of the caches of all lakes.
        limit: Bytes that they hold together; 0 keeps nothing.
        activations: Whether large fragments of activations are kept, too.
    """

    root: Path
    limit: int
    activations: bool = False


def cache_settings(settings: Settings) -> CacheSettings:
    """What the environment says, else `featurestore.toml`, else the user's folder for caches and 20 GB.

    Raises:
        InputError: A size or truth value cannot be read.
    """
    named = os.environ.get("FEATURESTORE_CACHE") or settings.cache
    size = os.environ.get("FEATURESTORE_CACHE_SIZE") or settings.cache_size or DEFAULT_SIZE
    folder, limit = Path(named or _users_folder()), parse_bytes(size)
    try:
        folder = folder.expanduser().absolute()
    except RuntimeError:  # nobody's home, as in some containers: nothing is kept
        limit = 0
    return CacheSettings(folder, limit, _all(settings))


def _all(settings: Settings) -> bool:
    said = os.environ.get("FEATURESTORE_CACHE_ACTIVATIONS")
    if not said:
        return bool(settings.cache_activations)
    if said.lower() not in _TRUTHS:
        raise InputError(f"FEATURESTORE_CACHE_ACTIVATIONS must be true or false, not {said!r}.")
    return _TRUTHS[said.lower()]


def _users_folder() -> str:
    usual = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return f"{os.environ.get('XDG_CACHE_HOME') or usual}/featurestore"


@dataclass(frozen=True, slots=True)
class CachedLake:
    """What the cache holds of one lake."""

    location: str
    files: int
    bytes: int


def cached_lakes(root: Path) -> list[CachedLake]:
    """What the cache holds of each lake, in order of their locations."""
    found = []
    for folder in _folders(root):
        sizes = [size for _, size, _ in _files(folder)]
        found.append(CachedLake((folder / LOCATION).read_text(encoding="utf-8"), len(sizes), sum(sizes)))
    return sorted(found, key=lambda one: one.location)


def evict(settings: CacheSettings, size: int) -> int:
    """Delete what was not used for longest until there is room for so many bytes; return the bytes that are left."""
    files = sorted(file for folder in _folders(settings.root) for file in _files(folder))
    held, now = sum(length for _, length, _ in files), time.time()
    for used, length, path in files:
        if held + size <= settings.limit or now - used < IN_USE:
            break
        with contextlib.suppress(OSError):
            if time.time() - os.stat(path).st_mtime >= IN_USE:  # noqa: PTH116 # asked for since, it stays
                os.unlink(path)  # noqa: PTH108
                held -= length
    return held


def clear(root: Path) -> int:
    """Delete all that the cache holds, and nothing else that lies in its folder; return how many bytes it was."""
    freed = 0
    for folder in _folders(root):
        freed += sum(size for _, size, _ in _files(folder))
        shutil.rmtree(folder, ignore_errors=True)
    return freed


def described(settings: CacheSettings) -> list[str]:
    """What the cache holds of each lake in a line, and all of it."""
    lakes = cached_lakes(settings.root)
    total = sum(lake.bytes for lake in lakes)
    return [
        *(f"{lake.location}: {lake.files:,} files, {bytes_text(lake.bytes)}" for lake in lakes),
        f"{settings.root}: {bytes_text(total)} of at most {bytes_text(settings.limit)}",
    ]


def _folders(root: Path) -> list[Path]:
    """The folders of lakes: what else lies there is not ours."""
    return [folder for folder in root.iterdir() if (folder / LOCATION).is_file()] if root.is_dir() else []


def _files(folder: Path) -> Iterator[tuple[float, int, str]]:
    """When each file of a lake was used last, its bytes and its path; what went meanwhile is passed over."""
    for inside, _, names in os.walk(folder):
        for path in [f"{inside}/{name}" for name in names if name != LOCATION]:
            with contextlib.suppress(OSError):
                status = os.stat(path)  # noqa: PTH116 # there may be a hundred thousand
                yield status.st_mtime, status.st_size, path
