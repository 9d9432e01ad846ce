"""One file, all files of a folder, or a glob: where formats with many images to a file look."""

from __future__ import annotations

import glob
from pathlib import Path

from featurestore.errors import InputError


def files_at(location: str, suffix: str) -> list[Path]:
    """The files of a location, in order.

    Args:
        location: A file, a folder (with what lies below it), or a glob.
        suffix: What files in a folder end with.

    Raises:
        InputError: There are none.
    """
    place = Path(location)
    if place.is_file():
        return [place]
    if place.is_dir():
        found = [path for path in place.rglob(f"*{suffix}") if not path.name.startswith(".")]
    else:
        found = list(base_of(location).glob(str(place.relative_to(base_of(location)))))
    files = sorted(path for path in found if path.is_file())
    if not files:
        raise InputError(f"There is no file {location}: expected a {suffix} file, a folder of them, or a quoted glob.")
    return files


def base_of(location: str) -> Path:
    """The folder that addresses of files at a location are relative to."""
    place = Path(location)
    if place.is_dir():
        return place
    magic = next((n for n, part in enumerate(place.parts) if glob.has_magic(part)), len(place.parts) - 1)
    return Path(*place.parts[: min(magic, len(place.parts) - 1)])


def address(file: Path, location: str) -> str:
    """The relative address of a file."""
    return file.relative_to(base_of(location)).as_posix()


def version(file: Path) -> tuple[str, int, int]:
    """A file as a key of a cache: its path, size and time."""
    stat = file.stat()
    return str(file), stat.st_size, stat.st_mtime_ns
