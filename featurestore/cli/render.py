"""Answers as text or bytes: table, csv, json, markdown, parquet."""

from __future__ import annotations

import io
import json
import math
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from featurestore.cli.text_table import cell_text, text_table
from featurestore.errors import InputError
from featurestore.names import pick
from featurestore.query import fetch

if TYPE_CHECKING:
    import duckdb
    import polars as pl

FORMATS = ("table", "csv", "json", "markdown", "parquet")


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


def _json(frame: pl.DataFrame) -> str:
    return _as_json(frame.to_dicts(), indent=1) + "\n"


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


_FORMATS = {"csv": _csv, "json": _json, "markdown": _markdown}
