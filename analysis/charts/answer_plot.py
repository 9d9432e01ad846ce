"""An answer as the picture that its question's header names: a page that works offline, or an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl

from analysis.charts.drawing_files import write_chart
from analysis.charts.palette import COLOURS, CONFIG, SHAPES, UNKNOWN
from featurestore.errors import InputError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from featurestore.query import SqlFile

SUFFIXES = (".html", ".png", ".svg")
_CELL = 22
_AXES = {"x": alt.X, "y": alt.Y}


def check_file(file: Path) -> None:
    """Raise if no picture can be written there, before anything is computed.

    Raises:
        MissingError: The suffix is none of `SUFFIXES`.
        InputError: The folder does not exist.
    """
    pick("picture format", file.suffix, SUFFIXES)
    if not file.absolute().parent.is_dir():
        raise InputError(f"There is no folder {file.absolute().parent}: make it, or draw elsewhere.")


def write_plot(frame: pl.DataFrame, question: SqlFile, file: Path) -> None:
    """Draw an answer.

    Args:
        frame: The answer.
        question: Its question, whose header names a plot.
        file: Where to; its suffix says what: `.html` (tooltips; works offline), `.png` or `.svg`.

    Raises:
        InputError: The answer has no rows.
        StorageError: The file cannot be written.
    """
    if frame.is_empty():
        raise InputError(f"The answer to {question.name} has no rows: there is nothing to draw.")
    write_chart(chart(frame, question), file, scale=2)


def chart(frame: pl.DataFrame, question: SqlFile) -> alt.TopLevelMixin:
    """The chart of an answer: a point per row, or a coloured cell per row, with one panel for each value of what is left over."""
    if question.plot is None:
        raise InputError(f"The header of {question.origin} names no plot.")
    channels, heatmap = question.plot.channels, question.plot.kind == "heatmap"
    known = frame.with_columns(pl.col(pl.String).fill_null(UNKNOWN))
    marks = _heatmap(known, channels) if heatmap else _scatter(known, channels, question)
    panels = _panels(known, [channels[name] for name in _AXES]) if heatmap else None
    whole = marks.facet(facet=alt.Facet(f"{_escaped(panels)}:N", title=None), columns=3) if panels else marks
    drawn: alt.TopLevelMixin = whole.properties(title=question.title).configure(**{**CONFIG, "background": "white"})
    return drawn


def _scatter(frame: pl.DataFrame, channels: Mapping[str, str], question: SqlFile) -> alt.Chart:
    encodings = {name: _axis(channel, frame, channels[name], question) for name, channel in _AXES.items()}
    if "color" in channels:
        encodings["color"] = _colour(frame, channels["color"])
    if "shape" in channels:
        shapes = alt.Scale(range=_cycled(SHAPES, frame[channels["shape"]].n_unique()))
        encodings["shape"] = _encoding(alt.Shape, channels["shape"], "N", scale=shapes)
    size = {"width": 480, "height": 360 if _is_number(frame, channels["y"]) else {"step": _CELL}}
    drawn: alt.Chart = alt.Chart(frame).mark_point(filled=True, size=60, opacity=0.8)
    return drawn.encode(**encodings, tooltip=_tooltips(frame)).properties(**size)


def _heatmap(frame: pl.DataFrame, channels: Mapping[str, str]) -> alt.Chart:
    encodings = {name: _encoding(channel, channels[name], "N", sort=None) for name, channel in _AXES.items()}
    lowest = frame[channels["color"]].drop_nulls().min()
    diverging = isinstance(lowest, int | float) and lowest < 0
    scale = alt.Scale(scheme="blueorange", domainMid=0) if diverging else alt.Scale(scheme="blues")
    colour = _encoding(alt.Color, channels["color"], "Q", scale=scale)
    drawn: alt.Chart = alt.Chart(frame).mark_rect().encode(**encodings, color=colour, tooltip=_tooltips(frame))
    return drawn.properties(width={"step": _CELL}, height={"step": _CELL})


def _axis(channel: Any, frame: pl.DataFrame, column: str, question: SqlFile) -> Any:
    text = question.columns.get(column, "")
    title = f"{column}: {text}" if text and len(text) <= 60 else column
    if _is_number(frame, column):
        return _encoding(channel, column, "Q", title=title, scale=alt.Scale(zero=False, padding=12, nice=False))
    return _encoding(channel, column, "N", title=title, sort=None)


def _colour(frame: pl.DataFrame, column: str) -> Any:
    if _is_number(frame, column):
        return _encoding(alt.Color, column, "Q", scale=alt.Scale(scheme="viridis"))
    return _encoding(alt.Color, column, "N", scale=alt.Scale(range=_cycled(COLOURS, frame[column].n_unique())))


def _encoding(channel: Any, column: str, kind: str, **options: Any) -> Any:
    return channel(f"{_escaped(column)}:{kind}", **{"title": column, **options})


def _panels(frame: pl.DataFrame, cell: Sequence[str]) -> str | None:
    """The column that tells apart the rows of one cell, if there is such a one."""
    if frame.select(cell).is_unique().all():
        return None
    texts = [name for name in frame.columns if frame.schema[name] == pl.String and name not in cell]
    counts = {name: frame.select(*cell, name).n_unique() for name in texts}
    return max(texts, key=lambda name: counts[name], default=None)


def _tooltips(frame: pl.DataFrame) -> list[alt.Tooltip]:
    return [
        _encoding(alt.Tooltip, name, "Q" if dtype.is_numeric() else "N", format=".4g" if dtype.is_float() else "")
        for name, dtype in frame.schema.items()
        if not dtype.is_nested()
    ]


def _is_number(frame: pl.DataFrame, column: str) -> bool:
    return frame.schema[column].is_numeric()


def _escaped(column: str) -> str:
    """A column's name as Vega-Lite reads it: a dot, bracket or colon is no path."""
    for mark in ("\\", ".", "[", "]", ":"):
        column = column.replace(mark, f"\\{mark}")
    return column


def _cycled(values: Sequence[str], length: int) -> list[str]:
    return [values[index % len(values)] for index in range(length)]
