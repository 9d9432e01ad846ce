"""In which format images lie, where a user does not say it: by a location's kind, its suffix, and what lies in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets.buckets import is_url
from extract.datasets.formats import read_imglist, read_text
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PLAIN = "folder"
_OF_SUFFIX = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".tar": "tar"}
_LISTS = frozenset({".txt", ".lst", ".list"})


def detect_format(location: str) -> tuple[str, str | None]:
    """The format of a location and what tells it; None for a plain folder, of which nothing is to be said."""
    if location.startswith("hf:"):
        return "hf", "its name"
    place = Path(location)
    if os.path.isdir(location):  # noqa: PTH112 # a Path raises for a list of shards that is too long to be a name
        return _of_folder(place)
    if is_url(location) and place.suffix.lower() in _LISTS:
        return "imglist", "its suffix"
    if place.suffix.lower() in _LISTS and place.is_file():
        return ("imglist", "its lines `path label`") if _is_imglist(place) else ("csv", "its suffix")
    found = _OF_SUFFIX.get(place.suffix.lower())
    return (found, "its suffix") if found else (_PLAIN, None)


def _of_folder(folder: Path) -> tuple[str, str | None]:
    try:
        return next(((name, why) for name, (holds, why) in _FOLDERS.items() if holds(folder)), (_PLAIN, None))
    except OSError:  # it may not be looked at: who lists it says so
        return _PLAIN, None


def _is_imglist(file: Path) -> bool:
    try:
        return bool(read_imglist(file.name, read_text(file, "list")).paths)
    except InputError:
        return False


def _only(suffix: str) -> Callable[[Path], bool]:
    """Whether a folder holds files of a suffix, and nothing else that is not hidden but texts."""

    def holds(folder: Path) -> bool:
        found = {path.suffix.lower() for path in folder.iterdir() if not path.name.startswith(".")}
        return suffix in found and found <= {suffix, ".json", ".md", ".txt"}

    return holds


_FOLDERS: Mapping[str, tuple[Callable[[Path], bool], str]] = {
    "ninco": (lambda folder: (folder / "NINCO_OOD_classes.csv").is_file(), "NINCO's lists in it"),
    "tar": (_only(".tar"), "the .tar files in it"),
    "parquet": (_only(".parquet"), "the .parquet files in it"),
    "imagenet-val": (
        lambda folder: any(folder.glob("ILSVRC2012_val_*")) and not any(path.is_dir() for path in folder.iterdir()),
        "the names of the images in it",
    ),
}
