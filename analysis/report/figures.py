"""Figures as files for a paper: PNG, SVG and the data as CSV, as wide as a column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import polars as pl
import vl_convert

from analysis.charts.drawing_files import plain_texts
from analysis.charts.frame_data import thinned
from analysis.charts.specifications import inner, specification, with_rows
from featurestore.errors import StorageError
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from analysis.report.section_items import Figure

COLUMN_MM = 85
DOTS_PER_INCH = 300
MOST_ROWS = 20_000
_POINTS = COLUMN_MM / 25.4 * 72
_NARROWEST = 70
_SMALL = {"labelFontSize": 7.5, "titleFontSize": 8}


def write_figures(figures: Iterable[Figure], folder: Path, detectors: Sequence[str]) -> list[Path]:
    """Write each figure as PNG, SVG and CSV.

    Args:
        figures: The figures.
        folder: Where to; it is made if it is not there.
        detectors: The detectors that the drawings show, where the page has a filter of them; the CSV has all.

    Returns:
        The files.

    Raises:
        StorageError: They cannot be written.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for figure in figures:
            files = {suffix: folder / f"{figure.name}.{suffix}" for suffix in ("png", "svg", "csv")}
            svg, png = drawn(figure, detectors)
            for file, content in zip(
                files.values(), (png, svg.encode(), figure.frame.write_csv().encode()), strict=True
            ):
                write_whole(file, content)
            written += files.values()
    except OSError as error:
        raise StorageError(f"Cannot write figures to {folder}: {error.strerror}.") from error
    return written


def drawn(figure: Figure, detectors: Sequence[str]) -> tuple[str, bytes]:
    """A figure as SVG and PNG, 85 mm wide; the PNG has 300 dots per inch."""
    frame = figure.frame
    if "detector" in figure.filters and "detector" in frame.columns:
        frame = frame.filter(pl.col("detector").is_in(detectors))
    frame, _ = thinned(frame, MOST_ROWS)
    spec = _for_print(plain_texts(with_rows(specification(figure.chart, frame), frame)))
    inner(spec)["width"] = _POINTS
    svg: str = vl_convert.vegalite_to_svg(spec)
    inner(spec)["width"] = max(_NARROWEST, 2 * _POINTS - _width(svg))
    svg = vl_convert.vegalite_to_svg(spec)
    # Labels may leave less than the narrowest panel: then all of it shrinks.
    scale = _POINTS / _width(svg)
    png: bytes = vl_convert.vegalite_to_png(spec, scale=scale, ppi=DOTS_PER_INCH)
    return _sized(svg), png


def _for_print(spec: dict[str, Any]) -> dict[str, Any]:
    """Small type and dots, a white page, panels one below the other, and what a drop-down list would say as a title."""
    config = spec.setdefault("config", {})
    config["background"] = "white"
    config["axis"] = {**config.get("axis", {}), **_SMALL, "labelLimit": 110, "titlePadding": 4}
    config["axisX"] = {"titleAnchor": "end"}
    config["legend"] = {**config.get("legend", {}), **_SMALL, "columns": 2, "symbolSize": 40, "offset": 4, "gradientLength": 120, "layout": {"top": {"direction": "vertical"}}}  # fmt: skip
    config["header"] = {**config.get("header", {}), "labelFontSize": 8}
    legend = (inner(spec).get("encoding", {}).get("color", {}).get("legend")) or {}
    if "gradientLength" in legend:
        legend["gradientLength"] = 120
    if "facet" in spec:
        spec["columns"] = 1
    for part in inner(spec).get("layer", [inner(spec)]):
        if isinstance(part["mark"], dict) and part["mark"]["type"] == "point":
            part["mark"]["size"] = part["mark"].get("size", 40) / 2
    picked = [value for param in spec.get("params", []) if "bind" in param for value in param.get("value", [])]
    if picked:
        spec["title"] = {"text": ", ".join(str(text) for value in picked for text in value.values()), "fontSize": 8, "fontWeight": "normal", "anchor": "start"}  # fmt: skip
    axis = inner(spec).get("encoding", {}).get("x", {}).get("axis", {})
    if axis.get("labelAngle"):  # slanted names have no room in a column
        axis["labels"] = False
    if isinstance(inner(spec).get("height"), int):
        inner(spec)["height"] = 130
    return spec


def _size(svg: str) -> re.Match[str] | None:
    return re.search(r'(<svg[^>]*?) width="([\d.]+)" height="([\d.]+)"', svg)


def _width(svg: str) -> float:
    return float(match[2]) if (match := _size(svg)) else _POINTS


def _sized(svg: str) -> str:
    """The same drawing with its width in millimetres."""
    if (match := _size(svg)) is None:
        return svg
    height = COLUMN_MM * float(match[3]) / float(match[2])
    return svg.replace(match[0], f'{match[1]} width="{COLUMN_MM}mm" height="{height:.2f}mm"', 1)
