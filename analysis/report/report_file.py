"""The report: findings first, then the sections, in one file that needs no network."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING

from analysis.report.context import DEFAULT_BENCHMARK, CachingLake, Context
from analysis.report.figures import write_figures
from analysis.report.rendering import bundle, rendered
from analysis.report.section_items import Figure, SectionBody
from analysis.report.sections import sections
from analysis.studies.results import METRICS
from featurestore.errors import LakeError, MissingError, StaleWarning, StorageError
from featurestore.held import ALL, Held, complaints
from featurestore.names import pick
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from analysis.report.context import OpenImage
    from analysis.report.sections import Section
    from featurestore.lake import Lake

_READ = ("models", "datasets", "scores", "metrics", "accuracy", "geometry")


def write_report(
    lake: Lake,
    out: Path,
    *,
    figures: Path | None = None,
    benchmark: str | None = None,
    metric: str = "fpr95",
    open_image: OpenImage | None = None,
    note: Callable[[Sequence[str]], None] = lambda _: None,
) -> Sequence[Path]:
    """Write the report of a lake as one HTML file without links to anywhere.

    Args:
        lake: The lake.
        out: The file; its folder is made if it is not there.
        figures: Folder to write each figure to as PNG, SVG and CSV too.
        benchmark: The benchmark to report on; by default `main`, else the first that has metrics.
        metric: What detectors are ranked by, and what tables of one metric show: `fpr95`, `auroc`, `aupr_in` or `aupr_out`.
        open_image: Opens a sample's image, for the pictures; None where that is not possible.
        note: Is told, before anything is made, what is left out because it is stale, and what is partial; may raise.

    Returns:
        The figures' files.

    Raises:
        MissingError: There is no such metric; or the lake has no metrics yet, or none of that benchmark; or all that it has are stale.
        StorageError: A file cannot be written.
    """
    pick("metric", metric, METRICS)
    lake.check_exists()
    lake = lake.for_a_job(*_READ, "detectors")
    held = Held(lake.storage)
    rests_on = complaints(held, ALL, without=ALL)
    note(rests_on)
    with warnings.catch_warnings(action="ignore", category=StaleWarning):
        current = CachingLake(lake.current())
        chosen = _benchmark(current, benchmark, rests_on)
        context = Context(current, chosen, open_image, rests_on, metric, _digest(held))
        vega = bundle()
        built = [(section, _built(section, context)) for section in sections()]
    page = rendered(context, built, vega)
    try:
        write_whole(out.absolute(), page.encode())
    except OSError as error:
        raise StorageError(f"Cannot write {out}: {error.strerror}.") from error
    drawings = [item for _, body in built for item in body.items if isinstance(item, Figure)]
    return write_figures(drawings, figures, context.first_detectors) if figures else []


def _benchmark(lake: Lake, wanted: str | None, rests_on: Sequence[str]) -> str:
    held = sorted({str(name) for (name,) in lake.sql("select distinct benchmark from metrics").fetchall()})
    if not held:
        stale = f"No metrics are left to report: {' '.join(rests_on)}" if rests_on else ""
        raise MissingError(stale or "There are no metrics to report yet: run `featurestore score` first.")
    if wanted is not None:
        return pick("benchmark", wanted, held)
    return DEFAULT_BENCHMARK if DEFAULT_BENCHMARK in held else held[0]


def _digest(held: Held) -> str:
    """The same for lakes that hold the same of what a report reads."""
    prints = sorted(
        f"{table} {sorted({**manifest.key, **part.key}.items())} {part.fingerprint}"
        for table in _READ
        for manifest in held.of(table)
        for part in manifest.parts
    )
    return hashlib.sha256("\n".join(prints).encode()).hexdigest()


def _built(section: Section, context: Context) -> SectionBody:
    """A section, or why there is none: what one part of a lake lacks must not hide the rest."""
    try:
        return section.build(context)
    except LakeError as error:
        return SectionBody(not_shown=[f"{section.title}: {error}"])
