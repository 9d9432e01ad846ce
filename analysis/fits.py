"""Fits in the lake: the class statistics of a model on a fit dataset, gathered once in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis.detectors import CLASS_STATISTICS, CLASS_STATISTICS_NORMALISED
from analysis.statistics import ClassStatistics, ClassStatisticsAccumulator, normalise
from analysis.targets import fit_target
from featurestore import writing
from featurestore.errors import InputError, LakeError, NumericalError
from featurestore.progress import progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from featurestore.lake import Lake
    from featurestore.manifest import Part

_BATCH_ROWS = 8192
_TRANSFORMS = {CLASS_STATISTICS: lambda features: features, CLASS_STATISTICS_NORMALISED: normalise}


def load_or_fit(lake: Lake, model: str, dataset: str, names: Sequence[str], classes: int) -> dict[str, ClassStatistics]:
    """Return statistics by name, from the lake where it holds them, else from one pass over the activations.

    Args:
        lake: The lake.
        model: The model.
        dataset: The fit dataset.
        names: Names of the statistics that are needed.
        classes: Classes of the model's head.

    Raises:
        MissingError: The lake holds no activations of the model on the dataset.
        InputError: A sample has no label.
        NumericalError: A feature is NaN or infinite, or zero where it is to be normalised.
    """
    if not names:
        return {}
    _, activations = lake.part("activations", model=model, dataset=dataset)
    targets = {name: fit_target(model, dataset, name, activations.fingerprint) for name in names}
    stored = {name: writing.find(lake.storage, target, replacing=True) for name, target in targets.items()}
    missing = [name for name, part in stored.items() if part is None]
    fresh = _gather(lake, model, dataset, missing, classes) if missing else {}
    if fresh:
        parts = [_write(lake, targets[name], statistics.to_arrays()) for name, statistics in fresh.items()]
        target = next(iter(targets.values()))
        writing.commit(lake.storage, target.table, target.key, parts, replacing=True)
    return {
        name: fresh[name] if name in fresh else ClassStatistics.from_arrays(read_arrays(lake, model, dataset, name))
        for name in names
    }


def read_arrays(lake: Lake, model: str, dataset: str, name: str) -> dict[str, NDArray[np.float64]]:
    """Read a stored fit as named arrays.

    Raises:
        MissingError: The lake holds no such fit.
    """
    _, part = lake.part("fits", model=model, dataset=dataset, fit=name)
    rows = lake.read("fits", model=model, dataset=dataset, fit=name)
    names = rows.column("array").to_numpy(zero_copy_only=False)
    arrays = {}
    for array, shape in part.details["shapes"].items():
        values = rows.column("values").combine_chunks().filter(pa.array(names == array)).flatten()
        arrays[array] = values.to_numpy(zero_copy_only=False).reshape(shape)
    return arrays


def _gather(lake: Lake, model: str, dataset: str, names: Sequence[str], classes: int) -> dict[str, ClassStatistics]:
    """All statistics in one pass over the fit activations."""
    _, part = lake.part("activations", model=model, dataset=dataset)
    accumulators: dict[str, ClassStatisticsAccumulator] = {}
    blocks = lake.batches(model=model, dataset=dataset, columns=("sample", "label", "feature"), batch_rows=_BATCH_ROWS)
    with progress(f"{model}: class statistics of {dataset}", part.rows) as advance:
        for sample, label, feature in blocks:
            _check_block(model, dataset, sample, label, feature)
            for name in names:
                accumulator = accumulators.setdefault(name, ClassStatisticsAccumulator(classes, feature.shape[1]))
                _update(accumulator, name, feature, label, f"{model} on {dataset}")
            advance(len(sample))
    if not accumulators:
        raise InputError(f"There is no sample of {dataset} with activations of {model}: nothing can be fitted.")
    return {name: accumulator.finish() for name, accumulator in accumulators.items()}


def _update(accumulator: ClassStatisticsAccumulator, name: str, feature: Any, label: Any, where: str) -> None:
    try:
        accumulator.update(_TRANSFORMS[name](feature), label)
    except LakeError as error:
        raise type(error)(f"Fitting {where}: {error}") from error


def _check_block(
    model: str, dataset: str, sample: NDArray[np.int64], label: NDArray[np.int64], feature: NDArray[Any]
) -> None:
    if (label < 0).any():
        number = int(sample[np.argmax(label < 0)])
        raise InputError(f"Sample {number} of the fit dataset {dataset} has no label: fitting needs one for each.")
    bad = ~np.isfinite(feature).all(axis=1)
    if bad.any():
        number = int(sample[np.argmax(bad)])
        raise NumericalError(
            f"The feature of sample {number} of {dataset} by {model} is NaN or infinite: extract it again."
        )


def _write(lake: Lake, target: writing.Target, arrays: Mapping[str, NDArray[Any]]) -> Part:
    matrices = {name: np.atleast_2d(array) for name, array in arrays.items()}
    rows = pa.table(
        {
            "array": pa.array([name for name, matrix in matrices.items() for _ in matrix], pa.string()),
            "row": pa.array([row for matrix in matrices.values() for row in range(len(matrix))], pa.int64()),
            "values": pa.array(
                [row.astype(np.float64) for matrix in matrices.values() for row in matrix], pa.list_(pa.float64())
            ),
        }
    )
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return target.part([writing.write_fragment(lake.storage, target, 0, rows)], {"shapes": shapes})
