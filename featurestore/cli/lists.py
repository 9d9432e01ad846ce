"""What the commands share that list what a lake holds of a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurestore.lake import Lake


def list_rows(lake: Lake, query: str, format_: str) -> None:
    """Show what the lake holds of a kind: one short statement over the views."""
    import polars as pl

    from featurestore.cli.render import show_frame

    lake.check_exists()
    show_frame(pl.DataFrame(pl.from_arrow(lake.sql(query).to_arrow_table())), format_)
