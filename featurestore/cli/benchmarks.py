"""`featurestore benchmark …`: datasets that are judged together, how, and suites of them as they are distributed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featurestore.cli.options import (
    SOME_FAILED,
    DryRunOption,
    FormatOption,
    LakeOption,
    ReplaceOption,
    lake_at,
    lake_with_verbs,
)
from featurestore.cli.output import say, say_aside, tell, tell_edit
from featurestore.cli.render import show_frame


def benchmark_add(
    name: Annotated[str, typer.Argument(help="Name of the benchmark in the lake.")],
    suite: Annotated[
        str,
        typer.Option(
            help="openood-v1.5-imagenet1k, openood-v1.5-imagenet200, openood-v1.5-cifar10, openood-v1.5-cifar100 or ninco-2023."
        ),
    ],
    root: Annotated[Path, typer.Option(help="Folder that it was downloaded to.")],
    replace: ReplaceOption = False,
    lake: LakeOption = None,
) -> None:
    """Add a whole suite: each of its sets as a dataset, with its role and group.

    Example:
        featurestore benchmark add openood --suite openood-v1.5-imagenet1k --root /data/openood
    """
    summary = lake_with_verbs(lake).add_benchmark(name, suite, root, replace=replace, say=say)
    say(f"{name}: {len(summary.added)} sets added, {len(summary.kept)} there already, {len(summary.missing)} missing")
    if summary.remark:
        say(
            f"{summary.remark}: add its train set and its test set with `featurestore dataset add … --benchmark {name}`, "
            "--role fit and --role id."
        )
    tell(added=summary.added, kept=summary.kept, missing=summary.missing)
    if summary.missing:
        for reason in summary.missing.values():
            say_aside(f"Missing: {reason}")
        say_aside("Complete them, and run the same command again: it adds what is missing.")
        raise typer.Exit(SOME_FAILED)


def benchmark_rename(
    old: Annotated[str, typer.Argument(help="Name of the benchmark in the lake.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Rename a benchmark wherever it is named; nothing is extracted or scored again.

    Example:
        featurestore benchmark rename main imagenet
    """
    tell_edit(lake_with_verbs(lake).rename("benchmark", old, new, dry_run=dry_run, say=say), dry_run=dry_run)


def benchmark_remove(
    name: Annotated[str, typer.Argument(help="Name of the benchmark in the lake.")],
    dry_run: DryRunOption = False,
    lake: LakeOption = None,
) -> None:
    """Remove a benchmark with its scores and metrics; its datasets stay, and so do their activations.

    Example:
        featurestore benchmark remove main --dry-run
    """
    tell_edit(lake_with_verbs(lake).remove("benchmark", name, dry_run=dry_run, say=say), dry_run=dry_run)


def benchmark_set(
    name: Annotated[str, typer.Argument(help="Name of the benchmark in the lake.")],
    without_overlaps: Annotated[
        bool | None,
        typer.Option(
            "--without-overlaps/--with-overlaps",
            help="Whether test images whose bytes are also in a dataset of another role are left out of the judging; --with-overlaps takes them in again.",
        ),
    ] = None,
    lake: LakeOption = None,
) -> None:
    """Set how a benchmark is judged; `score` then judges again what that changes.

    Example:
        featurestore benchmark set main --without-overlaps
    """
    tell(changed=lake_with_verbs(lake).set_benchmark(name, without_overlaps=without_overlaps, say=say))


def benchmark_list(format_: FormatOption = "table", lake: LakeOption = None) -> None:
    """List the benchmarks with their datasets, and how they are judged.

    Example:
        featurestore benchmark list
    """
    opened = lake_at(lake)
    frame = opened.sql("from benchmarks order by benchmark").pl()
    show_frame(frame, format_)
    if frame.is_empty() and format_ == "table":
        say("There is no benchmark yet: `featurestore dataset add` puts datasets into one.")
