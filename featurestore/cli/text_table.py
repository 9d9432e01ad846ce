"""An answer as a table for people, drawn by polars."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

_LONGEST = 1_000_000  # characters of a cell


def text_table(frame: pl.DataFrame) -> str:
    """Rows in a frame of lines, numbers to the right, and how many rows there are.

    On a terminal it is as wide as that at most; in a file or a pipe, as wide as it needs to be, up to 65,535 characters.

    Args:
        frame: The answer.

    Returns:
        Lines, each ended.
    """
    columns = [_Column.of(column) for column in frame]
    table = _drawn(columns)
    width = shutil.get_terminal_size().columns
    if sys.stdout.isatty() and len(table.partition("\n")[0]) > width:
        table = _drawn([column.narrow() for column in columns], width)
    rows = "1 row" if frame.height == 1 else f"{frame.height:,} rows"
    return f"{table}\n{rows}\n"


def cell_text(value: Any) -> str:
    """What people are shown of a value: nothing for null, four digits of a number, the items of a list."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(cell_text, value))
    return str(value)


class _Column(NamedTuple):
    heading: str
    cells: list[str]
    numeric: bool

    @classmethod
    def of(cls, column: pl.Series) -> _Column:
        cells = [_printable(cell_text(value)) for value in column.to_list()]
        return cls(_printable(column.name), cells, column.dtype.is_numeric())

    def narrow(self) -> _Column:
        """With the heading broken after underscores, where it is wider than the cells."""
        first, *words = self.heading.replace("_", "_\n").split("\n")
        room = max(map(len, [*self.cells, first, *words]))
        broken = [first]
        for word in words:
            if len(broken[-1]) + len(word) <= room:
                broken[-1] += word
            else:
                broken.append(word)
        return self._replace(heading="\n".join(broken))

    def aligned(self) -> _Column:
        """With numbers to the right."""
        if not self.numeric:
            return self
        heading = self.heading.split("\n")
        width = max(map(len, [*heading, *self.cells]))
        return _Column("\n".join(line.rjust(width) for line in heading), [c.rjust(width) for c in self.cells], True)


def _drawn(columns: Sequence[_Column], width: int = -1) -> str:
    """Columns side by side in a frame; cells are broken where it would be wider than so many characters."""
    import polars as pl

    drawing = pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=width,
        fmt_str_lengths=_LONGEST,
        tbl_formatting="UTF8_FULL_CONDENSED" if _writes_unicode() else "ASCII_FULL_CONDENSED",
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
    )
    cells: dict[str, list[str]] = {}
    for column in columns:
        heading, texts, _ = column.aligned()
        while heading in cells:  # names that differ in nothing but spaces
            heading += " "
        cells[heading] = texts
    with drawing:
        return str(pl.DataFrame(cells, dict.fromkeys(cells, pl.String)))


def _printable(text: str) -> str:
    """A text without what moves the cursor or sets colours, but for line breaks."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _writes_unicode() -> bool:
    try:
        "─│┆".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
