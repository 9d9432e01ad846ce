"""The report: findings first, then the sections, in one file that needs no network."""

from __future__ import annotations

import base64
import html
import re
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from analysis.charts.encoding import as_json, encoded, thinned
from analysis.charts.palette import UNKNOWN
from analysis.charts.specs import panels, specification
from analysis.charts.vega import bundle
from analysis.report.content import Content, Figure, Gallery, TableView
from analysis.report.context import Context
from analysis.report.figures import write_figures
from analysis.report.sections import sections
from analysis.report.steady_lake import SteadyLake
from analysis.report.tables import MOST_ROWS, table
from featurestore.errors import LakeError, MissingError, StorageError
from featurestore.names import pick
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from analysis.charts.vega import Bundle
    from analysis.report.content import Item, Section, Source
    from analysis.report.context import OpenImage
    from featurestore.lake import Lake

_FIGURE_ROWS = 16_000
_DEFAULT_BENCHMARK = "main"


def write_report(
    lake: Lake,
    out: Path,
    *,
    figures: Path | None = None,
    benchmark: str | None = None,
    open_image: OpenImage | None = None,
) -> Sequence[Path]:
    """Write the report of a lake as one HTML file without links to anywhere.

    Args:
        lake: The lake.
        out: The file; its folder is made if it is not there.
        figures: Folder to write each figure to as PNG, SVG and CSV too.
        benchmark: The benchmark to report on; by default `main`, else the first that has metrics.
        open_image: Opens a sample's image, for the pictures; None where that is not possible.

    Returns:
        The figures' files.

    Raises:
        MissingError: The lake has no metrics yet, or none of that benchmark.
        StorageError: A file cannot be written.
    """
    context = Context(SteadyLake(lake), _benchmark(lake, benchmark), open_image)
    vega = bundle()
    built = [(section, _built(section, context)) for section in sections()]
    page = _page(context, built, vega)
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"Cannot write {out}: {error.strerror}.") from error
    drawings = [item for _, content in built for item in content.items if isinstance(item, Figure)]
    return write_figures(drawings, figures, context.first_detectors) if figures else []


def _benchmark(lake: Lake, wanted: str | None) -> str:
    held = sorted({str(name) for (name,) in lake.sql("select distinct benchmark from metrics").fetchall()})
    if not held:
        raise MissingError("There are no metrics to report yet: run `featurestore score` first.")
    if wanted is not None:
        return pick("benchmark", wanted, held)
    return _DEFAULT_BENCHMARK if _DEFAULT_BENCHMARK in held else held[0]


def _built(section: Section, context: Context) -> Content:
    """A section, or why there is none: what one part of a lake lacks must not hide the rest."""
    try:
        return section.build(context)
    except LakeError as error:
        return Content(not_shown=[f"{section.title}: {error}"])


def _page(context: Context, built: Sequence[tuple[Section, Content]], vega: Bundle) -> str:
    shown = [(section, content) for section, content in built if content.items]
    parts = {
        "title": "Out-of-distribution detection",
        "benchmark": html.escape(context.benchmark),
        "lead": _lead(context),
        "findings": _findings(built),
        "contents": "".join(f'<a href="#{section.name}">{html.escape(section.title)}</a>' for section, _ in shown),
        "filters": _filters(context),
        "sections": "".join(_section(section, content) for section, content in shown),
        "not_shown": _not_shown([line for _, content in built for line in content.not_shown]),
        "version": __version__,
        "lake": html.escape(context.lake.location),
        "payload": as_json(_payload(shown)),
        "style": _text("page.css"),
        "script": _text("page.js"),
        "vega": vega.text,
    }
    return Template(_text("page.html")).substitute(parts)


def _text(name: str) -> str:
    return resources.files("analysis.report").joinpath(name).read_text(encoding="utf-8")


def _lead(context: Context) -> str:
    judged = context.results
    counts = {"model": judged["model"].n_unique(), "detector": len(context.detectors), "OOD set": len(context.ood)}
    said = [f"<b>{count:,}</b> {name}{'' if count == 1 else 's'}" for name, count in counts.items()]
    return f"{', '.join(said[:-1])} and {said[-1]}. FPR is the share of OOD accepted at the threshold that accepts 95 % of ID test samples; lower is better."


def _findings(built: Iterable[tuple[Section, Content]]) -> str:
    groups = [_group(section, content.findings) for section, content in built if content.findings]
    return "".join(groups) or "<p>Too few models to compare; the numbers are below.</p>"


def _group(section: Section, findings: Sequence[str]) -> str:
    """A section's findings beside a link to it."""
    lines = "".join(f"<li>{line}</li>" for line in findings)
    return (
        f'<div class="group"><h3><a href="#{section.name}">{html.escape(section.title)}</a></h3><ul>{lines}</ul></div>'
    )


def _filters(context: Context) -> str:
    """A switch for each pretraining and detector, where there is a choice."""
    first = set(context.first_detectors)
    choices = {
        "pretraining": sorted(set(context.results["pretraining"].fill_null(UNKNOWN))),
        "detector": sorted(context.detectors),
    }
    groups = [
        f"<fieldset><legend>{name.capitalize()}</legend>{''.join(_switch(name, value, on=name != 'detector' or value in first) for value in values)}</fieldset>"
        for name, values in choices.items()
        if len(values) > 1
    ]
    if not groups:
        return ""
    return f'<details class="filters" open><summary>Filter</summary><form id="filters">{"".join(groups)}<button type="reset">Reset</button></form></details>'


def _switch(name: str, value: str, *, on: bool) -> str:
    text = html.escape(value, quote=True)
    return f'<label><input type="checkbox" name="{name}" value="{text}"{" checked" if on else ""}><span>{text}</span></label>'


def _section(section: Section, content: Content) -> str:
    intro = f"<p>{html.escape(content.intro)}</p>" if content.intro else ""
    body = "".join(_item(item) for item in content.items)
    return f'<section id="{section.name}"><h2>{html.escape(section.title)}</h2>{intro}{body}</section>'


def _item(item: Item) -> str:
    if isinstance(item, Gallery):
        return _gallery(item)
    shown = '<div class="chart"></div>' if isinstance(item, Figure) else table(item.frame, item.shares)
    drawing = (
        '<button type="button" data-save="svg">SVG</button><button type="button" data-save="png">PNG</button>'
        if isinstance(item, Figure)
        else ""
    )
    return (
        f'<figure id="{item.name}" class="{"figure" if isinstance(item, Figure) else "listing"}"><h3>{html.escape(item.title)}</h3>{shown}'
        f"<figcaption>{html.escape(item.caption)}{html.escape(_left_out(item))}</figcaption>"
        f'<div class="tools"><button type="button" data-save="csv">Data (CSV)</button>{drawing}{_source(item.source)}</div></figure>'
    )  # fmt: skip


def _left_out(item: Figure | TableView) -> str:
    if isinstance(item, Figure):
        return thinned(item.frame, _FIGURE_ROWS)[1]
    return f" The first {MOST_ROWS} of {len(item.frame):,} rows." if len(item.frame) > MOST_ROWS else ""


def _source(source: Source) -> str:
    name = "SQL" if source.language == "sql" else "Script"
    return f'<details class="source"><summary>{name}</summary><pre class="command">{html.escape(source.command)}</pre><pre>{html.escape(source.code.strip())}</pre></details>'


def _gallery(gallery: Gallery) -> str:
    pictures = "".join(
        f'<li><img alt="" src="data:image/jpeg;base64,{base64.b64encode(picture.jpeg).decode()}">'
        + "".join(f"<span>{html.escape(line).replace('_', '_<wbr>')}</span>" for line in picture.lines if line)
        + "</li>"
        for picture in gallery.pictures
    )
    return f'<figure class="gallery"><h3>{html.escape(gallery.title)}</h3><ul>{pictures}</ul><figcaption>{html.escape(gallery.caption)}</figcaption></figure>'


def _not_shown(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f'<section id="not-shown"><h2>Not shown</h2><ul>{"".join(f"<li>{_with_code(line)}</li>" for line in lines)}</ul></section>'


def _with_code(text: str) -> str:
    """Plain text as HTML, what stands between backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _payload(shown: Sequence[tuple[Section, Content]]) -> dict[str, Any]:
    """What the page's script needs: data of figures and tables, and the charts."""
    payload: dict[str, Any] = {}
    for _, content in shown:
        for item in content.items:
            if isinstance(item, Figure):
                frame, _ = thinned(item.frame, _FIGURE_ROWS)
                spec = specification(item.chart, frame)
                payload[item.name] = {
                    "data": encoded(frame),
                    "spec": spec,
                    "panels": panels(spec, frame),
                    "filters": item.filters,
                }
            elif isinstance(item, TableView):
                payload[item.name] = {"data": encoded(item.frame.head(MOST_ROWS), digits=9)}
    return payload
