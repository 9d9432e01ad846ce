"""File lists: text in columns, of which one holds the images' paths and one their classes; as NINCO, Kaggle or pandas write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from extract.datasets.formats.delimited import ONE_COLUMN, split_columns
from extract.datasets.formats.format import NO_OPTIONS, FileReader, Format, Found
from extract.datasets.formats.list_columns import ListColumns, choose_list_columns, in_a_line
from extract.datasets.formats.roots import locate
from extract.datasets.formats.splits import choose_split, is_split
from extract.datasets.formats.walk import read_text
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets.formats.format import FormatOptions

_INTEGER = re.compile(r"-?[0-9]+")
_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0+")


@dataclass(frozen=True, slots=True)
class FileList:
    """What a file list says.

    Attributes:
        paths: The images, in its order.
        classes: Their classes; None if it has no column for them.
        notes: What was inferred, a line each.
        inferred: The options that would have said it.
    """

    paths: list[str]
    classes: list[str] | None
    notes: list[str]
    inferred: dict[str, Any]


def list_csv(location: str, role: str, options: FormatOptions) -> Found:
    """List the images of a file list, in its order.

    Without a column for the class, the images of an OOD list are one class, of the file's name.

    Raises:
        InputError: The list cannot be read, its columns or what separates them are in doubt, it has no classes, or an image is
            missing.
    """
    file = Path(location)
    said = read_list(file, options)
    if said.classes is None and role != "ood":
        raise InputError(
            f"{file} has no column for the class: an ID dataset needs one, such as image_location,class, so that it has labels; "
            "one of another name is --label-column."
        )
    classes = said.classes or [file.stem] * len(said.paths)
    root, sizes = locate(file, said.paths, options.root)
    notes, inferred = said.notes, said.inferred
    if root not in {options.root, file.parent}:
        notes = [*notes, f"{file}: its paths are relative to {root}, where its images are"]
        inferred = {**inferred, "root": root}
    return Found(said.paths, sizes, classes, None, tuple(notes), inferred)


def read_list(file: Path | str, options: FormatOptions = NO_OPTIONS, text: str | None = None) -> FileList:
    """The path and class of each line.

    Args:
        file: The list; or the URL of one that was read already.
        options: What the user said of its form.
        text: What stands in it, if it was read.

    Raises:
        InputError: The file cannot be read or has no image, or its columns or what separates them are in doubt.
    """
    rows, delimiter = split_columns(
        file, read_text(Path(file), "file list") if text is None else text, options.delimiter
    )
    _check_width(file, rows)
    columns = choose_list_columns(file, rows, options)
    lines = rows[1:] if columns.header else rows
    if not lines:
        raise InputError(f"{file} must be a CSV with a header, such as image_location,class, and an image per line.")
    everything = len(lines)
    lines = _of_split(file, columns, lines, options)
    _check_cells(file, columns, lines)
    paths, of_windows = _with_slashes(file, [row[columns.path] for row in lines], options.root)
    classes, were_floats = _classes(columns, lines)
    notes = [
        *_notes(file, columns, delimiter, options),
        *[f"{file}: paths have Windows' separators, which are read as /"] * of_windows,
        *[f"{file}: classes are integers written as 3.0, which are read as 3"] * were_floats,
        *(
            [f"{file}: {everything - len(lines):,} lines of other splits passed over"]
            if len(lines) < everything
            else []
        ),
    ]
    return FileList([_plain(path) for path in paths], classes, notes, _inferred(columns, delimiter, options))


def _check_width(file: Path | str, rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        raise InputError(f"{file} must be a CSV with a header, such as image_location,class, and an image per line.")
    for row in rows:
        if len(row) != len(rows[0]):
            raise InputError(
                f"{file} has the line {','.join(row)!r}, but its header has {len(rows[0])} columns: {in_a_line(rows[0])}."
            )


def _of_split(
    file: Path | str, columns: ListColumns, lines: list[list[str]], options: FormatOptions
) -> list[list[str]]:
    """The lines of the split that is meant, where a column says the split of each."""
    number = columns.split
    names = [] if number is None else sorted({line[number].strip() for line in lines})
    if options.split is None or number is None:
        if options.split is not None:
            raise InputError(f"{file} has no column for the split, such as split or subset: leave --split out.")
        if options.adding and len(names) > 1 and all(map(is_split, names)):
            raise InputError(
                f"The column {columns.header[number or 0]!r} of {file} names several splits ({', '.join(names)}), which are different "
                f"datasets: choose one with --split {names[0]}."
            )
        return lines
    chosen = choose_split(names, options.split, str(file))
    return [line for line in lines if line[number].strip() == chosen]


def _check_cells(file: Path | str, columns: ListColumns, lines: Sequence[Sequence[str]]) -> None:
    """Each image has a path, and a class if any has one."""
    for row in lines:
        if not row[columns.path].strip() or (columns.label is not None and not row[columns.label].strip()):
            raise InputError(f"{file} has the line {','.join(row)!r}, which lacks the image or its class: complete it.")


def _with_slashes(file: Path | str, paths: list[str], root: Path | str | None) -> tuple[list[str], bool]:
    """Paths as this machine writes them; a backslash may be part of a name, if there is such a file."""
    first = next((path for path in paths if "\\" in path), None)
    if first is None or (Path(root or Path(file).parent) / first).is_file():
        return paths, False
    return [path.replace("\\", "/") for path in paths], True


def _classes(columns: ListColumns, lines: Sequence[Sequence[str]]) -> tuple[list[str] | None, bool]:
    """The classes, and whether they are integers that something made floats, as pandas does."""
    if columns.label is None:
        return None, False
    cells = [row[columns.label].strip() for row in lines]
    different = set(cells)
    if not all(_WHOLE_FLOAT.fullmatch(cell) or _INTEGER.fullmatch(cell) for cell in different):
        return cells, False
    whole = {cell: _WHOLE_FLOAT.sub(r"\1", cell) for cell in different}
    return [whole[cell] for cell in cells], any(cell != integer for cell, integer in whole.items())


def _notes(file: Path | str, columns: ListColumns, delimiter: str, options: FormatOptions) -> list[str]:
    """What was inferred of a list's form, if it is not the plain one."""
    notes = []
    if options.delimiter is None and delimiter not in {"comma", ONE_COLUMN}:
        notes.append(f"{file}: its columns are separated by {delimiter}")
    if not columns.header:
        where = "" if columns.label is None else f", column {columns.label + 1} the classes"
        notes.append(f"{file} has no header: column {columns.path + 1} holds the paths{where}")
    elif not columns.follow_from_names:
        classes = (
            "no column holds classes" if columns.label is None else f"{columns.header[columns.label]!r} the classes"
        )
        over = f"; passed over: {', '.join(columns.passed_over)}" if columns.passed_over else ""
        notes.append(f"{file}: column {columns.header[columns.path]!r} holds the paths, {classes}{over}")
    return notes


def _inferred(columns: ListColumns, delimiter: str, options: FormatOptions) -> dict[str, Any]:
    """The options that say what the notes say."""
    found: dict[str, Any] = {}
    if options.delimiter is None and delimiter not in {"comma", ONE_COLUMN}:
        found["delimiter"] = delimiter
    if columns.header and not columns.follow_from_names:
        found["image_column"] = columns.header[columns.path]
        if columns.label is not None:
            found["label_column"] = columns.header[columns.label]
    return found


def _plain(path: str) -> str:
    """A path without `.` and doubled slashes, so that each image has one name."""
    return str(PurePosixPath(path)) if "//" in path or "./" in path or path.endswith(("/", "/.")) else path


def open_list(location: str, options: FormatOptions) -> FileReader:
    """The reader of a list's images."""
    return FileReader(Path(options.root or Path(location).parent))


CSV = Format(
    "csv",
    list_csv,
    open_list,
    frozenset({"root", "label_kind", "delimiter", "image_column", "label_column", "split"}),
    lambda location: [Path(location)],
)
