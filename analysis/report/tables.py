"""Frames as HTML tables; all text is escaped."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ROWS = 400
# As page.css has them.
_ROWS_ON_PAPER, _COLUMNS_ON_PAPER = 25, 13
_LONG = 40


def table(frame: pl.DataFrame, shares: Sequence[str] = ()) -> str:
    """A frame as an HTML table whose headings sort it.

    Args:
        frame: Its rows; the page shows the first 400.
        shares: Columns between 0 and 1 that get a bar.
    """
    head = "".join(_heading(column) for column in frame)
    shown = frame.head(MOST_ROWS)
    columns = [_cells(column, share=column.name in shares) for column in shown]
    rows = "".join(f"<tr>{''.join(cells)}</tr>" for cells in zip(*columns, strict=True))
    cut = " cut" if len(shown) > _ROWS_ON_PAPER or frame.width > _COLUMNS_ON_PAPER else ""
    return (
        f'<div class="table{cut}" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _is_number(column: pl.Series) -> bool:
    return column.dtype.is_numeric()


def _heading(column: pl.Series) -> str:
    css = ' class="number"' if _is_number(column) else ""
    name = html.escape(column.name, quote=True)
    return (
        f'<th{css} aria-sort="none" data-column="{name}"><button type="button">{name.replace("_", " ")}</button></th>'
    )


def _cells(column: pl.Series, *, share: bool) -> list[str]:
    """All of a column; numbers with three decimals, unless three digits say all of each (a weight decay of 0.03)."""
    short = (
        column.dtype.is_float()
        and not share
        and all(value is None or value == float(f"{value:.3g}") for value in column)
    )
    return [_cell(value, number=_is_number(column), share=share, short=short) for value in column]


def _cell(value: object, *, number: bool, share: bool, short: bool) -> str:
    text = html.escape(_text(value, short=short))
    if not number:
        return f"<td>{text}</td>" if len(text) <= _LONG else f'<td class="long">{text}</td>'
    exact = f' data-v="{value:.9g}"' if isinstance(value, float) else ""
    bar = f' style="--share:{value:.3f}"' if share and isinstance(value, float) else ""
    return f'<td class="number{" share" if bar else ""}"{exact}{bar}>{text}</td>'


def _text(value: object, *, short: bool) -> str:
    if value is None or value != value:  # noqa: PLR0124 # NaN
        return "–"
    if isinstance(value, float):
        long = f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"
        return (f"{value:.3g}" if short else long).replace("-", "−")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, pl.Series | list) else str(value)
