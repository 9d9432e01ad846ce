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


def apply(lake: Lake, edit: Edit, name: str, *, dry_run: bool) -> None:
    """Say what an edit does, and do it."""
    from featurestore.edit import carry_out, summary
    from featurestore.progress import progress

    for line in (*edit.notes, *summary(edit, dry_run=dry_run)):
        say(f"{name}: {line}")
    if not dry_run:
        carry_out(lake.storage, edit, partial(progress, "commits"))
