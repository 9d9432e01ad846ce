"""Answers as tables for people: what they are shown of a value, side by side as far as the terminal is wide."""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

from featurestore.shown_text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.cli.rows import Rows

_LEAST = 8  # of a column of texts, before others are left out


def text_table(answer: Rows) -> str:
    """An answer as a table for people, as polars draws it: rows in a frame of lines, numbers to the right, and how many rows there are.

    On a terminal it is as wide as that at most: texts are broken, but not numbers; columns that do not fit are left out and
    named, and where that would be most of them, each row becomes a line per column. In a file or a pipe, it is as wide as it
    needs to be.

    Args:
        answer: The answer.

    Returns:
        Lines, each ended.
    """
    columns = [
        _Column(printable(name), [printable(cell_text(row[place])) for row in answer.values], answer.numeric[place])
        for place, name in enumerate(answer.names)
    ]
    table = _drawn(columns)
    width = shutil.get_terminal_size().columns
    left_out: Sequence[_Column] = ()
    if sys.stdout.isatty() and _width(table.partition("\n")[0]) > width:
        shown, left_out = _fitting([column.narrow() for column in columns], width)
        if len(left_out) > len(shown):
            table, left_out = _stacked(columns, width), ()
        else:
            table = _drawn(shown)
    count = len(answer.values)
    rows = "1 row" if count == 1 else f"{count:,} rows"
    return f"{table}\n{rows}{_said_of(left_out)}\n"


def _stacked(columns: Sequence[_Column], width: int) -> str:
    """Each row as lines of a name and its value, for terminals that are too narrow for most columns."""
    longest = max(_width(column.heading) for column in columns)
    room = max(width - longest - 2, _LEAST)
    lines = []
    for row in range(len(columns[0].cells)):
        for heading, cells, numeric in columns:
            value = cells[row] if numeric else _wrapped(cells[row], room)
            first, *more = value.split("\n")
            lines += [f"{heading:<{longest}}  {first}".rstrip(), *(f"{'':<{longest}}  {line}" for line in more)]
        lines.append("")
    return "\n".join(lines)


def _said_of(left_out: Sequence[_Column]) -> str:
    if not left_out:
        return ""
    names = ", ".join(column.heading.replace("\n", "") for column in left_out)
    number = "1 column more does" if len(left_out) == 1 else f"{len(left_out)} columns more do"
    return f"; {number} not fit in here: {names} (--format csv has all)"


def _fitting(columns: Sequence[_Column], width: int) -> tuple[Sequence[_Column], Sequence[_Column]]:
    """Columns that fit side by side, texts broken where they must be and numbers never; and the last ones, which do not fit."""
    least = [column.least for column in columns]
    number = len(columns)
    while number > 1 and _framed(least[:number]) > width:
        number -= 1
    widths = [column.width for column in columns[:number]]
    while (excess := _framed(widths) - width) > 0:
        spare = [have - need for have, need in zip(widths, least[:number], strict=True)]
        widest = max(range(number), key=lambda place: (spare[place] > 0, widths[place]))
        if not spare[widest]:
            break
        widths[widest] -= min(excess, spare[widest], 4)
    fitted = [column.broken(to) for column, to in zip(columns[:number], widths, strict=True)]
    return fitted, columns[number:]


def _framed(widths: Sequence[int]) -> int:
    return sum(widths) + 3 * len(widths) + 1


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

    @property
    def width(self) -> int:
        """The longest line's."""
        return max(_width(line) for text in [self.heading, *self.cells] for line in text.split("\n"))

    @property
    def least(self) -> int:
        """How narrow it may become: no number is broken."""
        return max(min(self.width, _LEAST), max(map(_width, self.cells), default=0) if self.numeric else 0)

    def broken(self, width: int) -> _Column:
        """With lines of so many characters at most, but for numbers, which are never broken."""
        cells = self.cells if self.numeric else [_wrapped(cell, width) for cell in self.cells]
        return self._replace(heading=_wrapped(self.heading, width), cells=cells)

    def aligned(self) -> _Column:
        """With numbers to the right."""
        if not self.numeric:
            return self
        heading = self.heading.split("\n")
        width = max(map(len, [*heading, *self.cells]))
        return _Column("\n".join(line.rjust(width) for line in heading), [c.rjust(width) for c in self.cells], True)


def _drawn(columns: Sequence[_Column]) -> str:
    """Columns side by side in a frame."""
    frame = _LINES if _writes_unicode() else _ASCII
    aligned = [column.aligned() for column in columns]
    widths = [column.width for column in aligned]
    heading = _row([column.heading for column in aligned], widths, frame.row)
    rows = [_row(cells, widths, frame.row) for cells in zip(*(column.cells for column in aligned), strict=True)]
    top, middle, bottom = (
        f"{left}{between.join(line * (width + 2) for width in widths)}{right}"
        for left, line, between, right in (frame.top, frame.middle, frame.bottom)
    )
    return "\n".join([top, heading, middle, *rows, bottom])


class _Frame(NamedTuple):
    """What a frame is drawn with: of each line its left end, itself, what stands between columns, and its right end."""

    top: Sequence[str]
    middle: Sequence[str]
    bottom: Sequence[str]
    row: Sequence[str]


_LINES = _Frame(*map(tuple, ("┌─┬┐", "╞═╪╡", "└─┴┘", "│ ┆│")))
_ASCII = _Frame(*map(tuple, ("+-++", "+==+", "+-++", "| ||")))


def _row(cells: Sequence[str], widths: Sequence[int], frame: Sequence[str]) -> str:
    """Cells side by side, each in as many lines as the one with the most has."""
    left, _, between, right = frame
    texts = [cell.split("\n") for cell in cells]
    lines = []
    for number in range(max(map(len, texts), default=0)):
        line = [text[number] if number < len(text) else "" for text in texts]
        padded = (f" {text}{' ' * (width - _width(text))} " for text, width in zip(line, widths, strict=True))
        lines.append(f"{left}{between.join(padded)}{right}")
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> str:
    """A text in lines of so many characters at most, broken at spaces and hyphens where that is possible."""
    if all(_width(line) <= width for line in text.split("\n")):
        return text
    room = width if text.isascii() else max(1, width // 2)  # characters may be two wide
    return "\n".join(part for line in text.split("\n") for part in textwrap.wrap(line, room) or [""])


def _width(text: str) -> int:
    """How many columns of a terminal a line takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def printable(text: str) -> str:
    """A text without what moves the cursor or sets colours, but for line breaks, and with what the output can hold."""
    if text.isprintable() and text.isascii():
        return text
    return spelled_out(plain(text).replace("\t", "\\t"))


def spelled_out(text: str) -> str:
    """A text with the numbers of the characters that standard output has no bytes for."""
    return text.encode(output_encoding(), "backslashreplace").decode(output_encoding())


def output_encoding() -> str:
    """How standard output writes characters."""
    return sys.stdout.encoding or "ascii"


def _writes_unicode() -> bool:
    return spelled_out("─│┆") == "─│┆"
