"""Which columns of a list of images hold their paths and classes: by the names in its header, or by what they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from extract.datasets.formats.suffixes import is_image
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from extract.datasets.formats.format import FormatOptions

PATHS = frozenset({
    "path", "image", "filename", "file_name", "image_path", "filepath", "file_path", "image_location", "image_file", "image_filename",
    "image_name", "img", "img_path", "impath", "file",
})  # fmt: skip
CLASSES = frozenset({
    "label", "labels", "class", "target", "y", "category", "class_id", "class_name", "label_name", "wnid", "synset", "cls",
})  # fmt: skip


SPLITS = frozenset({"split", "subset", "set", "partition", "fold", "phase", "usage"})


@dataclass(frozen=True, slots=True)
class ListColumns:
    """The columns of a list of images.

    Attributes:
        header: Their names; empty if the list has none.
        path: Number of the column with the paths.
        label: Number of the column with the classes; None if there is none.
    """

    header: tuple[str, ...]
    path: int
    label: int | None

    @property
    def split(self) -> int | None:
        """Number of the column that may say the split of each image; None if no name is that of one."""
        others = [
            n for n, name in enumerate(self.header) if _plain(name) in SPLITS and n not in {self.path, self.label}
        ]
        return others[0] if len(others) == 1 else None

    @property
    def passed_over(self) -> list[str]:
        """Names of the columns that nothing is read from."""
        return [name or "(no name)" for number, name in enumerate(self.header) if number not in {self.path, self.label}]

    @property
    def follow_from_names(self) -> bool:
        """Whether the header alone says which column is which, and leaves none over."""
        kinds = [PATHS if number == self.path else CLASSES for number in range(len(self.header))]
        return bool(self.header) and all(_plain(n) in kind for n, kind in zip(self.header, kinds, strict=True))


def in_a_line(names: Iterable[str]) -> str:
    r"""Names of columns for messages: one that is quoted in its file may have line breaks.

    >>> in_a_line(["image", "a\nclass"])
    'image, a class'
    """
    return ", ".join(" ".join(name.split()) for name in names)


def choose_list_columns(file: Path | str, rows: Sequence[Sequence[str]], options: FormatOptions) -> ListColumns:
    """The columns of a list whose lines have equally many cells.

    Args:
        file: What messages call the list.
        rows: Its lines; the first may be a header.
        options: `image_column` and `label_column`, where the user named them.

    Raises:
        InputError: No column, or several could hold the paths or the classes, or a named one is not there.
    """
    if any(map(is_image, rows[0])):
        return _without_header(file, rows, options)
    header = tuple(cell.strip() for cell in rows[0])
    path = _path_column(file, header, rows[1:], options.image_column)
    return ListColumns(header, path, _class_column(file, header, path, options.label_column))


def looks_like_a_list(rows: Sequence[Sequence[str]]) -> bool:
    """Whether lines have a column of images beside another one, whether their first names it, or they all hold it."""
    if any(_plain(cell) in PATHS for cell in rows[0]):
        return True
    return len(_image_columns(rows)) == 1 and is_image(rows[0][_image_columns(rows)[0]])


def _path_column(file: Path | str, header: Sequence[str], rows: Sequence[Sequence[str]], wanted: str | None) -> int:
    if wanted is not None:
        return _named(file, header, wanted, "--image-column")
    usual = [number for number, name in enumerate(header) if _plain(name) in PATHS]
    images = _image_columns(rows)
    for found in (usual, [number for number in usual if number in images], [] if usual else images):
        if len(found) == 1:
            return found[0]
    if not usual and not images and len(header) > 2:
        raise InputError(f"{file} has no column for the image, only {in_a_line(header)}: name it with --image-column.")
    if not usual and not images:
        raise InputError(
            f"The first line of {file}, {', '.join(header)!r}, could be a header or an image, since no name below it ends as those "
            "of images do: put the header path,class above it, or name the column with --image-column."
        )
    several = in_a_line(header[number] for number in usual or images)
    raise InputError(f"{file} has several columns for the image ({several}): choose one with --image-column.")


def _class_column(file: Path | str, header: Sequence[str], path: int, wanted: str | None) -> int | None:
    if wanted is not None:
        return _named(file, header, wanted, "--label-column")
    others = [number for number in range(len(header)) if number != path]
    usual = [number for number in others if _plain(header[number]) in CLASSES]
    if len(usual) > 1:
        raise InputError(
            f"{file} has several columns for the class ({in_a_line(header[number] for number in usual)}): "
            "choose one with --label-column."
        )
    return next(iter(usual or (others if len(header) == 2 else [])), None)


def _without_header(file: Path | str, rows: Sequence[Sequence[str]], options: FormatOptions) -> ListColumns:
    images, width = _image_columns(rows), len(rows[0])
    if options.image_column or options.label_column or len(images) != 1 or width > 2:
        raise InputError(
            f"{file} has no header: its first line names the image {next(filter(is_image, rows[0]))}. With {width} columns, it "
            "needs one, such as path,class."
        )
    return ListColumns((), images[0], 1 - images[0] if width == 2 else None)


def _image_columns(rows: Sequence[Sequence[str]]) -> list[int]:
    """The columns of which each cell ends as an image's name does."""
    return [number for number in range(len(rows[0]) if rows else 0) if all(is_image(row[number]) for row in rows)]


def _named(file: Path | str, header: Sequence[str], wanted: str, option: str) -> int:
    for number, name in enumerate(header):
        if name == wanted:
            return number
    raise InputError(f"{file} has no column {wanted!r}: {option} is one of {in_a_line(header)}.")


def _plain(name: str) -> str:
    """A name as it is compared: `Image Path`, `image-path` and `image_path` are one."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())
