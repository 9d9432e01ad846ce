"""What detectors need, and whether a model and its activations in a benchmark provide it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analysis.lineage.learning_set import learning_dataset, learning_sets_of
from analysis.rows.head import is_headless, read_head, tells_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Manifest, Part


@dataclass(frozen=True, eq=False)
class Provisions:
    """What a model has in a benchmark.

    Attributes:
        lake: The lake.
        benchmark: The benchmark.
        model: The model.
        activations: The model's activations by dataset.
    """

    lake: Lake
    benchmark: Benchmark
    model: str
    activations: Mapping[str, Part]

    @cached_property
    def has_logits(self) -> bool:
        """Whether logits are stored, or follow from a head."""
        return not is_headless(self.activations)

    @cached_property
    def lacking_predictions(self) -> str:
        """Why the model predicts no class, in words; empty if it does."""
        if not self.has_logits:
            return "the model has no head, so no logits"
        return "the weights of the model's head are the same for each class" if self._lacking_head else ""

    def lacking(self, detector: Detector[Any]) -> str:
        """What a detector needs and is not there, in words; empty if nothing."""
        if for_good := self.lacking_for_good(detector):
            return for_good
        for kind, learning_set in learning_sets_of(self.benchmark, detector, self.activations).items():
            if learning_set is None:
                dataset = learning_dataset(self.benchmark, kind)
                return f"activations on the {kind} dataset {dataset or 'of the benchmark, which has none'}"
        return ""

    def lacking_for_good(self, detector: Detector[Any]) -> str:
        """What a detector needs of a network that this one does not have; empty if nothing."""
        if self._lacking_head and detector.reads_head:
            return self._lacking_head
        if detector.needs_head and not (self.has_logits and self._heads):
            return "a linear head, and the model has none"
        if detector.needs_negatives and not self._has_negatives:
            return "embeddings of negative labels, and the model's head has none"
        return ""

    @cached_property
    def _heads(self) -> list[Manifest]:
        return self.lake.partitions("heads", model=self.model)

    @cached_property
    def _has_negatives(self) -> bool:
        head = read_head(self.lake, self.model, self.activations)
        return head is not None and head.negatives is not None

    @cached_property
    def _lacking_head(self) -> str:
        """What the model lacks that detectors on logits or the head need; empty if it lacks nothing."""
        if not self.has_logits:
            return "logits or a head, and the model has none"
        if self._heads and not tells_classes(self._heads[0].parts[0]):
            return "a head that tells classes apart, and the weights of the model's are the same for each class"
        return ""
