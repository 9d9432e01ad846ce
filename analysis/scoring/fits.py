"""Fits in the lake: statistics of a model's activations, and what detectors learned from them, each made once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.detectors import FitInputs
from analysis.lineage.targets import fit_target, source_of, statistic_target
from analysis.rows.source import Rows
from analysis.scoring.fit_arrays import from_arrays, to_arrays
from analysis.statistics.statistic import FIT, SweepContext, with_earlier
from analysis.statistics.sweep import gather
from featurestore.errors import InputError, LakeError, NumericalError
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from featurestore.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark
    from analysis.lineage.targets import Source
    from analysis.rows.head import Head
    from analysis.statistics.statistic import Arrays, Statistic
    from analysis.statistics.sweep import Runner
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part

_MEMORY = 1 << 30


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
        report: Is told what the user should know of a fit.
        memory: Bytes that gathering should stay below.
        run: Who gathers; by default the threads of this process.
        also: Statistics of the fit dataset that others will want, gathered in the detectors' sweep.
        failed: Why a detector could not learn from the statistics, by its name.
    """

    lake: Lake
    benchmark: Benchmark
    model: str
    activations: Mapping[str, Part]
    classes: int
    head: Head | None
    report: Callable[[str], None]
    memory: int = _MEMORY
    run: Runner | None = None
    also: tuple[Statistic, ...] = ()
    failed: dict[str, LakeError] = field(default_factory=dict, init=False, repr=False)
    _shared: dict[tuple[type, str], Any] = field(default_factory=dict, init=False, repr=False)

    def of(self, detectors: Sequence[Detector[Any]]) -> dict[str, Any]:
        """What detectors learned, by name: from the lake where it holds it, else fitted now and stored.

        Args:
            detectors: Detectors whose sources the model has activations of; those that learn nothing get None. Those
                that cannot learn from these statistics are absent: `failed` holds why.

        Raises:
            InputError: A sample has no label where one is needed.
            NumericalError: Activations are NaN or infinite.
        """
        fits: dict[str, Any] = {detector.name: None for detector in detectors if not detector.fit}
        learned = [detector for detector in detectors if detector.fit]
        held = writing.find_all(self.lake.storage, map(self._target, learned))
        missing = [detector for detector, part in zip(learned, held, strict=True) if part is None]
        for detector in learned:
            if detector not in missing:
                fits[detector.name] = self._rebuilt(detector, self._read(self._target(detector)))
        if missing:
            fits |= self._fitted(missing)
        return fits

    def rows(self, source: Source) -> Rows:
        """The rows of a source."""
        return Rows(self.lake, self.model, source.dataset, source.tenth, self.head)

    def context(self, source: Source, results: Mapping[str, Arrays] | None = None) -> SweepContext:
        """What is known of the model and a source."""
        part = self.activations[source.dataset]
        # Whoever has no linear head may still have features: their width stands in the rows.
        dim = self.head.weight.shape[1] if self.head else self._width("feature_dim")
        dtype = str(part.ingredients.get("dtype", "float32"))
        return SweepContext(self.classes, dim, part.rows, dtype, self.head, self.memory, results or {})

    def _width(self, column: str) -> int:
        return int(self.lake.read("models", model=self.model).column(column)[0].as_py())

    def _target(self, detector: Detector[Any]) -> writing.Target:
        return fit_target(self.benchmark, self.model, detector, self.activations)

    def _fitted(self, detectors: Sequence[Detector[Any]]) -> dict[str, Any]:
        source = source_of(self.benchmark, FIT, self.activations)
        # Without a fit dataset nothing is learned from its features.
        dtype = self.context(source).dtype if source else "float64"
        inputs = FitInputs(self._needed(detectors), self.head, dtype)
        fits: dict[str, Any] = {}
        stored: dict[str, list[Part]] = {}
        for detector in detectors:
            target = self._target(detector)
            try:
                arrays = to_arrays(self._fit(detector, inputs))
            except (InputError, NumericalError) as error:
                self.failed[detector.name] = error
                continue
            details = {"hyperparameters": dict(detector.hyperparameters), "fitted_on": detector.fitted_on}
            stored.setdefault(target.key["dataset"], []).append(_write(self.lake, target, arrays, details))
            fits[detector.name] = self._rebuilt(detector, arrays)
        for dataset, parts in stored.items():
            self._commit(dataset, parts)
        for warning in dict.fromkeys(inputs.warnings):
            self.report(f"{self.model}: {warning}")
        return fits

    def _fit(self, detector: Detector[Any], inputs: FitInputs) -> Any:
        try:
            return detector.fit(inputs) if detector.fit else None
        except LakeError as error:
            raise type(error)(f"Fitting {detector.name} of {self.model}: {error}") from error

    def _needed(self, detectors: Iterable[Detector[Any]]) -> dict[str, Arrays]:
        """All statistics that detectors need, by name."""
        normalizes = self.head is not None and self.head.normalizes
        needs = {need.of(normalizes=normalizes) for detector in detectors for need in detector.needs}
        needs |= {need for need in self.also if any(other.source == need.source for other in needs)}
        found: dict[str, Arrays] = {}
        for kind in sorted({need.source for need in needs}):
            source = source_of(self.benchmark, kind, self.activations)
            if source:
                found |= self.statistics(source, [need for need in needs if need.source == kind])
        return found

    def statistics(self, source: Source, needs: Sequence[Statistic]) -> dict[str, Arrays]:
        """Statistics of a source by name, with those that they come after: from the lake, else gathered now and stored."""
        every = with_earlier(needs)
        targets = [statistic_target(self.model, source, need) for need in every]
        held = zip(targets, writing.find_all(self.lake.storage, targets), strict=True)
        found: dict[str, Arrays] = {target.part_key["fit"]: self._read(target) for target, part in held if part}
        missing = [need for need in needs if need.name not in found]
        if not missing:
            return found
        bar = partial(progress, f"{self.model}: statistics of {source.dataset}", self.activations[source.dataset].rows)
        fresh = gather(self.rows(source), missing, self.context(source, found), bar, run=self.run)
        of_name = {target.part_key["fit"]: target for target in targets}
        self._commit(source.dataset, [_write(self.lake, of_name[name], arrays, {}) for name, arrays in fresh.items()])
        return found | fresh

    def _read(self, target: writing.Target) -> dict[str, NDArray[Any]]:
        return read_arrays(self.lake, self.model, target.key["dataset"], target.part_key["fit"])

    def _commit(self, dataset: str, parts: Sequence[Part]) -> None:
        key = {"model": self.model, "dataset": dataset}
        writing.commit(self.lake.storage, TABLES["fits"], key, parts, replacing=True)

    def _rebuilt(self, detector: Detector[Any], arrays: Arrays) -> Any:
        """The fit as the lake holds it; equal Gaussians of several detectors become one, so that blocks meet them once."""
        if detector.fit_type is None:
            raise InputError(
                f"Detector {detector.name} has a fit and no fit_type, so that it cannot be stored: name it."
            )
        return from_arrays(detector.fit_type, arrays, self._same)

    def _same(self, fit: Any) -> Any:
        digest = hashlib.sha256()
        for name, array in sorted(to_arrays(fit).items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return self._shared.setdefault((type(fit), digest.hexdigest()), fit)


def read_arrays(lake: Lake, model: str, dataset: str, name: str) -> dict[str, NDArray[Any]]:
    """Read a stored fit as named arrays.

    Args:
        lake: The lake.
        model: The model.
        dataset: The dataset that it was fitted on.
        name: Name of the statistic, or of the detector.

    Returns:
        Arrays of float64 or int64; a number has shape [].

    Raises:
        MissingError: The lake holds no such fit.
    """
    _, part = lake.part("fits", model=model, dataset=dataset, fit=name)
    rows = lake.read("fits", model=model, dataset=dataset, fit=name)
    values = rows.column("values").combine_chunks()
    offsets = values.offsets.to_numpy()
    flat = values.values.to_numpy(zero_copy_only=False)
    integers = set(part.details.get("integers", ()))
    arrays: dict[str, NDArray[Any]] = {}
    row = 0
    for array, shape in part.details["shapes"].items():
        count = _rows_of(shape)
        found = flat[offsets[row] : offsets[row + count]].reshape(shape)
        arrays[array] = found.astype(np.int64) if array in integers else found
        row += count
    return arrays


def _write(lake: Lake, target: writing.Target, arrays: Arrays, details: Mapping[str, Any]) -> Part:
    matrices = {
        name: array.reshape(_rows_of(array.shape), array.shape[-1] if array.ndim else 1)
        for name, array in arrays.items()
    }
    lengths = np.concatenate([np.full(len(matrix), matrix.shape[1]) for matrix in matrices.values()])
    values = np.concatenate([matrix.astype(np.float64).ravel() for matrix in matrices.values()])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = pa.table(
        {
            "array": pa.array(np.repeat(list(matrices), [len(matrix) for matrix in matrices.values()])),
            "row": pa.array(np.concatenate([np.arange(len(matrix)) for matrix in matrices.values()])),
            "values": pa.LargeListArray.from_arrays(offsets, values).cast(pa.list_(pa.float64())),
        }
    )
    integers = [name for name, array in arrays.items() if array.dtype.kind in "iub"]
    layout = {"shapes": {name: list(array.shape) for name, array in arrays.items()}, "integers": integers}
    return target.part([writing.write_fragment(lake.storage, target, 0, rows)], {**layout, **details})


def _rows_of(shape: Sequence[int]) -> int:
    return int(np.prod(shape[:-1])) if len(shape) > 1 else 1
