"""Image folders: `LOCATION/<class>/**/<image>`, with classes in lexical order."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from extract.datasets.file_sizes import file_sizes
from extract.datasets.files import is_image
from extract.datasets.formats.format import Format, Found
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets.source import SourceOptions

_FORMAT_OF_FILE = {".csv": "csv", ".parquet": "parquet", ".tar": "tar"}


def list_folder(location: str, role: str, _options: SourceOptions) -> Found:
    """List the images of a folder; the first folder of each path is its class.

    An OOD folder may also hold its images directly: they are one class, of the folder's name.

    Raises:
        InputError: The folder is missing or empty, or images of an ID dataset lie outside class folders.
    """
    folder = Path(location)
    check_folder(folder, "folder", "a folder with one folder of images per class")
    paths = images_below(folder)
    if not paths:
        raise InputError(f"There is no image below {folder}: expected folders of images, one per class.")
    classes = [_class_of(path, folder, role) for path in paths]
    return Found(paths, sizes_below(folder, paths), classes)


def check_folder(folder: Path, format_: str, expected: str) -> None:
    """Raise if a location is no folder."""
    if folder.is_dir():
        return
    other = "hf" if str(folder).startswith("hf:") else _FORMAT_OF_FILE.get(folder.suffix)
    hint = f" If it is meant to be read as such, say --format {other}." if other else ""
    if not folder.exists():
        raise InputError(f"There is no folder {folder}.{hint}")
    raise InputError(f"{folder} is a file: the format {format_!r} takes {expected}.{hint}")


def images_below(folder: Path) -> list[str]:
    """Relative POSIX paths in order; hidden files and folders are passed over, links are followed."""
    paths: list[str] = []
    stack = [""]
    while stack:
        prefix = stack.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    stack.append(f"{prefix}{entry.name}/")
                elif is_image(entry.name):
                    paths.append(prefix + entry.name)
    return sorted(paths)


def sizes_below(folder: Path, paths: Sequence[str]) -> list[int]:
    """The sizes of files that a folder was seen to hold.

    Raises:
        InputError: One is not there: it went meanwhile, or is a link to nothing.
    """
    sizes = file_sizes(folder, paths)
    for path, size in zip(paths, sizes, strict=True):
        if size is None:
            raise InputError(f"Cannot read {folder / path}: No such file or directory.")
    return [size for size in sizes if size is not None]


def _class_of(path: str, folder: Path, role: str) -> str:
    first, slash, _ = path.partition("/")
    if slash:
        return first
    if role == "ood":
        return folder.name
    raise InputError(
        f"{folder / PurePosixPath(path)} lies outside a class folder: an ID dataset needs {folder}/<class>/<image>, so that it has labels."
    )


FOLDER = Format(
    "folder",
    "a folder with one folder of images per class",
    list_folder,
    names=lambda location: images_below(Path(location)),
)
