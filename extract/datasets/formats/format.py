"""What a dataset format is: a way to list images, and a way to open one of them again."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class FormatOptions:
    """What a format may need to know; None where it was not said.

    Attributes:
        labels: CSV file `class_name,label`; for `imagenet-val`, the file with the images' labels.
        label_kind: What integers or names that stand for classes mean: `wnid`, `devkit` or `index`.
        split: The split to take, of those that lie side by side in folders or files.
        image_key: Which of the images under one WebDataset key is meant: what follows the key's dot.
        suffixes: Images' suffixes beyond those of the first versions that were found when the dataset was added.
        label_order: How classes are numbered by their names: `natural`, `text` or `imagenet`.
        synsets: File with the 1,000 wnids of ImageNet, with their devkit ids where those are used.
        root: Folder that a file list's paths are relative to; a text, if it is a URL.
        part: Part of NINCO.
        subset: `46` or `64`: how many of NINCO's OOD classes.
        inside: Folder inside a tar that holds the class folders.
        label_column: Column of a table or a file list that holds the labels.
        image_column: Column of a file list that holds the paths.
        delimiter: What separates a file list's columns: `comma`, `semicolon`, `tab`, `pipe`, `space`, or the character.
        per_class: Images to choose of each class.
        seed: Seed of that choice.
        stamp: Names, sizes and times of the files when the dataset was added; equal means unchanged.
        parent: The dataset of the lake that this one is a part of; None if it is none, or that one was removed.
        chosen: Which of its images they are, in words; of a part alone.
    """

    labels: Path | None = None
    label_kind: str | None = None
    synsets: Path | None = None
    root: Path | str | None = None
    part: str | None = None
    subset: str | None = None
    inside: str | None = None
    label_column: str | None = None
    per_class: int | None = None
    seed: int | None = None
    stamp: str | None = None
    image_column: str | None = None
    delimiter: str | None = None
    label_order: str | None = None
    split: str | None = None
    image_key: str | None = None
    suffixes: str | None = None
    parent: str | None = None
    chosen: str | None = None

    @property
    def is_part(self) -> bool:
        """Whether just some of the images that lie there are meant."""
        return self.per_class is not None or self.chosen is not None

    @property
    def adding(self) -> bool:
        """Whether the dataset is being added, rather than read again as a lake holds it."""
        return self.suffixes is None

    @property
    def given(self) -> dict[str, Any]:
        """The options that were said."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in named.items() if value is not None}


NO_OPTIONS = FormatOptions()


@dataclass(frozen=True, slots=True)
class Found:
    """The images that a format found, in order.

    Attributes:
        paths: Address of each image inside the dataset.
        bytes: Sizes.
        class_names: Each image's class.
        label_of_class: Labels that the source itself gives beside names; None if they follow from the names of the classes.
        notes: What was inferred or passed over, with where it came from: a line each, for the user.
        refusal: Why a dataset that is like this is not added; one that a lake holds already is read as before.
        inferred: Options that were inferred and not said; the lake keeps them, so that listing again infers nothing else.
        seen: Of OOD images, by pretraining data, the classes that these are said to hold.
    """

    paths: Sequence[str]
    bytes: Sequence[int]
    class_names: Sequence[str]
    label_of_class: Mapping[str, int] | None = None
    notes: Sequence[str] = ()
    inferred: Mapping[str, Any] = field(default_factory=dict)
    refusal: str | None = None
    seen: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Stat(Protocol):
    """What tells one version of a file from another: its size and time."""

    @property
    def st_size(self) -> int:
        """Its size in bytes."""

    @property
    def st_mtime_ns(self) -> int:
        """When it was written, in nanoseconds."""


class Stamped(Protocol):
    """A file, or an object in a bucket, that may change."""

    @property
    def name(self) -> str:
        """Its name."""

    def stat(self) -> Stat:
        """Its version as it is now."""


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


@dataclass(frozen=True, slots=True)
class Format:
    """How images may lie. A module of this package that defines one adds it.

    Attributes:
        name: What `--format` takes.
        listing: From location, role and options to the images; for the role `ood`, no labels are needed.
        reader: From location and options to the reader of its addresses.
        takes: The options that it knows, of `FormatOptions`.
        files: The files whose names, sizes and times tell whether the list changed, where listing again is slow.
        names: From location and options to the images' addresses as they are now, in order, where they tell everything but
            the sizes.
    """

    name: str
    listing: Callable[[str, str, FormatOptions], Found]
    reader: Callable[[str, FormatOptions], Reader] = lambda location, _: FileReader(Path(location))
    takes: frozenset[str] = frozenset()
    files: Callable[[str], Sequence[Stamped]] | None = None
    names: Callable[[str, FormatOptions], Sequence[str]] | None = None
