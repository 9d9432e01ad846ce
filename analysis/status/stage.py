"""A stage of the graph: fresh, missing, or stale and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.layout.judged_scores import judged_dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from featurestore.layout.fingerprint import Ingredients
    from featurestore.layout.manifest import Manifest
    from featurestore.partitions.writing import Target

STAGES = ("activations", "fits", "scores", "metrics", "selective", "calibration")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of one model on one dataset.

    Attributes:
        reasons: Why it is stale; empty if it is not.
        detectors: The registered detectors that it has scores of.
        rows: Rows that the lake holds of it.
        bytes: Their bytes.
        created: When the oldest of its manifests was written, ISO 8601; empty if the lake holds nothing of it.
    """

    reasons: tuple[str, ...] = ()
    detectors: frozenset[str] = frozenset()
    rows: int = 0
    bytes: int = 0
    created: str = ""

    @property
    def state(self) -> str:
        """`missing`, `stale` or `fresh`."""
        return "stale" if self.reasons else "fresh" if self.created else "missing"


def stage_of(manifest: Manifest, reasons: Iterable[str], detectors: Iterable[str] = ()) -> Stage:
    """The stage that a manifest makes, with the reasons for which it is stale."""
    rows, size = sum(part.rows for part in manifest.parts), sum(part.bytes for part in manifest.parts)
    return Stage(tuple(dict.fromkeys(reasons)), frozenset(detectors), rows, size, manifest.created)


def judging_stage(target: Target, manifest: Manifest | None, scores: Mapping[str, Stage]) -> Stage:
    """The stage of what judges a model's scores: its metrics, or its selective prediction.

    Args:
        target: What it should be, of the scores that are current.
        manifest: What there is; None if there is nothing.
        scores: The stages of the model's scores, by dataset.
    """
    if manifest is None:
        return Stage()
    stored = manifest.parts[0]
    if stored.fingerprint == target.fingerprint:
        return stage_of(manifest, [reason for stage in scores.values() for reason in stage.reasons])
    changed = differing(stored.ingredients, target.ingredients)
    judged = [dataset for dataset in map(judged_dataset, changed) if dataset is not None]
    stale = [dataset for dataset in judged if dataset in scores and scores[dataset].reasons]
    others = [dataset for dataset in judged if dataset not in stale]
    reasons = [f"the scores of {', '.join(stale)} are stale"] if stale else []
    reasons += [f"the scores of {', '.join(others)} changed"] if others else []
    return stage_of(manifest, reasons or [f"the numbers of {target.table.name} changed their definition"])


def joined(one: Stage, other: Stage) -> Stage:
    """The stage of a dataset that is in two benchmarks."""
    reasons = tuple(dict.fromkeys(one.reasons + other.reasons))
    rows, size = one.rows + other.rows, one.bytes + other.bytes
    return Stage(reasons, one.detectors | other.detectors, rows, size, min(one.created, other.created))


def differing(stored: Ingredients, wanted: Ingredients) -> list[str]:
    """The ingredients that differ, in order of name."""
    return sorted(name for name in stored.keys() | wanted.keys() if stored.get(name) != wanted.get(name))
