"""Answers as text or bytes: table, csv, json, markdown, parquet."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from featurestore.errors import InputError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb

_WIDEST = 10_000
_FORMATS: Mapping[str, Callable[[pl.DataFrame], str]]


def show(relation: duckdb.DuckDBPyRelation, format_: str) -> None:
    """Print an answer to standard output.

    Args:
        relation: The answer.
        format_: `table`, `csv`, `json`, `markdown` or `parquet`.

    Raises:
        MissingError: No format has that name.
        InputError: Parquet would go to a terminal.
    """
    pick("format", format_, (*_FORMATS, "table", "parquet"))
    frame = relation.pl()
    if format_ == "table":
        _print_table(frame)
    elif format_ == "parquet":
        _write_parquet(frame)
    else:
        sys.stdout.write(_FORMATS[format_](frame))


def _print_table(frame: pl.DataFrame) -> None:
    numeric = {name for name, dtype in frame.schema.items() if dtype.is_numeric()}
    table = Table(caption=f"{frame.height:,} rows" if frame.height != 1 else "1 row", caption_justify="left")
    for name in frame.columns:
        table.add_column(name, justify="right" if name in numeric else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*map(_text, row))
    console = Console()
    if not console.is_terminal:
        # What goes into a file or a pipe is as wide as it needs to be.
        wide = console.options.update(width=_WIDEST)
        console = Console(width=Measurement.get(console, wide, table).maximum)
    console.print(table)


def _write_parquet(frame: pl.DataFrame) -> None:
    if sys.stdout.isatty():
        raise InputError("Parquet is not for a terminal: send it to a file, `… --format parquet > answer.parquet`.")
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    sys.stdout.buffer.write(buffer.getvalue())


def _csv(frame: pl.DataFrame) -> str:
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    flat = frame.with_columns(
        pl.Series(name, [json.dumps(value, default=str) for value in frame[name].to_list()], dtype=pl.String)
        for name in nested
    )
    return flat.write_csv()


def _json(frame: pl.DataFrame) -> str:
    return json.dumps(frame.to_dicts(), indent=1, default=str, ensure_ascii=False) + "\n"


def _markdown(frame: pl.DataFrame) -> str:
    lines = [frame.columns, ["---:" if dtype.is_numeric() else "---" for dtype in frame.dtypes]]
    lines += [[_text(value).replace("|", "\\|").replace("\n", " ") for value in row] for row in frame.iter_rows()]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)


_FORMATS = {"csv": _csv, "json": _json, "markdown": _markdown}
