"""What a dataset format is: a way to list images, and a way to open one of them again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extract.datasets.source import SourceOptions


@dataclass(frozen=True, slots=True)
class Found:
    """The images that a format found, in order.

    Attributes:
        paths: Address of each image inside the dataset.
        bytes: Sizes.
        class_names: Each image's class.
        label_of_class: Labels that the source itself gives; None if they follow from the lexical order of the classes.
    """

    paths: Sequence[str]
    bytes: Sequence[int]
    class_names: Sequence[str]
    label_of_class: Mapping[str, int] | None = None


class Reader(Protocol):
    """Opens images by their address; it is sent to worker processes, so it holds no open file."""

    def open(self, path: str) -> IO[bytes]:
        """Open an image's bytes."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """Images that are files below a folder."""

    root: Path

    def open(self, path: str) -> IO[bytes]:
        """Open an image file."""
        return (self.root / path).open("rb")


def read_below(location: str, _options: SourceOptions) -> FileReader:
    """A reader of files below the dataset's location."""
    return FileReader(Path(location))


@dataclass(frozen=True, slots=True)
class Format:
    """How images may lie. A module of this package that defines one adds it.

    Attributes:
        name: What `--format` takes.
        title: What it is, in a line.
        listing: From location, role and options to the images; for the role `ood`, no labels are needed.
        reader: From location and options to the reader of its addresses.
        takes: The options that it knows, of `SourceOptions`.
        files: The files whose names, sizes and times tell whether the list changed, where listing again is slow.
        names: The images' addresses as they are now, in order, where they tell everything but the sizes.
    """

    name: str
    title: str
    listing: Callable[[str, str, SourceOptions], Found]
    reader: Callable[[str, SourceOptions], Reader] = read_below
    takes: frozenset[str] = frozenset()
    files: Callable[[str], Sequence[Path]] | None = None
    names: Callable[[str], Sequence[str]] | None = None
