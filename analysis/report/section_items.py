"""What a section of the report is made of: figures, tables, galleries, sentences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import altair as alt
    from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence, and what its numbers were read with.

    Attributes:
        said: The sentence, of `sentences.sentence`.
        sql: Statements that `featurestore sql` runs as they stand.
    """

    said: Markup
    sql: Sequence[str]


def findings(said: Iterable[Markup], *sql: str) -> list[Finding]:
    """Sentences whose numbers were read with the same statements."""
    return [Finding(one, sql) for one in said]


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame on the page.

    Attributes:
        name: Slug, unique on the page; also the name of its files.
        title: What it shows, a heading.
        caption: How to read it, plain text.
        frame: Its data.
        sql: Statements that its numbers were read with; `featurestore sql` runs them as they stand.
    """

    name: str
    title: str
    caption: str
    frame: pl.DataFrame
    sql: Sequence[str]


@dataclass(frozen=True, slots=True)
class Figure(Shown):
    """A frame as a chart.

    Attributes:
        chart: From the frame, or a part of it, to the chart.
        filters: The columns that the page's filter applies to.
        command: The command that draws it alone.
    """

    kind: ClassVar[str] = "figure"
    chart: Callable[[pl.DataFrame], alt.TopLevelMixin]
    filters: tuple[str, ...]
    command: str


@dataclass(frozen=True, slots=True)
class TableView(Shown):
    """A frame as a table that sorts.

    Attributes:
        shares: Columns that are shares of one: they get a bar.
        opened: Whether it is there from the start, however long it is.
    """

    kind: ClassVar[str] = "listing"
    shares: tuple[str, ...] = ()
    opened: bool = False

    def of(self, told: str, columns: Sequence[str]) -> TableView:
        """Some columns of the rows in which one of them, `told`, is not null."""
        return replace(self, frame=self.frame.filter(pl.col(told).is_not_null()).select(columns))


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
        findings: The answer in sentences.
        items: Figures, tables and galleries, in order.
        not_shown: What is missing, and why; plain text.
        intro: What the section is about, plain text.
        notes: A list of further lines, plain text.
    """

    findings: Sequence[Finding] = ()
    items: Sequence[Item] = ()
    not_shown: Sequence[str] = ()
    intro: str = ""
    notes: Sequence[str] = ()
