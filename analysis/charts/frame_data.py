"""Frames inside the page: by column, texts by number, numbers rounded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence


def encoded(frame: pl.DataFrame, *, digits: int = 6) -> list[dict[str, Any]]:
    """A frame as JSON takes it: less than half as long as polars' `write_json`, which writes each text again in each row.

    Args:
        frame: Any frame; lists are joined to text.
        digits: Significant digits of numbers.

    Returns:
        For each column `{"name", "values"}`, or `{"name", "words", "at"}` for texts: each row's position in `words`, -1 for null.
    """
    return [_column(column, digits) for column in frame]


def _column(column: pl.Series, digits: int) -> dict[str, Any]:
    if column.dtype.is_float():
        return {"name": column.name, "values": [_rounded(value, digits) for value in column.to_list()]}
    if column.dtype.is_integer() or column.dtype == pl.Boolean:
        return {"name": column.name, "values": column.to_list()}
    texts = column if column.dtype == pl.String else pl.Series(map(_text, column), dtype=pl.String)
    words = texts.drop_nulls().unique().sort().to_list()
    at = texts.cast(pl.Enum(words)).to_physical().cast(pl.Int64).fill_null(-1)
    return {"name": column.name, "words": words, "at": at.to_list()}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{digits}g}")


def _text(value: object) -> str | None:
    if value is None:
        return None
    return ", ".join(map(str, value)) if isinstance(value, pl.Series | list) else str(value)


def thinned(frame: pl.DataFrame, rows: int) -> tuple[pl.DataFrame, str]:
    """A frame of at most so many rows: first without the detectors that come last, then without the last rows.

    Args:
        frame: The frame.
        rows: The most rows to keep.

    Returns:
        The frame, and what was left out, as a sentence; empty if nothing was.
    """
    if len(frame) <= rows:
        return frame, ""
    if "detector" not in frame.columns or frame["detector"].n_unique() == 1:
        return frame.head(rows), f" This page holds the first {rows:,} of {len(frame):,} rows."
    order = _by_fpr(frame)
    counts = dict(frame.group_by("detector").len().iter_rows())
    kept: list[str] = []
    for name in order:
        if kept and sum(counts[other] for other in [*kept, name]) > rows:
            break
        kept.append(name)
    said = f" This page holds the {len(kept)} of {len(order)} detectors with the lowest FPR; `--figures` writes the data of all."
    # The first detector alone may have more rows.
    return frame.filter(pl.col("detector").is_in(kept)).head(rows), said


def _by_fpr(frame: pl.DataFrame) -> Sequence[str]:
    measure = next((name for name in ("fpr95", "mean_fpr95") if name in frame.columns), None)
    if measure is None:
        return sorted(frame["detector"].unique().to_list())
    return frame.group_by("detector").agg(pl.col(measure).mean()).sort(measure, "detector")["detector"].to_list()
