"""`featurestore detector …`: what the lake holds of detectors."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.cli.options import DryRunOption, FormatOption, LakeOption, lake_at, lake_with_verbs
from featurestore.cli.output import say, tell_edit
from featurestore.cli.render import show_frame


def detector_rename(
    old: Annotated[str, typer.Argument(help="Name of the detector in the lake.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Rename a detector's scores and its rows of metrics; nothing is extracted or scored again.

    Example:
        featurestore detector rename mine my-detector
    """
    tell_edit(lake_with_verbs(lake).rename("detector", old, new, dry_run=dry_run, say=say), dry_run=dry_run)


def detector_remove(
    name: Annotated[str, typer.Argument(help="Name of the detector in the lake.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Remove a detector's scores, its rows of metrics, and the statistics that no other detector with scores needs.

    Example:
        featurestore detector remove knn --dry-run
    """
    tell_edit(lake_with_verbs(lake).remove("detector", name, dry_run=dry_run, say=say), dry_run=dry_run)


def detector_list(format_: FormatOption = "table", lake: LakeOption = None) -> None:
    """List the detectors that the lake has scores of: in which benchmarks, of how many models, on how many datasets.

    Example:
        featurestore detector list
    """
    import polars as pl

    opened = lake_at(lake)
    opened.check_exists()
    held = [{**of.key, **part.key, "scores": part.rows} for of in opened.partitions("scores") for part in of.parts]
    columns = ("benchmark", "model", "dataset", "detector")
    frame = pl.DataFrame(held, {**dict.fromkeys(columns, pl.String), "scores": pl.Int64})
    counted = frame.group_by("detector", "benchmark").agg(
        pl.n_unique("model").alias("models"), pl.n_unique("dataset").alias("datasets"), pl.sum("scores")
    )
    show_frame(counted.sort("detector", "benchmark"), format_)
