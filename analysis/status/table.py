"""The status as tables: one row per model and dataset to read, one per stage to compute with; and a summary."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from analysis.lineage import extracted_of, partial_said
from analysis.status.stage import STAGES
from featurestore.quantities import age_text, bytes_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from analysis.status.graph import Row
    from analysis.status.lake_index import LakeIndex
    from analysis.status.stage import Stage

_LONG = pa.schema(
    [
        *((name, pa.string()) for name in ("model", "dataset", "role", "stage", "state", "reason")),
        *((name, pa.int64()) for name in ("detectors", "rows", "bytes")),
        ("created", pa.string()),
        ("age_seconds", pa.int64()),
    ]
)


def wide(rows: Sequence[Row], detectors: Collection[str], now: datetime) -> pa.Table:
    """One row per model and dataset, with a text per stage.

    Args:
        rows: The status.
        detectors: Names of the detectors that are scored unless some are named.
        now: The present.
    """
    columns = {name: [getattr(row, name) for row in rows] for name in ("model", "dataset", "role")}
    stages = {
        stage: [
            _text(row.stages[stage], set(detectors) - row.impossible, now) if stage in row.stages else ""
            for row in rows
        ]
        for stage in STAGES
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in {**columns, **stages}.items()})


def long(rows: Sequence[Row], now: datetime) -> pa.Table:
    """One row per model, dataset and stage, with numbers.

    Args:
        rows: The status.
        now: The present.
    """
    cells = [(row, name, stage) for row in rows for name, stage in row.stages.items()]
    lines = [
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
        for row, name, stage in cells
    ]
    return pa.Table.from_pylist(lines, _LONG)


def summary(rows: Sequence[Row], detectors: Collection[str]) -> str:
    """How many stages are fresh, stale and missing, how many detectors were never scored, and what to run."""
    if not rows:
        return "Nothing is extracted yet: run `featurestore extract`."
    models, datasets = {row.model for row in rows}, {row.dataset for row in rows}
    states = Counter(stage.state for row in rows for stage in row.stages.values())
    scored = {name for row in rows for stage in row.stages.values() for name in stage.detectors}
    possible = {name for row in rows for name in set(detectors) - row.impossible}
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


def _text(stage: Stage, detectors: Collection[str], now: datetime) -> str:
    if not stage.created:
        return stage.state
    state = f"stale because {' and '.join(stage.reasons)}" if stage.reasons else "fresh"
    usual = len(stage.detectors & set(detectors))
    more = f", {len(stage.detectors) - usual} more" if len(stage.detectors) > usual else ""
    scored = f" ({usual} of {len(detectors)} detectors{more})" if stage.detectors else ""
    age = age_text(now - datetime.fromisoformat(stage.created))
    return f"{state}{scored}: {stage.rows:,} rows, {bytes_text(stage.bytes)}, {age} old"
