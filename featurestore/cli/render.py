"""Answers as text or bytes: table, csv, json, markdown, latex, parquet."""

from __future__ import annotations

import io
import json
import math
import shutil
import sys
import textwrap
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from featurestore.cli.options import FORMATS
from featurestore.errors import InputError
from featurestore.names import pick
from featurestore.query import fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb
    import polars as pl

_LONGEST = 1_000_000  # characters of a cell
_LEAST = 8  # of a column of texts, before others are left out
# The brackets and the star mean something to the line break before them.
_LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
    | {">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}", "*": "{*}"}
)


def show(relation: duckdb.DuckDBPyRelation, format_: str) -> None:
    """Print an answer to standard output.

    Args:
        relation: The answer.
        format_: One of `FORMATS`.

    Raises:
        MissingError: No format has that name.
        InputError: Parquet would go to a terminal, CSV has characters that the output cannot hold, or DuckDB fails at a row.
        StorageError: DuckDB cannot read the lake.
    """
    check_format(format_)
    show_frame(fetch(relation, typed=is_typed(format_)), format_)


def check_format(format_: str) -> None:
    """Raise if no format has that name, before anything is computed.

    Raises:
        MissingError: None has.
    """
    pick("format", format_, FORMATS)


def is_typed(format_: str) -> bool:
    """Whether a format has types of its own for dates and bytes, rather than texts."""
    return format_ == "parquet"


def show_frame(frame: pl.DataFrame, format_: str) -> None:
    """Print rows to standard output, as `show` does."""
    check_format(format_)
    if format_ == "parquet":
        _write_parquet(frame)
    else:
        sys.stdout.write(_FORMATS[format_](_exact(frame)))


def _exact(frame: pl.DataFrame) -> pl.DataFrame:
    """With decimals that have no fraction, as sums are, as integers: Python's decimals would be rounded to 37 digits."""
    import polars as pl

    def whole(dtype: Any) -> Any:
        if isinstance(dtype, pl.Decimal) and dtype.scale == 0:
            return pl.Int128()
        if isinstance(dtype, pl.List):
            return pl.List(whole(dtype.inner))
        return dtype

    exact = {name: whole(dtype) for name, dtype in frame.schema.items()}
    return frame.cast({name: dtype for name, dtype in exact.items() if dtype != frame.schema[name]})


def _write_parquet(frame: pl.DataFrame) -> None:
    if sys.stdout.isatty():
        raise InputError("Parquet is not for a terminal: send it to a file, `… --format parquet > answer.parquet`.")
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    sys.stdout.buffer.write(buffer.getvalue())


def _csv(frame: pl.DataFrame) -> str:
    import polars as pl

    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    flat = frame.with_columns(
        pl.Series(name, [None if value is None else _as_json(value) for value in frame[name].to_list()], pl.String)
        for name in nested
    )
    text = flat.write_csv()
    if unwritable := next((character for character in text if _spelled_out(character) != character), None):
        raise InputError(
            f"Standard output is {_encoding()}, which has no {unwritable!a}: set PYTHONIOENCODING=utf-8, or take --format json."
        )
    return text


def _json(frame: pl.DataFrame) -> str:
    rows = _jsonable(frame.to_dicts())
    text = json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text if _spelled_out(text) == text else json.dumps(rows, indent=1)}\n"


def _as_json(value: Any) -> str:
    return json.dumps(_jsonable(value), ensure_ascii=False, allow_nan=False)


def _jsonable(value: Any) -> Any:
    """What JSON can hold of a value: it has no NaN, no infinity, no dates, and one kind of number."""
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def _markdown(frame: pl.DataFrame) -> str:
    lines = [[_cell(name) for name in frame.columns], ["---:" if t.is_numeric() else "---" for t in frame.dtypes]]
    lines += [[_cell(cell_text(value)) for value in row] for row in frame.iter_rows()]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\r", " ").replace("\n", " ")


def _latex(frame: pl.DataFrame) -> str:
    """A tabular with the rules of the package booktabs, numbers to the right."""
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]

    def line(cells: Iterable[str]) -> str:
        return f"{' & '.join(cells)} \\\\"

    lines = [
        f"\\begin{{tabular}}{{{''.join('r' if is_number else 'l' for is_number in numeric)}}}",
        "\\toprule",
        line(map(_in_latex, frame.columns)),
        "\\midrule",
        *(
            line(
                _number_in_latex(value) if n else _in_latex(cell_text(value))
                for value, n in zip(row, numeric, strict=True)
            )
            for row in frame.iter_rows()
        ),
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _in_latex(text: str) -> str:
    """A text that LaTeX prints as it is, on one line."""
    return _printable(text.replace("\r", " ").replace("\n", " ")).translate(_LATEX)


def _number_in_latex(value: Any) -> str:
    r"""A number with its minus sign, and its power of ten.

    >>> _number_in_latex(-1e-9), _number_in_latex(0.25), _number_in_latex(None)
    ('$-1 \\times 10^{-9}$', '0.25', '')
    """
    number, e, power = cell_text(value).partition("e")
    times = f" \\times 10^{{{int(power)}}}" if e else ""
    return f"${number}{times}$" if times or number.startswith("-") else number


def text_table(frame: pl.DataFrame) -> str:
    """An answer as a table for people, drawn by polars: rows in a frame of lines, numbers to the right, and how many rows there are.

    On a terminal it is as wide as that at most: texts are broken, but not numbers; columns that do not fit are left out and
    named, and where that would be most of them, each row becomes a line per column. In a file or a pipe, it is as wide as it
    needs to be, up to 65,535 characters.

    Args:
        frame: The answer.

    Returns:
        Lines, each ended.
    """
    columns = [_Column.of(column) for column in frame]
    table = _drawn(columns)
    width = shutil.get_terminal_size().columns
    left_out: Sequence[_Column] = ()
    if sys.stdout.isatty() and _width(table.partition("\n")[0]) > width:
        shown, left_out = _fitting([column.narrow() for column in columns], width)
        if len(left_out) > len(shown):
            table, left_out = _stacked(columns, width), ()
        else:
            table = _drawn(shown)
    rows = "1 row" if frame.height == 1 else f"{frame.height:,} rows"
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
    import polars as pl

    drawing = pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=-1,
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


def _printable(text: str) -> str:
    """A text without what moves the cursor or sets colours, but for line breaks, and with what the output can hold."""
    if text.isprintable() and text.isascii():
        return text
    return _spelled_out("".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text))


def _spelled_out(text: str) -> str:
    """A text with the numbers of the characters that standard output has no bytes for."""
    return text.encode(_encoding(), "backslashreplace").decode(_encoding())


def _encoding() -> str:
    return sys.stdout.encoding or "ascii"


def _writes_unicode() -> bool:
    return _spelled_out("─│┆") == "─│┆"


_FORMATS = {"table": text_table, "csv": _csv, "json": _json, "markdown": _markdown, "latex": _latex}
