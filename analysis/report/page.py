"""The page: what is in the lake, the main figure, and the numbers behind it."""

from __future__ import annotations

import html
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

from analysis.studies import accuracy_vs_fpr
from featurestore.errors import InputError, MissingError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from featurestore.lake import Lake

_TITLE = "Accuracy against out-of-distribution detection"


def write_report(lake: Lake, out: Path) -> None:
    """Write the report of a lake as one HTML file without links to anywhere.

    Raises:
        MissingError: The lake has no metrics yet.
        InputError: The folder of `out` does not exist.
        StorageError: The file cannot be written.
    """
    if not out.absolute().parent.is_dir():
        raise InputError(f"There is no folder {out.absolute().parent}: make it, or write the report elsewhere.")
    frame = accuracy_vs_fpr.data(lake)
    if frame.is_empty():
        raise MissingError("There are no metrics to report yet: run `featurestore score` first.")
    page = Template(resources.files("analysis.report").joinpath("page.html").read_text(encoding="utf-8"))
    text = page.substitute(title=_TITLE, lead=_lead(frame), sections=_figure(frame) + _best(lake))
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"Cannot write {out}: {error.strerror}.") from error


def _lead(frame: pl.DataFrame) -> str:
    counts = {name: frame[name].n_unique() for name in ("model", "detector", "ood_dataset")}
    return f"{counts['model']} models, {counts['detector']} detectors, {counts['ood_dataset']} OOD sets. Lower FPR is better."


def _figure(frame: pl.DataFrame) -> str:
    chart = accuracy_vs_fpr.chart(frame).to_html(inline=True, fullhtml=False, output_div="accuracy-vs-fpr")
    return (
        "<h2>Each model and detector</h2>"
        f'<figure><div class="figure">{chart}</div><figcaption>Each point is a model with a detector. FPR is the share of OOD '
        "samples accepted when 95 % of ID test samples are, averaged over the OOD classes. Hover for the recipe; click an "
        "entry of a legend to single it out, shift-click for several.</figcaption></figure>"
    )


def _best(lake: Lake) -> str:
    answer = lake.ask("best_detector").pl()
    return (
        "<h2>Best detectors</h2><p>Mean over models; <em>wins</em> counts the models for which no detector has a lower FPR. "
        f"The same table: <code>featurestore ask best_detector</code>.</p>{table(answer)}"
    )


def table(frame: pl.DataFrame) -> str:
    """A frame as an HTML table; all text is escaped."""
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    head = "".join(_cell("th", name, right=right) for name, right in zip(frame.columns, numeric, strict=True))
    rows = (
        "".join(_cell("td", _text(value), right=right) for value, right in zip(row, numeric, strict=True))
        for row in frame.iter_rows()
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(tag: str, text: str, *, right: bool) -> str:
    css = ' class="number"' if right else ""
    return f"<{tag}{css}>{html.escape(text)}</{tag}>"


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
