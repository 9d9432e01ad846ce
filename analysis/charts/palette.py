"""The look that all charts share: colours that colour-blind readers can tell apart, quiet axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

UNKNOWN = "unknown"
GREY = "#8A8F98"
# Okabe and Ito's palette, without its yellow and black, its orange and sky blue darker, and two of Tol's: each has a contrast
# of three to one or more with a white page and with a dark one.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#A97700", "#3D9BD0", "#999933", "#AA4499"]
CLEAR_COLOURS = [COLOURS[0], COLOURS[1], GREY]
"""Of what lies clearly below zero, clearly above, and neither."""
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]
# A legend names no more than are told apart by colour or shape alone.
TOLD_APART = len(COLOURS)
# Blue up to the FPR above which a unit-test fails, then orange.
FAILS_ABOVE = 0.1
FAILURE_SCALE = alt.Scale(domain=[0, FAILS_ABOVE, FAILS_ABOVE, 1], range=["#D9E8F3", "#8DBBDD", "#F7C9A6", "#B23A00"])
SHARE_SCALE = alt.Scale(domain=[0, 0.5, 1], range=["#F1F5F9", "#6FA8D0", "#083D6B"])

FPR = "FPR at 95 % TPR (share of OOD)"
ACCURACY = "ID accuracy (share correct)"

CONFIG: dict[str, Any] = {
    "font": "Helvetica Neue, Helvetica, Arial, sans-serif",
    "background": "white",
    "view": {"stroke": None},
    "axis": {"gridColor": "#8A8F98", "gridOpacity": 0.22, "domain": False, "tickColor": "#8A8F98", "tickOpacity": 0.5, "labelFontSize": 11, "titleFontSize": 11.5, "titleFontWeight": "normal", "titlePadding": 8, "labelLimit": 190},
    "legend": {"labelFontSize": 11, "titleFontSize": 11.5, "titleFontWeight": "normal", "titleLimit": 0, "symbolSize": 90, "symbolOpacity": 1, "orient": "top", "columns": 4, "labelLimit": 220, "offset": 10, "symbolLimit": 0},
    "header": {"labelFontSize": 12, "titleFontSize": 12, "labelFontWeight": "bold", "labelAnchor": "start", "labelPadding": 6},
    "title": {"fontSize": 12, "anchor": "start"},
    "facet": {"spacing": 26},
}  # fmt: skip


def colours(values: Iterable[str | None]) -> alt.Scale:
    """One colour for each value, by alphabet; what is unknown is grey."""
    present = {value or UNKNOWN for value in values}
    names = sorted(present - {UNKNOWN})
    chosen = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}
    chosen |= {UNKNOWN: GREY} if UNKNOWN in present else {}
    return alt.Scale(domain=list(chosen), range=list(chosen.values()))


def told_apart(names: Sequence[str], looks: Sequence[str], rest: str) -> alt.Scale:
    """Colours or shapes for the first names, one for each; all further names share another."""
    return alt.Scale(domain=list(names), range=[looks[at] if at < TOLD_APART else rest for at in range(len(names))])


def tooltips(fields: Iterable[str], formats: Mapping[str, str]) -> list[alt.Tooltip]:
    """What hovering shows: each field, with its format if it has one."""
    return [alt.Tooltip(name, format=formats[name]) if name in formats else alt.Tooltip(name) for name in fields]


def single_panel(panel: Any, width: int, height: int | alt.Step) -> alt.TopLevelMixin:
    """The chart as one panel of that size."""
    sized: alt.TopLevelMixin = panel.properties(width=width, height=height).configure(**CONFIG)
    return sized


def by_ood_set(panel: Any) -> alt.FacetChart:
    """The chart with a panel for each OOD set, two in a row."""
    figure: alt.FacetChart = panel.facet(facet=alt.Facet("ood_dataset:N", title=None), columns=2).configure(**CONFIG)
    return figure


def nil(base: alt.Chart) -> alt.Chart:
    """The line at zero, from which differences and correlations are told."""
    drawn: alt.Chart = base.mark_rule(color=GREY, strokeDash=[3, 3]).encode(x=alt.datum(0))
    return drawn


def pick_detector(detectors: Iterable[str], default: str) -> alt.Parameter:
    """A drop-down list that keeps the rows of one detector; without the default, the first."""
    names = sorted(set(detectors))
    chosen = [{"detector": default if default in names else names[0]}]
    listed = alt.binding_select(options=names, name="Detector ")
    return alt.selection_point(name="judged_by", fields=["detector"], bind=listed, value=chosen)
