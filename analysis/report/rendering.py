"""The page from its templates, which escape all that is not markup, with the data and the library that its script draws with."""

from __future__ import annotations

import atexit
import base64
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.charts.drawing_files import POLICY, script_text
from analysis.charts.frame_data import encoded, thinned
from analysis.charts.palette import UNKNOWN
from analysis.charts.specifications import panels, specification
from analysis.report.section_items import Figure, Gallery
from analysis.report.sentences import shortened
from featurestore.shown_text import plain
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.report.context import Context
    from analysis.report.section_items import Item, SectionBody, TableView
    from analysis.report.sections import Section

_FIGURE_ROWS = 16_000
_LONG = 40
MOST_ROWS = 400
# As page.css has them.
_ROWS_ON_PAPER, _COLUMNS_ON_PAPER = 25, 13
_PRINT = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); import vl_convert; sys.stdout.buffer.write(vl_convert.javascript_bundle().encode())"


def rendered(context: Context, built: Sequence[tuple[Section, SectionBody]], vega: Bundle) -> str:
    """The page as HTML.

    Args:
        context: What the sections were built from.
        built: Each section and what it says, in order; those without items are left out.
        vega: The script that draws charts.
    """
    templates = environment()
    shown = [(section, body) for section, body in built if body.items or body.findings or body.notes]
    return templates.get_template("page.html.j2").render(
        context=context,
        counts={"model": context.results["model"].n_unique(), "detector": len(context.detectors), "OOD set": len(context.ood)},
        counted=context.lake.noting(lambda: context.results)[1],
        shown=shown,
        choices=_choices(context),
        not_shown=[line for _, body in built for line in body.not_shown],
        version=__version__,
        policy=POLICY,
        payload={item.name: _data(item) for _, body in shown for item in body.items if not isinstance(item, Gallery)},
        style=_verbatim(templates, "page.css"),
        script=_verbatim(templates, "page.js"),
        vega=Markup(vega.text),  # noqa: S704 # a library's script
    )  # fmt: skip


@cache
def environment() -> Environment:
    """The templates' environment: texts are escaped, also in JSON within a script element, and nothing undefined is empty."""
    loader = PackageLoader("analysis.report")
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":"), "allow_nan": False}
    templates.filters |= {
        "cells": cells,
        "left_out": _left_out,
        "with_code": _with_code,
        "shortened": shortened,
        "plain": plain,
    }
    templates.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return templates


def _shown(value: Any) -> Any:
    """What a template writes: of a text, each character is seen."""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _verbatim(templates: Environment, name: str) -> Markup:
    loader: Any = templates.loader
    return Markup(loader.get_source(templates, name)[0])  # noqa: S704 # our own style and script


def _choices(context: Context) -> dict[str, dict[str, bool]]:
    """What the page can be narrowed to, where there is a choice: for each column its values, and whether they are on."""
    first = context.first_detectors
    choices = {
        "pretraining": dict.fromkeys(sorted(set(context.results["pretraining"].fill_null(UNKNOWN))), True),
        "detector": {name: name in first for name in sorted(context.detectors)},
    }
    return {name: values for name, values in choices.items() if len(values) > 1}


def _data(item: Figure | TableView) -> dict[str, Any]:
    """What the page's script needs: the data of a figure or table, and the chart."""
    if not isinstance(item, Figure):
        return {"data": encoded(item.frame.head(MOST_ROWS), digits=9)}
    frame, _ = thinned(item.frame, _FIGURE_ROWS)
    spec = specification(item.chart, frame)
    return {"data": encoded(frame), "spec": spec, "panels": panels(spec, frame), "filters": item.filters}


def _left_out(item: Item) -> str:
    """What the page does not hold of a figure or table, as a sentence."""
    if isinstance(item, Figure):
        return thinned(item.frame, _FIGURE_ROWS)[1]
    rows = 0 if isinstance(item, Gallery) else len(item.frame)
    return f" The first {MOST_ROWS} of {rows:,} rows." if rows > MOST_ROWS else ""


def _with_code(text: str) -> Markup:
    """Plain text as HTML, what stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(plain(text)))))  # noqa: S704 # escaped already


class Cell(NamedTuple):
    """A cell, or the heading of a column: its text, the attributes of its element, of which None is left out, and its interval."""

    text: str
    attributes: dict[str, str | None]
    span: str = ""


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
        frame: Its rows; the page shows the first 400. The ends of an interval, columns `NAME_low` and `NAME_high`, stand in the cells of `NAME`.
        shares: Columns between 0 and 1 that get a bar.
    """
    shown = frame.head(MOST_ROWS)
    spans = {
        name: _spans(shown, name) for name in frame.columns if {f"{name}_low", f"{name}_high"} <= set(frame.columns)
    }
    own = [
        column
        for column in shown
        if column.name.removesuffix("_low").removesuffix("_high") not in spans.keys() - {column.name}
    ]
    columns = [
        [
            cell._replace(span=span)
            for cell, span in zip(cells_of, spans.get(column.name, [""] * len(shown)), strict=True)
        ]
        for column in own
        for cells_of in [_column(column, share=column.name in shares)]
    ]
    cut = len(shown) > _ROWS_ON_PAPER or len(own) > _COLUMNS_ON_PAPER
    return Grid([_heading(column) for column in own], list(zip(*columns, strict=True)), cut)


def _spans(frame: pl.DataFrame, name: str) -> list[str]:
    """The interval of each number of a column, which stands below it."""
    ends = zip(frame[f"{name}_low"], frame[f"{name}_high"], strict=True)
    return ["" if low is None or high is None else f"{low:.2f} to {high:.2f}".replace("-", "−") for low, high in ends]


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
    name = column.name.replace("_", " ")
    return [_cell(value, _text(value, short=short), name, number=number, share=share) for value in column]


def _cell(value: object, text: str, name: str, *, number: bool, share: bool) -> Cell:
    """A cell; its column's name stands beside it on a phone."""
    if not number:
        short = shortened(text) if " " not in text else text
        return Cell(short, {"data-name": name, "title": text if short != text else None, "class": "long" if len(short) > _LONG else None})  # fmt: skip
    if not isinstance(value, float):
        return Cell(text, {"data-name": name, "class": "number"})
    bar = {"class": "number share", "style": f"--share:{value:.3f}"} if share else {"class": "number"}
    return Cell(text, {"data-name": name, **bar, "data-v": f"{value:.9g}"})


def _text(value: object, *, short: bool) -> str:
    if isinstance(value, pl.Series | list):
        return ", ".join(map(str, value))
    if value is None or value != value:  # noqa: PLR0124 # NaN
        return "–"
    if isinstance(value, float):
        long = f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.1e}"
        return (f"{value:.3g}" if short else long).replace("-", "−")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


class Bundle:
    """Vega, Vega-Lite and vega-embed, which Altair's converter carries, as one script.

    A process of its own makes it: that takes seconds, in which this one would stand still.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 # constants
            [sys.executable, "-c", _PRINT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        atexit.register(self._process.kill)  # whoever is interrupted does not come for it

    @cached_property
    def text(self) -> str:
        """The script, which may stand in a page."""
        made, _ = self._process.communicate()
        script: str = made.decode() if self._process.returncode == 0 else vl_convert.javascript_bundle()  # type: ignore[call-arg] # the stub knows no default
        return script_text(script)


@cache
def bundle() -> Bundle:
    """The script of this process's pages, begun when it is first asked for."""
    return Bundle()
