"""The geometry of feature spaces, where it has been measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.report.content import Content, Section, Source, TableView
from featurestore.tables import TABLES

if TYPE_CHECKING:
    import polars as pl

    from analysis.report.context import Context

_QUERY = "from geometry"


def build(context: Context) -> Content:
    """The measures of each model."""
    if "geometry" not in TABLES or not context.lake.partitions("geometry"):
        return Content(not_shown=["Geometry: the lake holds no measures of its feature spaces."])
    frame: pl.DataFrame = context.lake.sql(_QUERY).pl()
    source = Source(f'featurestore sql "{_QUERY}" --lake {context.lake.location}', _QUERY, "sql")
    return Content(items=[TableView("geometry", "Measures of the feature spaces", "One row per model.", frame, source)])


SECTION = Section("geometry", "Geometry", 65, build)
