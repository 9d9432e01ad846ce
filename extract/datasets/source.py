"""Where a dataset's images lie and how: what the columns `location` and `format` of the lake say, and back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from featurestore.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a format may need to know; None where it was not said.

    Attributes:
        labels: CSV file `class_name,label`; for `imagenet-val`, the file with the images' labels.
        label_kind: What integers or names in a list mean: `wnid`, `devkit` or `index`.
        synsets: File with the 1,000 wnids of ImageNet, with their devkit ids where those are used.
        root: Folder that a file list's paths are relative to.
        part: Part of NINCO.
        subset: `46` or `64`: how many of NINCO's OOD classes.
        inside: Folder inside a tar that holds the class folders.
        label_column: Column of a table that holds the labels.
        per_class: Images to choose of each class.
        seed: Seed of that choice.
        stamp: Names, sizes and times of the files when the dataset was added; equal means unchanged.
    """

    labels: Path | None = None
    label_kind: str | None = None
    synsets: Path | None = None
    root: Path | None = None
    part: str | None = None
    subset: str | None = None
    inside: str | None = None
    label_column: str | None = None
    per_class: int | None = None
    seed: int | None = None
    stamp: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """The options that were said."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if value is not None}


NO_OPTIONS = SourceOptions()
_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "labels": Path, "synsets": Path, "root": Path, "per_class": int, "seed": int,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset's format, location and options.

    Attributes:
        format: Name of the format.
        location: An absolute path or glob, or `hf:NAME@split`.
        options: What the format needs to list and read the images again.
    """

    format: str
    location: str
    options: SourceOptions = NO_OPTIONS

    @property
    def text(self) -> str:
        """The format with its options, as the lake keeps it: `ninco?part=ood-classes&subset=46`."""
        query = urlencode({option_name(name): str(value) for name, value in self.options.given.items()}, safe="/:")
        return f"{self.format}?{query}" if query else self.format

    @classmethod
    def parse(cls, text: str, location: str) -> Source:
        """The inverse of `text`.

        Raises:
            FormatError: It has an option that this version does not know.
        """
        format_, _, query = text.partition("?")
        pairs = {name.replace("-", "_"): value for name, value in parse_qsl(query, keep_blank_values=True)}
        unknown = sorted(pairs.keys() - {field.name for field in fields(SourceOptions)})
        if unknown:
            raise FormatError(
                f"The lake keeps a dataset with the format {text!r}, whose option {option_name(unknown[0])!r} this version "
                "does not know: install the version of featurestore that added it."
            )
        options = {name: _PARSERS.get(name, str)(value) for name, value in pairs.items()}
        return cls(format_, location, SourceOptions(**options))


def option_name(field: str) -> str:
    """How users write an option: `label-kind` for `label_kind`."""
    return field.replace("_", "-")
