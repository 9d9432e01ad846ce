"""File lists: a CSV with a header and the columns `image_location,class`, as NINCO has them."""

from __future__ import annotations

import csv
import io
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from extract.datasets.formats.format import FileReader, Format, Found
from extract.datasets.formats.walk import is_image, read_text, sizes_below
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets.formats.format import FormatOptions

_HEADER = "image_location,class"


def list_csv(location: str, role: str, options: FormatOptions) -> Found:
    """List the images of a CSV file, in its order.

    Without a column for the class, the images of an OOD list are one class, of the file's name.

    Raises:
        InputError: The CSV cannot be read, has no header or no classes, or an image is missing; or the classes of an ID
            list are integers, and nothing says that they are labels.
    """
    file = Path(location)
    rows = read_rows(file)
    paths = [_plain(path) for path, _ in rows]
    classes = [file.stem if name is None else name for _, name in rows]
    if role != "ood" and any(name is None for _, name in rows):
        raise InputError(f"{file} has no column for the class: an ID dataset needs {_HEADER}, so that it has labels.")
    labels = _integer_labels(file, classes, role, options)
    return Found(paths, sizes_below(_root(location, options), paths, listed_in=file), classes, labels)


def read_rows(file: Path) -> list[tuple[str, str | None]]:
    """The path and class of each line; the class is None where there is no such column.

    Raises:
        InputError: The file cannot be read, has no header, no image, or another number of columns.
    """
    try:
        lines = io.StringIO(read_text(file, "file list"), newline="")
        header, *rows = [row for row in csv.reader(lines) if row] or [[]]
    except csv.Error as error:
        raise InputError(f"Cannot read the file list {file}: {error}.") from error
    if header and is_image(header[0]):
        raise InputError(f"{file} has no header: its first line names the image {header[0]}. Put {_HEADER} above it.")
    if not rows or len(header) > 2:
        raise InputError(
            f"{file} must be a CSV with a header and one or two columns, {_HEADER}, and an image per line."
        )
    for row in rows:
        if len(row) != len(header) or not all(row):
            raise InputError(
                f"{file} has the line {','.join(row)!r}, but its header has {len(header)} columns: {','.join(header)}."
            )
    return [(row[0], row[1] if len(row) > 1 else None) for row in rows]


def _plain(path: str) -> str:
    """A path without `.` and doubled slashes, so that each image has one name."""
    return str(PurePosixPath(path)) if "//" in path or "./" in path or path.endswith(("/", "/.")) else path


def _integer_labels(file: Path, classes: Sequence[str], role: str, options: FormatOptions) -> dict[str, int] | None:
    """Integers may be labels or names; in lexical order, 10 would come before 2."""
    integers = all(name.isascii() and name.isdigit() for name in classes)
    if options.label_kind not in {None, "index"} or (options.label_kind and not integers):
        raise InputError(
            f"--label-kind {options.label_kind} does not fit {file}: of a file list, only integer classes are labels (index)."
        )
    if options.label_kind == "index":
        return {name: int(name) for name in set(classes)}
    if integers and role != "ood" and options.labels is None:
        raise InputError(
            f"The classes in {file} are integers: if they are the indices of the heads' classes, say --label-kind index; "
            "else give a CSV class_name,label with --labels."
        )
    return None


def _root(location: str, options: FormatOptions) -> Path:
    return options.root or Path(location).parent


CSV = Format(
    "csv",
    list_csv,
    lambda location, options: FileReader(_root(location, options)),
    frozenset({"root", "label_kind"}),
    lambda location: [Path(location)],
)
