"""What the commands share that remove and rename: planning, saying, doing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from featurestore.cli.options import say

if TYPE_CHECKING:
    from collections.abc import Collection

    from featurestore.edit import Edit
    from featurestore.lake import Lake


def remove(lake: Lake, kind: str, name: str, *, dry_run: bool, statistics: Collection[str] = ()) -> None:
    """Remove a dataset, model, detector or benchmark, with all that was made from it."""
    from featurestore.edit import read_inventory, removal

    lake.check_exists()
    apply(lake, removal(read_inventory(lake.storage), kind, name, statistics), name, dry_run=dry_run)


def rename(lake: Lake, kind: str, old: str, new: str, *, dry_run: bool) -> None:
    """Give a dataset, model, detector or benchmark another name, wherever it stands."""
    from analysis.lineage.renamed import learned_anew
    from featurestore.edit import read_inventory, renaming, summary
    from featurestore.edit import rename as carry_out
    from featurestore.progress import progress

    lake.check_exists()
    edit = renaming(read_inventory(lake.storage), kind, old, new, learned_anew)
    for line in summary(edit, dry_run=dry_run):
        say(f"{old} -> {new}: {line}")
    if not dry_run:
        carry_out(lake.storage, kind, old, new, learned=learned_anew, bar=partial(progress, "commits"))
        say(f"{old} is called {new} now")


def list_rows(lake: Lake, query: str, format_: str) -> None:
    """Show what the lake holds of a kind: one short statement over the views."""
    import polars as pl

    from featurestore.cli.render import show_frame

    lake.check_exists()
    show_frame(pl.DataFrame(pl.from_arrow(lake.sql(query).to_arrow_table())), format_)


def apply(lake: Lake, edit: Edit, name: str, *, dry_run: bool) -> None:
    """Say what an edit does, and do it."""
    from featurestore.edit import carry_out, summary
    from featurestore.progress import progress

    if not edit.steps:
        say(f"{name}: nothing to do, the lake says so already")
        return
    rows_alone = all(step.verb == "rewritten" for step in edit.steps)
    for line in (*edit.notes, *(() if rows_alone else summary(edit, dry_run=dry_run))):
        say(f"{name}: {line}")
    if not dry_run:
        carry_out(lake.storage, edit, partial(progress, "commits"))
