"""The status as tables: one row per model and dataset to read, one per stage to compute with; and a summary."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from analysis.lineage import extracted_of, partial_said
from analysis.status.stage import STAGES
from featurestore.quantities import age_text, bytes_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    import polars as pl

    from analysis.status.graph import Row
    from analysis.status.lake_index import LakeIndex
    from analysis.status.stage import Stage

LONG: Mapping[str, type] = {
    **dict.fromkeys(("model", "dataset", "role", "stage", "state", "reason"), str),
    **dict.fromkeys(("detectors", "rows", "bytes"), int),
    "created": str,
    "age_seconds": int,
}
"""The columns of `long`, and what they hold."""
WIDE: Mapping[str, type] = dict.fromkeys(("model", "dataset", "role", *STAGES), str)
"""The columns of `wide`, likewise."""


def wide(rows: Sequence[Row], detectors: Collection[str], now: datetime) -> list[dict[str, str]]:
    """One row per model and dataset, with a text per stage.

    Args:
        rows: The status.
        detectors: Names of the detectors that are scored unless some are named.
        now: The present.
    """
    usual = frozenset(detectors)
    return [
        {
            "model": row.model,
            "dataset": row.dataset,
            "role": row.role,
            **{
                name: _text(row.stages[name], usual - row.impossible, now) if name in row.stages else ""
                for name in STAGES
            },
        }
        for row in rows
    ]


def long(rows: Sequence[Row], now: datetime) -> list[dict[str, str | int | None]]:
    """One row per model, dataset and stage, with numbers.

    Args:
        rows: The status.
        now: The present.
    """
    return [
        {
            "model": row.model,
            "dataset": row.dataset,
            "role": row.role,
            "stage": name,
            "state": stage.state,
            "reason": " and ".join(stage.reasons) or None,
            "detectors": len(stage.detectors) if name == "scores" else None,
            "rows": stage.rows,
            "bytes": stage.bytes,
            "created": stage.created or None,
            "age_seconds": int((now - datetime.fromisoformat(stage.created)).total_seconds())
            if stage.created
            else None,
        }
        for row in rows
        for name, stage in row.stages.items()
    ]


def frame(lines: Sequence[Mapping[str, str | int | None]]) -> pl.DataFrame:
    """What `long` gives, as a frame."""
    import polars as pl  # slow to import, and a status is printed without it

    return pl.DataFrame(lines, LONG)


def summary(rows: Sequence[Row], detectors: Collection[str]) -> str:
    """How many stages are fresh, stale and missing, how many detectors were never scored, and what to run."""
    if not rows:
        return "Nothing is extracted yet: run `featurestore extract`."
    models, datasets = {row.model for row in rows}, {row.dataset for row in rows}
    states = Counter(stage.state for row in rows for stage in row.stages.values())
    scored = frozenset[str]().union(*(stage.detectors for row in rows for stage in row.stages.values()))
    possible = {name for without in {row.impossible for row in rows} for name in set(detectors) - without}
    never = len(possible - scored)
    text = f"{len(models):,} models x {len(datasets):,} datasets: {states['fresh']:,} stages fresh, "
    text += f"{states['stale']:,} stale, {states['missing']:,} missing"
    text += f"; {never} of {len(possible)} detectors never scored" if never else ""
    return text + _next_step(rows)


def partial_lines(index: LakeIndex, rows: Sequence[Row]) -> list[str]:
    """Sentences on activations that rest on fewer samples than their dataset has, of the models and datasets of some rows."""
    wanted, known = {(row.model, row.dataset) for row in rows}, index.datasets.values()
    manifests = (index.activations[model][name] for model, name in wanted if name in index.activations.get(model, {}))
    return partial_said(extracted_of(manifests, {dataset.name: dataset.digest for dataset in known}).current, known)


def _next_step(rows: Sequence[Row]) -> str:
    """The commands that make everything fresh, in order."""
    behind = {
        name: [row for row in rows if name in row.stages and row.stages[name].state != "fresh"] for name in STAGES
    }
    stale = sorted({row.dataset for row in behind["activations"] if row.stages["activations"].state == "stale"})
    missing = sorted({row.dataset for row in behind["activations"] if row.stages["activations"].state == "missing"})
    steps = [f"`featurestore extract --replace` on {', '.join(stale)}"] if stale else []
    steps += [f"`featurestore extract` on {', '.join(missing)}"] if missing else []
    steps += ["`featurestore score`"] if any(behind[name] for name in STAGES[1:]) else []
    return f". Next: {', then '.join(steps)}" if steps else ""


def _text(stage: Stage, detectors: AbstractSet[str], now: datetime) -> str:
    if not stage.created:
        return stage.state
    state = f"stale because {' and '.join(stage.reasons)}" if stage.reasons else "fresh"
    usual = len(stage.detectors & detectors)
    more = f", {len(stage.detectors) - usual} more" if len(stage.detectors) > usual else ""
    scored = f" ({usual} of {len(detectors)} detectors{more})" if stage.detectors else ""
    age = age_text(now - datetime.fromisoformat(stage.created))
    return f"{state}{scored}: {stage.rows:,} rows, {bytes_text(stage.bytes)}, {age} old"
