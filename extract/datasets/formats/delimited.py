"""Text in columns: what separates them, and the cells of each line."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from extract.datasets.formats.list_columns import looks_like_a_list
from featurestore.errors import InputError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
_NO_DELIMITER = "\x1f"  # stands in no text: the line is one cell
ONE_COLUMN = "none"


def split_columns(file: Path | str, text: str, wanted: str | None) -> tuple[list[list[str]], str]:
    """The cells of each line that is not empty, and the name of what separates them, `none` for a single column.

    A delimiter is the text's if it cuts every line into equally many cells, two or more. A space is, besides, only if the
    text then reads as a list of images, since paths may hold spaces.

    Args:
        file: What messages call the text.
        text: The whole of it.
        wanted: The delimiter that the user named, or the character itself; None to find it.

    Raises:
        InputError: Several delimiters would do, or the text is no such table.
    """
    if wanted is not None:
        name = next((name for name, sign in _NAMES.items() if sign == wanted), wanted)
        return _cells(file, text, _NAMES[pick("delimiter", name, _NAMES)]), name
    first = text.lstrip("\r\n").partition("\n")[0]
    cut = {name: _cells(file, text, sign) for name, sign in _NAMES.items() if sign in first}
    even = [name for name, rows in cut.items() if _is_even(rows) and (name != "space" or looks_like_a_list(rows))]
    if len(even) > 1:
        even = [name for name in even if looks_like_a_list(cut[name])] or even
    if len(even) > 1:
        raise InputError(
            f"The columns of {file} could be separated by {' or '.join(even)}: say which with --delimiter."
        )
    # A header that names a column of images, above lines that do not fit it: their fault is told by who reads them.
    named = [name for name, rows in cut.items() if len(rows[0]) > 1 and looks_like_a_list(rows[:1])]
    chosen = next(iter(even or named), None)
    return (cut[chosen], chosen) if chosen else (_cells(file, text, _NO_DELIMITER), ONE_COLUMN)


def _cells(file: Path | str, text: str, sign: str) -> list[list[str]]:
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=sign, skipinitialspace=True)
        return [row for row in lines if row]
    except csv.Error as error:
        raise InputError(f"Cannot read the file list {file}: {error}.") from error


def _is_even(rows: Sequence[Sequence[str]]) -> bool:
    return len({len(row) for row in rows}) == 1 and len(rows[0]) > 1
