"""An answer as the picture that its question's header names: a page that works offline, or an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl

from analysis.charts.palette import COLOURS, CONFIG, SHAPES
from featurestore.errors import InputError, StorageError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from featurestore.query import SqlFile

SUFFIXES = (".html", ".png", ".svg")
_UNKNOWN = "unknown"
_CELL = 22


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
    drawn = chart(frame, question)
    try:
        if file.suffix == ".html":
            drawn.save(str(file), inline=True)
        else:
            drawn.save(str(file), scale_factor=2)
    except OSError as error:
        raise StorageError(f"Cannot write {file}: {error.strerror}.") from error


def chart(frame: pl.DataFrame, question: SqlFile) -> alt.TopLevelMixin:
    """The chart of an answer: a point per row, or a coloured cell per row, with one panel for each value of what is left over."""
    if question.plot is None:
        raise InputError(f"The header of {question.origin} names no plot.")
    channels = question.plot.channels
    known = frame.with_columns(pl.col(pl.String).fill_null(_UNKNOWN))
    marks = _heatmap(known, channels) if question.plot.kind == "heatmap" else _scatter(known, channels, question)
    panels = _panels(known, [channels[name] for name in ("x", "y")]) if question.plot.kind == "heatmap" else None
    whole = marks.facet(facet=alt.Facet(f"{_escaped(panels)}:N", title=None), columns=3) if panels else marks
    drawn: alt.TopLevelMixin = whole.properties(title=question.title).configure(**{**CONFIG, "background": "white"})
    return drawn


def _scatter(frame: pl.DataFrame, channels: Mapping[str, str], question: SqlFile) -> alt.Chart:
    encodings = {name: _axis(name, frame, channels[name], question) for name in ("x", "y")}
    if "color" in channels:
        encodings["color"] = _colour(frame, channels["color"])
    if "shape" in channels:
        shapes = alt.Scale(range=_cycled(SHAPES, frame[channels["shape"]].n_unique()))
        encodings["shape"] = alt.Shape(f"{_escaped(channels['shape'])}:N", title=channels["shape"], scale=shapes)
    size = {"width": 480, "height": 360 if _is_number(frame, channels["y"]) else {"step": _CELL}}
    drawn: alt.Chart = alt.Chart(frame).mark_point(filled=True, size=60, opacity=0.8)
    return drawn.encode(**encodings, tooltip=_tooltips(frame)).properties(**size)


def _heatmap(frame: pl.DataFrame, channels: Mapping[str, str]) -> alt.Chart:
    encodings = {
        name: channel(f"{_escaped(channels[name])}:N", title=channels[name], sort=None)
        for name, channel in (("x", alt.X), ("y", alt.Y))
    }
    lowest = frame[channels["color"]].drop_nulls().min()
    diverging = isinstance(lowest, int | float) and lowest < 0
    scale = alt.Scale(scheme="blueorange", domainMid=0) if diverging else alt.Scale(scheme="blues")
    colour = alt.Color(f"{_escaped(channels['color'])}:Q", title=channels["color"], scale=scale)
    drawn: alt.Chart = alt.Chart(frame).mark_rect().encode(**encodings, color=colour, tooltip=_tooltips(frame))
    return drawn.properties(width={"step": _CELL}, height={"step": _CELL})


def _axis(name: str, frame: pl.DataFrame, column: str, question: SqlFile) -> Any:
    channel = {"x": alt.X, "y": alt.Y}[name]
    if _is_number(frame, column):
        return channel(
            f"{_escaped(column)}:Q", title=_title(column, question), scale=alt.Scale(zero=False, padding=12, nice=False)
        )
    return channel(f"{_escaped(column)}:N", title=_title(column, question), sort=None)


def _colour(frame: pl.DataFrame, column: str) -> alt.Color:
    if _is_number(frame, column):
        return alt.Color(f"{_escaped(column)}:Q", title=column, scale=alt.Scale(scheme="viridis"))
    colours = _cycled(COLOURS, frame[column].n_unique())
    return alt.Color(f"{_escaped(column)}:N", title=column, scale=alt.Scale(range=colours))


def _panels(frame: pl.DataFrame, cell: Sequence[str]) -> str | None:
    """The column that tells apart the rows of one cell, if there is such a one."""
    if frame.select(cell).is_unique().all():
        return None
    texts = [name for name in frame.columns if frame.schema[name] == pl.String and name not in cell]
    counts = {name: frame.select(*cell, name).n_unique() for name in texts}
    return max(texts, key=lambda name: counts[name], default=None)


def _tooltips(frame: pl.DataFrame) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(
            _escaped(name),
            type="quantitative" if dtype.is_numeric() else "nominal",
            format=".4g" if dtype.is_float() else "",
            title=name,
        )
        for name, dtype in frame.schema.items()
        if not dtype.is_nested()
    ]


def _title(column: str, question: SqlFile) -> str:
    text = question.columns.get(column, "")
    return f"{column}: {text}" if text and len(text) <= 60 else column


def _is_number(frame: pl.DataFrame, column: str) -> bool:
    return frame.schema[column].is_numeric()


def _escaped(column: str) -> str:
    """A column's name as Vega-Lite reads it: a dot, bracket or colon is no path."""
    for mark in ("\\", ".", "[", "]", ":"):
        column = column.replace(mark, f"\\{mark}")
    return column


def _cycled(values: Sequence[str], length: int) -> list[str]:
    return [values[index % len(values)] for index in range(length)]
