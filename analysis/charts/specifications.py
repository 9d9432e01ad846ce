"""Charts as specifications without data: the page and the files fill in the data, and fit the size."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import altair as alt
from altair.utils.schemapi import debug_mode

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

DATA = "rows"
_NAMED = "named"


def _by_name(_: Any) -> Any:
    return {"name": DATA}


alt.data_transformers.register(_NAMED, _by_name)


def specification(chart: Callable[[pl.DataFrame], alt.TopLevelMixin], frame: pl.DataFrame) -> dict[str, Any]:
    """A chart's Vega-Lite specification, whose only data set is called `rows` and is empty.

    Args:
        chart: From the frame to the chart; it draws from that one frame.
        frame: Its data.
    """
    # Altair takes longer to check a chart against its schema than to make it; the tests of the studies have it checked.
    with alt.data_transformers.enable(_NAMED), debug_mode(False):
        spec: dict[str, Any] = chart(frame).to_dict(validate=False)
    return spec


def with_rows(spec: dict[str, Any], frame: pl.DataFrame) -> dict[str, Any]:
    """The same with data in it."""
    return {**copy.deepcopy(spec), "datasets": {DATA: frame.to_dicts()}}


def panels(spec: dict[str, Any], frame: pl.DataFrame) -> int:
    """How many panels a chart has."""
    facet = spec.get("facet", {})
    field = facet.get("field")
    return len(facet["sort"]) if "sort" in facet else frame[field].n_unique() if field else 1


def inner(spec: dict[str, Any]) -> dict[str, Any]:
    """The part of a specification that has the width of one panel."""
    part: dict[str, Any] = spec["spec"] if "facet" in spec else spec
    return part
