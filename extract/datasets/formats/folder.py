"""Image folders: `LOCATION/<class>/**/<image>`, with a class for each of the first folders."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.walk import images_below, sizes_below
from featurestore.errors import InputError

if TYPE_CHECKING:
    from extract.datasets.formats.format import FormatOptions

_FORMAT_OF_FILE = {".csv": "csv", ".parquet": "parquet", ".tar": "tar"}


def list_folder(location: str, role: str, _options: FormatOptions) -> Found:
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
    list_folder,
    takes=frozenset({"label_kind"}),
    names=lambda location: images_below(Path(location)),
)
