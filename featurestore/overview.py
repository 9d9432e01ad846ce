"""What a lake holds, for a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from featurestore.layout.tables import Table
    from featurestore.storage import Storage

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
