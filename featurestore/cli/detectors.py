"""`featurestore detector …`: what the lake holds of detectors."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.cli import edits
from featurestore.cli.options import DryRunOption, LakeOption
from featurestore.lake import Lake


def detector_remove(
    name: Annotated[str, typer.Argument(help="Name of the detector in the lake.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Remove a detector's scores, its rows of metrics, and the statistics that no other detector with scores needs."""
    from analysis.scoring.own_statistics import own_statistics

    opened = Lake(lake)
    opened.check_exists()
    edits.remove(opened, "detector", name, dry_run=dry_run, statistics=own_statistics(opened, name))
