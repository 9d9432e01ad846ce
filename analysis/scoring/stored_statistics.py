"""Statistics in the lake: named arrays as rows of the table `fits`, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from featurestore.partitions import reading, writing
from featurestore.partitions.encoding import to_numpy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.statistics.statistic import Arrays
    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part


def write_statistic(lake: Lake, target: writing.Target, arrays: Arrays) -> Part:
    """Write the fragment of a statistic; it counts once the part is committed.

    Args:
        lake: The lake.
        target: The statistic's part, by `statistic_target`.
        arrays: The statistic: numbers of any kind, each array of any shape.
    """
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
    return target.part([writing.write_fragment(lake.storage, target, 0, rows)], layout)


def read_statistic(lake: Lake, model: str, dataset: str, name: str) -> dict[str, NDArray[Any]]:
    """Read a stored statistic as named arrays.

    Args:
        lake: The lake.
        model: The model.
        dataset: The dataset that it was gathered from.
        name: Name of the statistic.

    Returns:
        Arrays of float64 or int64; a number has shape [].

    Raises:
        MissingError: The lake holds no such statistic.
        CorruptionError: Its rows are not what its manifest says.
    """
    manifest, part = lake.part("fits", model=model, dataset=dataset, fit=name)
    rows = reading.read(lake.storage, manifest, part)
    try:
        return _arrays(rows, part.details["shapes"], set(part.details.get("integers", ())))
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        wrong = "its rows are not those of the arrays that its manifest lists"
        raise reading.unsound(manifest, part, wrong) from error


def _arrays(rows: pa.Table, shapes: Mapping[str, Sequence[int]], integers: Collection[str]) -> dict[str, NDArray[Any]]:
    values = rows.column("values").combine_chunks()
    offsets, flat = to_numpy(values.offsets), to_numpy(values.values)
    arrays: dict[str, NDArray[Any]] = {}
    row = 0
    if sum(map(_rows_of, shapes.values())) != len(rows):
        raise ValueError(shapes)
    for array, shape in shapes.items():
        count = _rows_of(shape)
        found = flat[offsets[row] : offsets[row + count]].reshape(shape)
        arrays[array] = found.astype(np.int64) if array in integers else found
        row += count
    return arrays


def _rows_of(shape: Sequence[int]) -> int:
    return int(np.prod(shape[:-1])) if len(shape) > 1 else 1
