"""What the detectors of a model learned: computed from statistics of its activations, which the lake stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from analysis.algebra.blas import one_thread
from analysis.detectors import FitInputs
from analysis.lineage.ingredients import learned_by_detector, statistic_target
from analysis.lineage.learning_set import learning_set_of
from analysis.rows.head import read_head
from analysis.rows.lake_rows import Rows
from analysis.scoring.stored_statistics import read_statistic, write_statistic
from analysis.statistics.statistic import FIT, SweepContext, with_earlier
from analysis.statistics.sweep import gather
from featurestore.errors import InputError, LakeError, NumericalError
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from featurestore.progress import no_bar
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark
    from analysis.lineage.learning_set import LearningSet
    from analysis.rows.head import Head
    from analysis.statistics.statistic import Arrays, Statistic
    from analysis.statistics.sweep import Gatherer
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part
    from featurestore.progress import Bars

SMALLEST_MEMORY = 64_000_000
"""Bytes below which not even a few blocks of rows and their products fit."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a job works with.

    Attributes:
        memory: Bytes that gathering should stay below.
        run: Who gathers; by default threads here.
        bars: Shows how far the work is.
    """

    memory: int = 1 << 30
    run: Gatherer | None = None
    bars: Bars = no_bar

    def __post_init__(self) -> None:
        if self.memory < SMALLEST_MEMORY:
            raise InputError(
                f"{bytes_text(self.memory)} of memory is too little to fit detectors in: "
                f"give {bytes_text(SMALLEST_MEMORY)} or more."
            )


@dataclass(frozen=True, slots=True, eq=False)
class ModelFits:
    """The fits of one model in one benchmark.

    Attributes:
        lake: The lake.
        benchmark: The benchmark.
        model: The model.
        activations: The model's activations by dataset.
        classes: C, the classes of the model.
        head: The model's final linear layer; None for a model without.
        say: Is told what the user should know of a fit.
        means: What to work with.
        also: Statistics of the fit dataset that others will want, gathered in the detectors' sweep.
        failed: Why a detector could not learn from the statistics, by its name.
    """

    lake: Lake
    benchmark: Benchmark
    model: str
    activations: Mapping[str, Part]
    classes: int
    head: Head | None
    say: Callable[[str], None]
    means: Means = field(default_factory=Means)
    also: tuple[Statistic, ...] = ()
    failed: dict[str, LakeError] = field(default_factory=dict, init=False, repr=False)

    def of(self, detectors: Sequence[Detector[Any]]) -> dict[str, Any]:
        """What detectors learned, by name.

        Args:
            detectors: Detectors whose sources the model has activations of; those that learn nothing get None. Those
                that cannot learn from these statistics are absent: `failed` holds why.

        Raises:
            InputError: A sample has no label where one is needed.
            NumericalError: Activations are NaN or infinite.
        """
        fits: dict[str, Any] = {detector.name: None for detector in detectors if not detector.fit}
        learning_set = learning_set_of(self.benchmark, FIT, self.activations)
        inputs = FitInputs(self.needed(detectors), self.head, self.context(learning_set).dtype)
        # Several threads would wait for each other wherever others use the cores, and decide on last digits.
        with one_thread():
            for detector in (detector for detector in detectors if detector.fit):
                self._fit(detector, inputs, fits)
        for warning in dict.fromkeys(inputs.warnings):
            self.say(f"{self.model}: {warning}")
        return fits

    def _fit(self, detector: Detector[Any], inputs: FitInputs, fits: dict[str, Any]) -> None:
        try:
            fits[detector.name] = detector.fit_to(inputs)
        except LakeError as error:
            said = type(error)(f"Fitting {detector.name} of {self.model}: {error}")
            if not isinstance(error, InputError | NumericalError):
                raise said from error
            self.failed[detector.name] = said

    def rows(self, learning_set: LearningSet) -> Rows:
        """The rows of a learning set."""
        return Rows(self.lake, self.model, learning_set.dataset, learning_set.tenth, self.head)

    def context(self, learning_set: LearningSet | None, results: Mapping[str, Arrays] | None = None) -> SweepContext:
        """What is known of the model and a learning set; without one, from whose features nothing is learned, it has no rows."""
        part = self.activations[learning_set.dataset] if learning_set else None
        # Whoever has no linear head may still have features: their width stands in the rows.
        dim = (
            self.head.weight.shape[1]
            if self.head
            else self.lake.read("models", model=self.model)["feature_dim"][0].as_py()
        )
        rows, dtype = (part.rows, str(part.ingredients.get("dtype", "float32"))) if part else (0, "float64")
        return SweepContext(self.classes, int(dim), rows, dtype, self.head, self.means.memory, results or {})

    def needed(self, detectors: Iterable[Detector[Any]]) -> dict[str, Arrays]:
        """All statistics that detectors need, by name: from the lake, else gathered now and stored."""
        needs = {need.for_head(self.head) for detector in detectors for need in detector.statistics}
        needs |= {need for need in self.also if any(other.source == need.source for other in needs)}
        found: dict[str, Arrays] = {}
        for kind in sorted({need.source for need in needs}):
            learning_set = learning_set_of(self.benchmark, kind, self.activations)
            if learning_set:
                found |= self.statistics(learning_set, [need for need in needs if need.source == kind])
        return found

    def statistics(self, learning_set: LearningSet, needs: Sequence[Statistic]) -> dict[str, Arrays]:
        """Statistics of a learning set by name, with those that they come after: from the lake, else gathered now and stored."""
        targets = {need.name: statistic_target(self.model, learning_set, need) for need in with_earlier(needs)}
        held = zip(targets, writing.find_all(self.lake.storage, targets.values()), strict=True)
        found: dict[str, Arrays] = {
            name: read_statistic(self.lake, self.model, learning_set.dataset, name) for name, part in held if part
        }
        missing = [need for need in needs if need.name not in found]
        if not missing:
            return found
        count = self.activations[learning_set.dataset].rows
        bar = partial(self.means.bars, f"{self.model}: statistics of {learning_set.dataset}", count)
        fresh = gather(self.rows(learning_set), missing, self.context(learning_set, found), bar, run=self.means.run)
        parts = [write_statistic(self.lake, targets[name], arrays) for name, arrays in fresh.items()]
        commit_statistics(self.lake, self.model, learning_set.dataset, parts)
        return found | fresh


def read_fits(
    lake: Lake,
    benchmark: Benchmark,
    model: str,
    activations: Mapping[str, Part],
    *,
    say: Callable[[str], None],
    means: Means,
    also: tuple[Statistic, ...] = (),
) -> ModelFits:
    """The fits of a model of a lake, with its head and the number of its classes; arguments are the attributes of these names."""
    classes = int(lake.read("models", model=model).column("num_classes")[0].as_py())
    if not classes:
        # Of a model without a head: those of the benchmark's labels.
        datasets = activations.keys() & {benchmark.fit, benchmark.val, benchmark.id}
        batches = (lake.batches(model=model, dataset=name, columns=("label",)) for name in datasets)
        classes = max((int(label.max(initial=-1)) for (label,) in chain.from_iterable(batches)), default=-1) + 1
    head = read_head(lake, model, activations)
    return ModelFits(lake, benchmark, model, activations, classes, head, say, means, also)


def commit_statistics(lake: Lake, model: str, dataset: str, parts: Sequence[Part] = ()) -> None:
    """Add statistics to those of a model and dataset, and drop what earlier versions stored beside them."""
    key = {"model": model, "dataset": dataset}
    writing.commit(lake.storage, TABLES["fits"], key, parts, replacing=True, dropping=learned_by_detector)
