"""Where a dataset's images lie and how: what the columns `location` and `format` of the lake say, and back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from extract.datasets.formats import NO_OPTIONS, FormatOptions
from featurestore.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
        query = urlencode({option_name(name): str(value) for name, value in self.options.given.items()}, safe="/:")
        return f"{self.format}?{query}" if query else self.format

    @classmethod
    def parse(cls, text: str, location: str) -> Origin:
        """The inverse of `text`.

        Raises:
            FormatError: It has an option that this version does not know.
        """
        format_, _, query = text.partition("?")
        pairs = {name.replace("-", "_"): value for name, value in parse_qsl(query, keep_blank_values=True)}
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
