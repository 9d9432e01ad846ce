"""Frames as the cells of tables: their text, and what the page needs to sort and to shade them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ROWS = 400
# As page.css has them.
_ROWS_ON_PAPER, _COLUMNS_ON_PAPER = 25, 13
_LONG = 40


class Cell(NamedTuple):
    """A cell, or the heading of a column: its text and the attributes of its element, of which None is left out."""

    text: str
    attributes: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table to draw.

    Attributes:
        headings: One for each column.
        rows: The first 400 rows.
        cut: Whether paper has no room for all of them.
    """

    headings: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    cut: bool


def cells(frame: pl.DataFrame, shares: Sequence[str] = ()) -> Grid:
    """A frame as a table whose headings sort it.

    Args:
        frame: Its rows; the page shows the first 400.
        shares: Columns between 0 and 1 that get a bar.
    """
    shown = frame.head(MOST_ROWS)
    columns = [_column(column, share=column.name in shares) for column in shown]
    cut = len(shown) > _ROWS_ON_PAPER or frame.width > _COLUMNS_ON_PAPER
    return Grid([_heading(column) for column in frame], list(zip(*columns, strict=True)), cut)


def _heading(column: pl.Series) -> Cell:
    css = "number" if column.dtype.is_numeric() else None
    return Cell(column.name.replace("_", " "), {"class": css, "data-column": column.name})


def _column(column: pl.Series, *, share: bool) -> list[Cell]:
    """All of a column; numbers with three decimals, unless three digits say all of each (a weight decay of 0.03)."""
    short = (
        column.dtype.is_float()
        and not share
        and all(value is None or value == float(f"{value:.3g}") for value in column)
    )
    number = column.dtype.is_numeric()
    return [_cell(value, _text(value, short=short), number=number, share=share) for value in column]


def _cell(value: object, text: str, *, number: bool, share: bool) -> Cell:
    if not number:
        return Cell(text, {"class": "long" if len(text) > _LONG else None})
    if not isinstance(value, float):
        return Cell(text, {"class": "number"})
    bar = {"class": "number share", "style": f"--share:{value:.3f}"} if share else {"class": "number"}
    return Cell(text, {**bar, "data-v": f"{value:.9g}"})


def _text(value: object, *, short: bool) -> str:
    if value is None or value != value:  # noqa: PLR0124 # NaN
        return "–"
    if isinstance(value, float):
        long = f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"
        return (f"{value:.3g}" if short else long).replace("-", "−")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, pl.Series | list) else str(value)
