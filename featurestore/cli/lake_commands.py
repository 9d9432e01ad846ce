"""The commands about a lake as a whole: status, copy, merge, gc, verify, report, catalog, demo; and what is kept of lakes here."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurestore.cli.options import (
    DatasetsOption,
    FormatOption,
    LakeOption,
    ModelsOption,
    StrictOption,
    lake_at,
    lake_with_verbs,
    tell_age,
)
from featurestore.cli.output import answer, say, tell, wants_rows
from featurestore.cli.render import is_typed, show_frame
from featurestore.cli.rows import Rows
from featurestore.cli.text_table import printable
from featurestore.shown_text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def status(
    model: ModelsOption = None,
    dataset: DatasetsOption = None,
    format_: FormatOption = "table",
    lake: LakeOption = None,
) -> None:
    """Show what the lake holds of each model on each dataset, and what is missing or stale.

    Example:
        featurestore status --model vit-b16
    """
    from analysis.detectors.registry import default_detectors, known_by
    from analysis.lineage import overlaps_said
    from analysis.status import LONG, WIDE, frame, long, partial_lines, read_lake_index, status_rows, summary, wide

    opened = lake_at(lake)
    index = read_lake_index(opened)
    rows = status_rows(index, known_by(index.detectors), model or (), dataset or ())
    usual, now = [detector.name for detector in default_detectors()], datetime.now(UTC)
    tell(states=Counter(stage.state for row in rows for stage in row.stages.values()))
    if is_typed(format_):
        show_frame(frame(long(rows, now)), format_)
    else:
        is_wide = format_ in {"table", "markdown", "latex"} and not wants_rows()
        columns, lines = (WIDE, wide(rows, usual, now)) if is_wide else (LONG, long(rows, now))
        _show_rows(columns, lines, format_)
    if format_ == "table":
        say(summary(rows, usual))
        for line in partial_lines(index, rows):
            say(line)
        for line in overlaps_said(opened, list(index.datasets.values())) if rows else ():
            say(line)


def gc(
    older_than: Annotated[str, typer.Option(help="Grace period: a whole number and s, m, h, d or w.")] = "24h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    lake: LakeOption = None,
) -> None:
    """Delete what no manifest names any more, and what killed jobs left.

    Example:
        featurestore gc --older-than 7d --dry-run
    """
    found = lake_with_verbs(lake).gc(older_than=older_than, dry_run=dry_run, say=say)
    tell(
        deleted=len(found.deleted),
        deleted_bytes=sum(one.bytes for one in found.deleted),
        kept=len(found.kept),
        kept_bytes=sum(one.bytes for one in found.kept),
        dry_run=dry_run,
    )


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete it all.")] = False,
) -> None:
    """Show what is kept on this machine of lakes, and where.

    Example:
        featurestore cache --clear
    """
    from featurestore.quantities import bytes_text
    from featurestore.settings import read_settings
    from featurestore.storage import caches

    settings = caches.cache_settings(read_settings())
    if clear:
        say(f"{settings.root}: {bytes_text(caches.clear(settings.root))} deleted")
    else:
        answer("".join(f"{line}\n" for line in caches.described(settings)))
    lakes = {lake.location: lake.bytes for lake in caches.cached_lakes(settings.root)}
    tell(folder=str(settings.root), bytes=sum(lakes.values()), limit=settings.limit, lakes=lakes)


def verify(
    deep: Annotated[bool, typer.Option("--deep", help="Hash every file and check every row too.")] = False,
    lake: LakeOption = None,
) -> None:
    """Check that the lake holds what its manifests say.

    Example:
        featurestore verify --deep --lake s3://bucket/lake
    """
    from featurestore.care import verify
    from featurestore.progress import progress

    opened = lake_at(lake)
    opened.check_exists()
    bar = partial(progress, "verify")
    faults: list[verify.Fault] = []

    def found(fault: verify.Fault) -> None:
        faults.append(fault)
        answer(f"{shown(str(fault))}\n")

    summary = verify.verify(opened.storage, found, deep=deep, bar=bar)
    say(str(summary))
    tell(**{**asdict(summary), "faults": [asdict(fault) for fault in faults]})
    if summary.faults:
        raise typer.Exit(1)


def copy(
    lake: Annotated[str, typer.Argument(help="Folder or URL of the lake to copy.")],
    target: Annotated[str, typer.Argument(help="Folder or URL to copy it to.")],
    model: Annotated[list[str] | None, typer.Option(help="Only these models; * stands for any characters.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Only these datasets, likewise.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Only these tables, and those that they name.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what the target holds otherwise.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be copied, and copy nothing.")] = False,
) -> None:
    """Copy a lake, or a part of it, to another folder or bucket; each file is checked on the way.

    Example:
        featurestore copy lake s3://bucket/lake --model "vit-*"
    """
    carried = lake_with_verbs(lake).copy(
        target, model=model, dataset=dataset, table=table, replace=replace, dry_run=dry_run, say=say
    )
    tell(**asdict(carried), dry_run=dry_run)


def merge(
    other: Annotated[str, typer.Argument(help="Folder or URL of the lake to take everything from.")],
    suffix: Annotated[
        str | None, typer.Option("--as", help="Take what disagrees under another name: NAME-SUFFIX.", metavar="SUFFIX")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be merged, and change nothing.")] = False,
    lake: LakeOption = None,
) -> None:
    """Take all that another lake holds into the lake; where the two disagree, nothing is written, or --as renames.

    Example:
        featurestore merge ../colleague/lake --dry-run
    """
    tell(**asdict(lake_with_verbs(lake).merge(other, as_=suffix, dry_run=dry_run, say=say)), dry_run=dry_run)


def report(
    out: Annotated[Path, typer.Argument(help="HTML file to write.")],
    figures: Annotated[
        Path | None, typer.Option(help="Folder for each figure as PNG, SVG and CSV, as wide as a paper's column.")
    ] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Benchmark to report on. [default: main, else the first with metrics]")
    ] = None,
    metric: Annotated[
        str, typer.Option(help="Metric that detectors are ranked by: fpr95, auroc, aupr_in or aupr_out.")
    ] = "fpr95",
    images: Annotated[
        list[str] | None,
        typer.Option("--images", help="Folder or URL from which pictures may be shown; give it again for more."),
    ] = None,
    strict: StrictOption = False,
    lake: LakeOption = None,
) -> None:
    """Write one HTML page that works offline: findings, interactive figures, tables, and the hardest OOD samples.

    Example:
        featurestore report report.html --figures figures --images /data/ninco
    """
    from analysis.report import write_report
    from featurestore.verbs import image_opener_of

    opened = lake_at(lake)
    note = partial(tell_age, strict=strict)
    opener = image_opener_of(opened, images or ())
    written = write_report(
        opened, out, figures=figures, benchmark=benchmark, metric=metric, open_image=opener, note=note
    )
    tell(file=str(out), figures=len(written) // 3)
    if figures:
        say(f"{figures}: {len(written) // 3} figures as PNG, SVG and CSV")
    say(f"{out}: open it in a browser")


def catalog(
    out: Annotated[Path, typer.Argument(help="DuckDB file to write.")],
    lake: LakeOption = None,
) -> None:
    """Write a DuckDB file with every view and question, for any DuckDB client.

    Example:
        featurestore catalog lake.duckdb
    """
    from featurestore.query.duckdb_file import NEEDS

    lake_with_verbs(lake).catalog(out)
    tell(file=str(out))
    say(f"{out}: open it with any DuckDB client from {NEEDS} on; make it again to see what is added to the lake later")


def demo(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder for the images, models, lake and report. [default: demo, or demo-real]"),
    ] = None,
    real: Annotated[
        bool,
        typer.Option("--real", help="With three networks of ImageNet and photographs, which packages bring along."),
    ] = False,
    lake: Annotated[
        str | None, typer.Option("--lake", help="Folder or URL of the lake. [default: FOLDER/lake]")
    ] = None,
) -> None:
    """Show the whole product on real images, printing each command.

    Example:
        featurestore demo
        featurestore demo --real
    """
    from extract.demo import run_demo, run_real_demo

    folder = folder or Path("demo-real" if real else "demo")
    lake = lake or str(folder / "lake")
    run = run_real_demo if real else run_demo
    run(folder, partial(context.find_root().command.main, standalone_mode=False), lake, say)
    tell(folder=str(folder), lake=lake)


def _show_rows(columns: Mapping[str, type], lines: Sequence[Mapping[str, Any]], format_: str) -> None:
    """Print rows, as a table on a terminal, and in columns for a pipe or a file."""
    values = [[line[name] for name in columns] for line in lines]
    if format_ == "table" and not wants_rows() and not sys.stdout.isatty():
        answer("".join(f"{printable(line)}\n" for line in _aligned([list(columns), *values])))
    else:
        show_frame(Rows(list(columns), [kind is int for kind in columns.values()], values), format_)


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Texts in columns as plain lines."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
