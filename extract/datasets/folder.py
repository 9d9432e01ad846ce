"""Image folders: `LOCATION/<class>/**/<image>`, with classes in lexical order."""

from __future__ import annotations

import csv
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from extract.datasets.listing import Listing
from extract.files import is_image
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def list_folder(location: Path, role: str, labels: Path | None) -> Listing:
    """List the images of a folder; the first folder of each path is its class.

    An OOD folder may also hold its images directly: they are one class, of the folder's name.

    Raises:
        InputError: The folder is missing or empty, or images of an ID dataset lie outside class folders.
    """
    _check_folder(location)
    found = sorted(_images(location))
    if not found:
        raise InputError(f"There is no image below {location}: expected folders of images, one per class.")
    paths = [path for path, _ in found]
    classes = [_class_of(path, location, role) for path in paths]
    label_of = _labels(sorted(set(classes)), role, labels)
    return Listing(paths, [size for _, size in found], [label_of.get(name) for name in classes], classes)


def _check_folder(location: Path) -> None:
    if not location.exists():
        raise InputError(f"There is no folder {location}.")
    if not location.is_dir():
        raise InputError(
            f"{location} is a file: the format 'folder' takes a folder with one folder of images per class."
        )


def _images(folder: Path) -> Iterator[tuple[str, int]]:
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


def _class_of(path: str, location: Path, role: str) -> str:
    parts = PurePosixPath(path).parts
    if len(parts) > 1:
        return parts[0]
    if role == "ood":
        return location.name
    raise InputError(
        f"{location / path} lies outside a class folder: an ID dataset needs {location}/<class>/<image>, so that it has labels."
    )


def _labels(classes: Sequence[str], role: str, file: Path | None) -> Mapping[str, int]:
    if role == "ood":
        return {}
    if file is None:
        return {name: index for index, name in enumerate(classes)}
    label_of = _read_labels(file)
    missing = [name for name in classes if name not in label_of]
    if missing:
        raise InputError(f"{file} has no label for the class {missing[0]!r} ({len(missing)} classes are missing).")
    return label_of


def _read_labels(file: Path) -> dict[str, int]:
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.reader(lines))[1:]
        return {name: int(label) for name, label in rows}
    except OSError as error:
        raise InputError(f"Cannot read the labels {file}: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{file} must be a CSV with a header and two columns, class_name,label: {error}.") from error
