"""What a section of the report is made of: figures, tables, galleries, sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import altair as alt
    import polars as pl
    from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Provenance:
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
class Shown:
    """A frame on the page.

    Attributes:
        name: Slug, unique on the page; also the name of its files.
        title: What it shows, a heading.
        caption: How to read it, plain text.
        frame: Its data.
        provenance: How to make it again.
    """

    name: str
    title: str
    caption: str
    frame: pl.DataFrame
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Figure(Shown):
    """A frame as a chart.

    Attributes:
        chart: From the frame, or a part of it, to the chart.
        filters: The columns that the page's filter applies to.
    """

    kind: ClassVar[str] = "figure"
    chart: Callable[[pl.DataFrame], alt.TopLevelMixin]
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableView(Shown):
    """A frame as a table that sorts.

    Attributes:
        shares: Columns that are shares of one: they get a bar.
    """

    kind: ClassVar[str] = "listing"
    shares: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """One sample of a gallery.

    Attributes:
        jpeg: The image, small.
        lines: What stands below it, plain text.
    """

    jpeg: bytes
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Samples side by side; those without an image are left to the table."""

    kind: ClassVar[str] = "gallery"
    title: str
    caption: str
    pictures: Sequence[Picture]


Item: TypeAlias = "Figure | TableView | Gallery"


@dataclass(frozen=True, slots=True)
class SectionBody:
    """What a section says.

    Attributes:
        findings: Sentences for the top of the page, of `sentences.sentence`.
        items: Figures, tables and galleries, in order.
        not_shown: What is missing, and why; plain text.
        intro: What the section is about, plain text.
    """

    findings: Sequence[Markup] = ()
    items: Sequence[Item] = ()
    not_shown: Sequence[str] = ()
    intro: str = ""
