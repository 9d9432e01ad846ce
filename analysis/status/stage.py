"""A stage of the graph: fresh, missing, or stale and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.lineage.ingredients import metrics_target
from featurestore.layout.judged_scores import judged_dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from analysis.lineage.benchmark import Benchmark
    from featurestore.layout.fingerprint import Ingredients
    from featurestore.layout.manifest import Manifest

STAGES = ("activations", "fits", "scores", "metrics")


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


def metrics_stage(
    benchmark: Benchmark,
    model: str,
    manifest: Manifest | None,
    current: Mapping[str, Mapping[str, str]],
    scores: Mapping[str, Stage],
) -> Stage:
    """The stage of a model's metrics.

    Args:
        benchmark: The benchmark.
        model: The model.
        manifest: Its metrics; None if there are none.
        current: Fingerprints of its current scores, by dataset and detector.
        scores: The stages of its scores, by dataset.
    """
    if manifest is None:
        return Stage()
    stored = manifest.parts[0]
    target = metrics_target(benchmark, model, current)
    if stored.fingerprint == target.fingerprint:
        return stage_of(manifest, [reason for stage in scores.values() for reason in stage.reasons])
    changed = differing(stored.ingredients, target.ingredients)
    judged = [dataset for dataset in map(judged_dataset, changed) if dataset is not None]
    stale = [dataset for dataset in judged if dataset in scores and scores[dataset].reasons]
    others = [dataset for dataset in judged if dataset not in stale]
    reasons = [f"the scores of {', '.join(stale)} are stale"] if stale else []
    reasons += [f"the scores of {', '.join(others)} changed"] if others else []
    return stage_of(manifest, reasons or ["the metrics changed their definition"])


def joined(one: Stage, other: Stage) -> Stage:
    """The stage of a dataset that is in two benchmarks."""
    reasons = tuple(dict.fromkeys(one.reasons + other.reasons))
    rows, size = one.rows + other.rows, one.bytes + other.bytes
    return Stage(reasons, one.detectors | other.detectors, rows, size, min(one.created, other.created))


def differing(stored: Ingredients, wanted: Ingredients) -> list[str]:
    """The ingredients that differ, in order of name."""
    return sorted(name for name in stored.keys() | wanted.keys() if stored.get(name) != wanted.get(name))
