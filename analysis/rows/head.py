"""A model's final linear layer, as detectors use it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.memo import Memo
from featurestore.errors import InputError, MissingError
from featurestore.layout import head_input
from featurestore.partitions import derived_logits
from featurestore.partitions.encoding import dealt_back, to_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from featurestore.lake import Lake
    from featurestore.layout.manifest import Part


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The final linear layer: logits = weight @ feature + bias.

    Attributes:
        weight: W, float64, shape [C, D].
        bias: b, float64, shape [C].
        normalizes: Whether it is fed the feature at unit length: logits = weight @ (feature / ||feature||) + bias.
        negatives: Embeddings of texts that name no class, float64, shape [M, D]; None where the head was given none.
        memo: What detectors derive from the weights; larger than these, it stays behind when the head is pickled.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    normalizes: bool = False
    negatives: NDArray[np.float64] | None = None
    memo: Memo = field(default_factory=Memo, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise InputError(
                "A head needs weight [classes, dimensions] and bias [classes]; "
                f"got {list(self.weight.shape)} and {list(self.bias.shape)}."
            )
        negatives = self.negatives
        if negatives is not None and (negatives.ndim != 2 or negatives.shape[1] != self.weight.shape[1]):
            raise InputError(
                f"Embeddings of negative labels need the shape [labels, dimensions], with the head's {self.weight.shape[1]} "
                f"dimensions; got {list(negatives.shape)}."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return Head, (self.weight, self.bias, self.normalizes, self.negatives)


def read_head(lake: Lake, model: str, activations: Mapping[str, Part]) -> Head | None:
    """The head of a model; None if it has none, or the lake holds none.

    Args:
        lake: The lake.
        model: The model.
        activations: The model's activations by dataset, whose ingredients say whether the head normalises.
    """
    if is_headless(activations):
        return None
    try:
        rows = lake.read("heads", model=model)
    except MissingError:
        return None
    weight, bias = (to_numpy(rows.column(name)).astype(np.float64) for name in ("weight", "bias"))
    return Head(weight, bias, normalizes(activations), dealt_back(rows.column("negatives"), weight.shape[1]))


def is_headless(activations: Mapping[str, Part]) -> bool:
    """Whether a model with these activations, by dataset, has no head, and so no logits."""
    return any(derived_logits.are_absent(part.ingredients) for part in activations.values())


def tells_classes(head: Part) -> bool:
    """Whether a stored head tells classes apart; one of zeros, or with equal rows, was noted when it was extracted."""
    return bool(head.details.get("tells_classes", True))


def normalizes(activations: Mapping[str, Part]) -> bool:
    """Whether the head of a model with these activations, by dataset, is fed the feature at unit length."""
    return any(head_input.normalizes(part.ingredients) for part in activations.values())
