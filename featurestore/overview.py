"""What a notebook shows: of a lake what it holds, of an answer its first rows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    import duckdb

    from featurestore.layout.tables import Table
    from featurestore.storage import Storage

SHOWN_ROWS = 50
"""Of an answer, in a notebook."""
_HEADER = ("table", "partitions", "parts", "rows", "size")


def as_html(storage: Storage) -> str:
    """A small HTML table: how many partitions, parts and rows each table of a lake has, and how large they are; from manifests alone."""
    title = f"Lake at {escape(storage.location)}"
    if not storage.exists():
        return f"<p>{title}: there is none yet.</p>"
    rows = [cells for table in TABLES.values() if (cells := _cells(storage, table))]
    if not rows:
        return f"<p>{title}: it is empty.</p>"
    head = "".join(f"<th>{name}</th>" for name in _HEADER)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in rows)
    return f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(storage: Storage, table: Table) -> tuple[str, ...]:
    """One row, or nothing where the table has no partitions."""
    manifests = snapshot.current(storage, table)
    parts = [part for manifest in manifests for part in manifest.parts]
    if not manifests:
        return ()
    counts = len(manifests), len(parts), sum(part.rows for part in parts)
    return table.name, *(f"{count:,}" for count in counts), bytes_text(sum(part.bytes for part in parts))


def answer_as_html(answer: duckdb.DuckDBPyRelation) -> str:
    """The first rows of an answer as an HTML table, with a line above where there are more."""
    import polars as pl

    from featurestore.query import fetch

    first = fetch(answer.limit(SHOWN_ROWS + 1))
    more = f"<p>The first {SHOWN_ROWS} rows:</p>" if len(first) > SHOWN_ROWS else ""
    with pl.Config(tbl_rows=SHOWN_ROWS, tbl_cols=-1):
        return more + first.head(SHOWN_ROWS)._repr_html_()


def show_answers() -> None:
    """Let notebooks show answers as tables: they are relations of DuckDB's own class, which gets a method where it has none."""
    import duckdb  # slow to import, as all that answers is, and jobs do without

    if not hasattr(duckdb.DuckDBPyRelation, "_repr_html_"):
        setattr(duckdb.DuckDBPyRelation, "_repr_html_", answer_as_html)  # noqa: B010 # its stub has no such attribute
