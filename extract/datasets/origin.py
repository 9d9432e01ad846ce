"""Where a dataset's images lie and how: what the columns `location` and `format` of the lake say, and back.

Where a user does not say the format, it is told by the location's kind, its suffix, and what lies in it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.datasets.buckets import is_url
from extract.datasets.formats import NO_OPTIONS, FormatOptions, read_imglist, read_text
from featurestore.dataset_format import parsed, text_of
from featurestore.errors import FormatError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_PLAIN = "folder"
_OF_SUFFIX = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".tar": "tar"}
_LISTS = frozenset({".txt", ".lst", ".list"})


def place(text: str) -> Path | str:
    """A folder here as a path, and a URL as it is, of which a path would lose a slash."""
    return text if "://" in text else Path(text)


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "labels": Path, "synsets": Path, "root": place, "per_class": int, "seed": int,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """A dataset's format, location and options.

    Attributes:
        format: Name of the format.
        location: An absolute path or glob, or `hf:NAME@split`.
        options: What the format needs to list and read the images again.
    """

    format: str
    location: str
    options: FormatOptions = NO_OPTIONS

    @property
    def text(self) -> str:
        """The format with its options, as the lake keeps it: `ninco?part=ood-classes&subset=46`."""
        return text_of(self.format, {option_name(name): str(value) for name, value in self.options.given.items()})

    @classmethod
    def parse(cls, text: str, location: str) -> Origin:
        """The inverse of `text`.

        Raises:
            FormatError: It has an option that this version does not know.
        """
        format_, said = parsed(text)
        pairs = {name.replace("-", "_"): value for name, value in said.items()}
        unknown = sorted(pairs.keys() - {field.name for field in fields(FormatOptions)})
        if unknown:
            raise FormatError(
                f"The lake keeps a dataset with the format {text!r}, whose option {option_name(unknown[0])!r} this version "
                "does not know: install the version of featurestore that added it."
            )
        options = {name: _PARSERS.get(name, str)(value) for name, value in pairs.items()}
        return cls(format_, location, FormatOptions(**options))


def option_name(field: str) -> str:
    """How users write an option: `label-kind` for `label_kind`."""
    return field.replace("_", "-")


def detect_format(location: str) -> tuple[str, str | None]:
    """The format of a location and what tells it; None for a plain folder, of which nothing is to be said."""
    if location.startswith("hf:"):
        return "hf", "its name"
    path = Path(location)
    if os.path.isdir(location):  # noqa: PTH112 # a Path raises for a list of shards that is too long to be a name
        return _of_folder(path)
    if is_url(location) and path.suffix.lower() in _LISTS:
        return "imglist", "its suffix"
    if path.suffix.lower() in _LISTS and path.is_file():
        return ("imglist", "its lines `path label`") if _is_imglist(path) else ("csv", "its suffix")
    found = _OF_SUFFIX.get(path.suffix.lower())
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
