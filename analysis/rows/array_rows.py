"""Rows that lie in memory as arrays, cut into blocks as a lake's fragments are, so that sums come out the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.activations import Activations, Block, concatenated
from analysis.rows.checks import class_labels
from featurestore.errors import InputError, LakeError, NumericalError
from featurestore.fragments.opening import HASHED_BYTES
from featurestore.partitions.encoding import ROW_GROUP_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.rows.head import Head
    from analysis.rows.lake_rows import Read, Rows

FRAGMENT_ROWS = 16_384
"""What `extract` puts into a fragment."""
_OTHER_BYTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class ArrayRows:
    """A model's activations on some samples.

    Attributes:
        activations: Features, logits and head, of n samples.
        sample: Their numbers, int64, shape [n].
        label: Their classes, int64, shape [n]; -1 where there is none.
        name: What they are, in words.
    """

    activations: Activations
    sample: NDArray[np.int64]
    label: NDArray[np.int64]
    name: str

    def __str__(self) -> str:
        return self.name

    def __len__(self) -> int:
        return len(self.sample)

    def read(self, columns: Sequence[str]) -> list[Read]:
        """Functions that each give one block, in row order, with those of `feature` and `logits`."""
        return [partial(self._block, part, frozenset(columns)) for part in block_slices(self.activations)]

    def _block(self, part: slice, columns: frozenset[str]) -> Block:
        return Block(self.sample[part], self.label[part], self.activations.part(part, columns))

    def check_labels(self, block: Block) -> None:
        """Raise if a row has no label."""
        if (block.label < 0).any():
            row = int(block.sample[np.argmax(block.label < 0)])
            raise InputError(f"Row {row} of {self.name} has no label, and this detector learns by them: give labels.")

    def explain(self, block: Block, error: LakeError) -> LakeError:
        """The error of a block, with the row at fault where one can be named."""
        try:
            check_finite(block.activations, self.name, block.sample)
        except NumericalError as named:
            return named
        return type(error)(f"{self.name.capitalize()}: {error}")


def array_rows(
    name: str,
    features: NDArray[Any],
    labels: NDArray[Any] | None,
    logits: NDArray[Any] | None,
    head: Head | None,
) -> ArrayRows:
    """Rows of arrays, numbered from 0.

    Args:
        name: What they are, in words, for errors.
        features: Float, shape [n, D].
        labels: Integers, shape [n], -1 where there is none; None for none at all.
        logits: Float, shape [n, C]; None for a model without.
        head: The final linear layer; None for a model without.

    Raises:
        InputError: There is no row, or arrays are of other shapes or kinds.
    """
    try:
        activations = Activations(np.asarray(features), None if logits is None else np.asarray(logits), head)
        count = len(activations)
        given = np.full(count, -1) if labels is None else np.asarray(labels)
        known = class_labels(np.maximum(given, 0), count, int(given.max(initial=0)) + 1)
    except InputError as error:
        raise InputError(f"{name.capitalize()}: {error}") from error
    if not count:
        raise InputError(f"There is no row in {name}: nothing can be learned.")
    return ArrayRows(activations, np.arange(count), np.where(given < 0, -1, known), name)


def collected(rows: Rows, columns: Sequence[str], head: Head | None) -> ArrayRows:
    """Rows of a lake, as arrays in memory.

    Args:
        rows: The rows.
        columns: Which of `feature` and `logits` are wanted; `feature` is among them.
        head: The model's final linear layer.
    """
    blocks = [read() for read in rows.read(columns)]
    sample, label = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("sample", "label"))
    held = concatenated([block.activations for block in blocks], head)
    return ArrayRows(held, sample, label, "the fit rows")


def block_slices(activations: Activations) -> list[slice]:
    """How rows are cut into blocks: as the fragments that `extract` writes are read."""
    count = len(activations)
    per_row = sum(values[:1].nbytes for values in (activations.feature, activations.logits) if values is not None)
    whole = min(count, FRAGMENT_ROWS) * (per_row + _OTHER_BYTES) <= HASHED_BYTES
    step = FRAGMENT_ROWS if whole else ROW_GROUP_ROWS
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def check_finite(activations: Activations, name: str, numbers: Sequence[int] | NDArray[np.int64] | None = None) -> None:
    """Raise if a value is NaN or infinite.

    Args:
        activations: Some rows.
        name: What they are, in words.
        numbers: The rows' numbers, shape [n]; by default from 0.

    Raises:
        NumericalError: There is one; names the first such row.
    """
    if found := activations.first_not_finite():
        what, row = found
        number = row if numbers is None else int(numbers[row])
        raise NumericalError(f"The {what} of row {number} of {name} is NaN or infinite: leave that row out.")
