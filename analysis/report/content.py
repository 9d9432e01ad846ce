"""What a section of the report is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import altair as alt
    import polars as pl

    from analysis.report.context import Context

FILTERS = ("pretraining", "detector")


@dataclass(frozen=True, slots=True)
class Source:
    """How to make a figure or a table again.

    Attributes:
        command: The command line.
        code: Its script or SQL.
        language: `python` or `sql`.
    """

    command: str
    code: str
    language: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart and the frame that it shows.

    Attributes:
        name: Slug, unique on the page; also the name of its files.
        title: What it shows, a heading.
        caption: How to read it, plain text.
        frame: Its data.
        chart: From the frame, or a part of it, to the chart.
        source: How to make it again.
        filters: The columns that the page's filter applies to.
        columns: Columns of the frame that the page needs; by default all.
    """

    name: str
    title: str
    caption: str
    frame: pl.DataFrame
    chart: Callable[[pl.DataFrame], alt.TopLevelMixin]
    source: Source
    filters: tuple[str, ...] = FILTERS
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TableView:
    """A table that sorts.

    Attributes:
        name: Slug, unique on the page.
        title: What it shows, a heading.
        caption: How to read it, plain text.
        frame: Its rows.
        source: How to make it again.
        shares: Columns that are shares of one: they get a bar.
    """

    name: str
    title: str
    caption: str
    frame: pl.DataFrame
    source: Source
    shares: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """One sample of a gallery.

    Attributes:
        jpeg: The image, small; empty if it cannot be read.
        lines: What stands below it, plain text.
    """

    jpeg: bytes
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Samples side by side; those without an image are left to the table."""

    title: str
    caption: str
    pictures: Sequence[Picture]


Item: TypeAlias = "Figure | TableView | Gallery"


@dataclass(frozen=True, slots=True)
class Content:
    """What a section says.

    Attributes:
        findings: Sentences for the top of the page, as HTML of `wording.sentence`.
        items: Figures, tables and galleries, in order.
        not_shown: What is missing, and why; plain text.
        intro: What the section is about, plain text.
    """

    findings: Sequence[str] = ()
    items: Sequence[Item] = ()
    not_shown: Sequence[str] = ()
    intro: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the report. A module of `analysis.report.sections` that defines one adds it.

    Attributes:
        name: Slug, the section's anchor.
        title: Its heading.
        place: Sections stand in ascending order of this.
        build: From the context to the content.
    """

    name: str
    title: str
    place: int
    build: Callable[[Context], Content] = field(repr=False)
