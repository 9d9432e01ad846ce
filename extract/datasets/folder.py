"""Image folders: `LOCATION/<class>/**/<image>`, with classes in lexical order."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from extract.datasets.base import Format, Found
from extract.files import is_image
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extract.datasets.source import SourceOptions


def list_folder(location: str, role: str, _options: SourceOptions) -> Found:
    """List the images of a folder; the first folder of each path is its class.

    An OOD folder may also hold its images directly: they are one class, of the folder's name.

    Raises:
        InputError: The folder is missing or empty, or images of an ID dataset lie outside class folders.
    """
    folder = Path(location)
    check_folder(folder, "folder", "a folder with one folder of images per class")
    found = sorted(images_below(folder))
    if not found:
        raise InputError(f"There is no image below {folder}: expected folders of images, one per class.")
    paths = [path for path, _ in found]
    return Found(paths, [size for _, size in found], [_class_of(path, folder, role) for path in paths])


def check_folder(folder: Path, format_: str, expected: str) -> None:
    """Raise if a location is no folder."""
    if not folder.exists():
        raise InputError(f"There is no folder {folder}.")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file: the format {format_!r} takes {expected}.")


def images_below(folder: Path) -> Iterator[tuple[str, int]]:
    """Relative POSIX paths and sizes; hidden files and folders are passed over, links are followed."""
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
                    yield prefix + entry.name, entry.stat().st_size


def _class_of(path: str, folder: Path, role: str) -> str:
    first, slash, _ = path.partition("/")
    if slash:
        return first
    if role == "ood":
        return folder.name
    raise InputError(
        f"{folder / PurePosixPath(path)} lies outside a class folder: an ID dataset needs {folder}/<class>/<image>, so that it has labels."
    )


FOLDER = Format("folder", "a folder with one folder of images per class", list_folder)
