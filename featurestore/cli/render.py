"""Answers as text or bytes: table, csv, json, markdown, parquet."""

from __future__ import annotations

import io
import json
import math
import shutil
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from featurestore.cli.options import FORMATS
from featurestore.errors import InputError
from featurestore.names import pick
from featurestore.query import fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb
    import polars as pl

_LONGEST = 1_000_000  # characters of a cell


def show(relation: duckdb.DuckDBPyRelation, format_: str) -> None:
    """Print an answer to standard output.

    Args:
        relation: The answer.
        format_: `table`, `csv`, `json`, `markdown` or `parquet`.

    Raises:
        MissingError: No format has that name.
        InputError: Parquet would go to a terminal, or DuckDB fails at a row.
        StorageError: DuckDB cannot read the lake.
    """
    check_format(format_)
    show_frame(fetch(relation), format_)


def check_format(format_: str) -> None:
    """Raise if no format has that name, before anything is computed.

    Raises:
        MissingError: None has.
    """
    pick("format", format_, FORMATS)


def show_frame(frame: pl.DataFrame, format_: str) -> None:
    """Print rows to standard output, as `show` does."""
    check_format(format_)
    if format_ == "table":
        sys.stdout.write(text_table(frame))
    elif format_ == "parquet":
        _write_parquet(frame)
    else:
        sys.stdout.write(_FORMATS[format_](frame))


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
    return flat.write_csv()


def _as_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(_jsonable(value), indent=indent, ensure_ascii=False, allow_nan=False)


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


def text_table(frame: pl.DataFrame) -> str:
    """An answer as a table for people, drawn by polars: rows in a frame of lines, numbers to the right, and how many rows there are.

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


_FORMATS = {"csv": _csv, "json": lambda frame: _as_json(frame.to_dicts(), indent=1) + "\n", "markdown": _markdown}
