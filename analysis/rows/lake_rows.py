"""Where the rows of a sweep come from: a model's activations on a dataset, whole or a seeded part of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from analysis.rows.activations import Activations, Block
from featurestore.errors import CorruptionError, InputError, LakeError, NumericalError
from featurestore.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from analysis.rows.head import Head

    Read: TypeAlias = Callable[[], Block]

_SHARE = 10
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP = np.uint64(0x9E3779B97F4A7C15)


def hashed(sample: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """A pseudo-random 64-bit number for each sample, the same whatever the order or the rows around it (splitmix64).

    Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators".
    """
    with np.errstate(over="ignore"):
        mixed = (sample.astype(np.uint64) + np.uint64(1)) * _STEP + np.uint64(seed) * _MIX[0]
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def in_tenth(sample: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which samples of an ID test set belong to the seeded tenth that validation statistics are of, shape [n]."""
    return np.asarray(hashed(sample, 0) % np.uint64(_SHARE) == 0)


@dataclass(frozen=True, slots=True)
class Rows:
    """A model's activations on a dataset; a machine that they are sent to opens the lake anew.

    Attributes:
        lake: The lake.
        model: The model.
        dataset: The dataset.
        tenth: Whether only the seeded tenth of it that stands in for validation data.
        head: The model's final linear layer; None for a model without.
    """

    lake: Lake
    model: str
    dataset: str
    tenth: bool = False
    head: Head | None = None

    def __str__(self) -> str:
        return f"{self.dataset} with activations of {self.model}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self.lake.storage.uri(""), self.model, self.dataset, self.tenth, self.head)

    def read(self, columns: Sequence[str]) -> list[Read]:
        """Functions that each read one block, in row order.

        Args:
            columns: Which of `feature` and `logits` the blocks hold.

        Raises:
            MissingError: The lake holds no such activations.
            InputError: The functions raise it where a sample has no label.
            NumericalError: The functions raise it where a value is not finite.
        """
        wanted = ("sample", "label", *columns)
        pieces = self.lake.pieces(model=self.model, dataset=self.dataset, columns=wanted)
        return [partial(self._block, piece, wanted) for piece in pieces]

    def _block(self, piece: Callable[[], tuple[NDArray[Any], ...]], columns: Sequence[str]) -> Block:
        arrays = dict(zip(columns, piece(), strict=True))
        if self.tenth:
            kept = in_tenth(arrays["sample"])
            arrays = {name: values[kept] for name, values in arrays.items()}
        self._check_widths(arrays)
        sample, label = arrays["sample"], arrays["label"]
        # A block without features keeps the rows' number, for statistics of logits alone.
        feature = arrays.get("feature", np.empty((len(sample), 0), np.float32))
        return Block(sample, label, Activations(feature, arrays.get("logits"), self.head))

    def _check_widths(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Raise if features or logits are not of as many numbers as the model's head takes or gives."""
        classes, width = self.head.weight.shape if self.head else (None, None)
        for name, wanted in (("feature", width), ("logits", classes)):
            if wanted is not None and name in arrays and arrays[name].shape[1] != wanted:
                raise CorruptionError(
                    f"The {name} of activations (model {self.model}, dataset {self.dataset}) has {arrays[name].shape[1]} numbers, and "
                    f"the head of the model goes with {wanted}: extract {self.model} again, with --replace."
                )

    def check_finite(self, block: Block) -> None:
        """Raise if a value of a block is NaN or infinite."""
        if found := block.activations.first_not_finite():
            name, row = found
            raise NumericalError(
                f"The {name} of sample {block.sample[row]} of {self.dataset} by {self.model} is NaN or infinite: extract it again."
            )

    def explain(self, block: Block, error: LakeError) -> LakeError:
        """The error of a block, with the sample at fault where one can be named."""
        try:
            self.check_finite(block)
        except NumericalError as named:
            return named
        return type(error)(f"Fitting {self.model} on {self.dataset}: {error}")

    def check_labels(self, block: Block) -> None:
        """Raise if a row has no label."""
        if (block.label < 0).any():
            number = int(block.sample[np.argmax(block.label < 0)])
            raise InputError(
                f"Sample {number} of the fit dataset {self.dataset} has no label: fitting needs one for each."
            )


def _reopened(location: str, model: str, dataset: str, tenth: bool, head: Head | None) -> Rows:  # for pickle
    return Rows(Lake(location), model, dataset, tenth, head)
