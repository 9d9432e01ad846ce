"""What detectors learn from: activations of the fit dataset, or of data that they are tuned on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analysis.statistics.statistic import FIT, VALIDATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark
    from featurestore.layout.manifest import Part


@dataclass(frozen=True, slots=True)
class LearningSet:
    """The activations that statistics of one kind are gathered from.

    Attributes:
        dataset: The dataset.
        tenth: Whether only the seeded tenth of it that stands in for validation data.
        activations: Their fingerprint.
    """

    dataset: str
    tenth: bool
    activations: str


def learning_dataset(benchmark: Benchmark, kind: str) -> str | None:
    """The dataset that statistics of a kind come from, of a model with activations on it; None where the benchmark has none."""
    return benchmark.fit if kind == FIT else benchmark.val or benchmark.id


def learning_set_of(benchmark: Benchmark, kind: str, activations: Mapping[str, Part]) -> LearningSet | None:
    """Where statistics of a kind come from; None if the model has no activations there yet.

    Args:
        benchmark: The benchmark.
        kind: `FIT` or `VALIDATION`.
        activations: The model's activations by dataset.
    """
    tenth = kind == VALIDATION and benchmark.val is None
    dataset = learning_dataset(benchmark, kind)
    if dataset is None or dataset not in activations:
        return None
    return LearningSet(dataset, tenth, activations[dataset].fingerprint)


def leaves_out_tenth(benchmark: Benchmark, detector: Detector[Any]) -> bool:
    """Whether a tenth of the ID test set tunes the detector, and therefore cannot judge it."""
    return benchmark.val is None and any(need.source == VALIDATION for need in detector.statistics)


def learning_sets_of(
    benchmark: Benchmark, detector: Detector[Any], activations: Mapping[str, Part]
) -> dict[str, LearningSet | None]:
    """All that a detector learns from, by kind; the fit dataset comes first."""
    kinds = {need.source for need in detector.statistics} | ({FIT} if detector.compare else set())
    return {kind: learning_set_of(benchmark, kind, activations) for kind in sorted(kinds)}
