"""The page from its templates, which escape all that is not markup, with the data that its script draws."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.charts.encoding import encoded, thinned
from analysis.charts.palette import UNKNOWN
from analysis.charts.specifications import panels, specification
from analysis.report.section_items import Figure, Gallery
from analysis.report.tables import MOST_ROWS, cells
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.charts.vega import Bundle
    from analysis.report.context import Context
    from analysis.report.section_items import Item, SectionBody, TableView
    from analysis.report.sections import Section

_FIGURE_ROWS = 16_000


def rendered(context: Context, built: Sequence[tuple[Section, SectionBody]], vega: Bundle) -> str:
    """The page as HTML.

    Args:
        context: What the sections were built from.
        built: Each section and what it says, in order; those without items are left out.
        vega: The script that draws charts.
    """
    templates = environment()
    shown = [(section, body) for section, body in built if body.items]
    return templates.get_template("page.html.j2").render(
        context=context,
        counts={"model": context.results["model"].n_unique(), "detector": len(context.detectors), "OOD set": len(context.ood)},
        built=built,
        shown=shown,
        choices=_choices(context),
        not_shown=[line for _, body in built for line in body.not_shown],
        version=__version__,
        payload={item.name: _data(item) for _, body in shown for item in body.items if not isinstance(item, Gallery)},
        style=_verbatim(templates, "page.css"),
        script=_verbatim(templates, "page.js"),
        vega=Markup(vega.text),  # noqa: S704 # a library's script
    )  # fmt: skip


def environment() -> Environment:
    """The templates' environment: texts are escaped, also in JSON within a script element, and nothing undefined is empty."""
    loader = PackageLoader("analysis.report")
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":"), "allow_nan": False}
    templates.filters |= {"base64": _base64, "cells": cells, "left_out": _left_out, "with_code": _with_code}
    return templates


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
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 # escaped already


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
