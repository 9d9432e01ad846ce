"""Logits that a fragment does not hold: the head computes them from the features when they are read, or there is no head.

Of an ImageNet fit set they take more room than the features. The partition says so among its ingredients; where it says
nothing, logits are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from featurestore.errors import ConflictError
from featurestore.layout import head_input
from featurestore.partitions.encoding import to_numpy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from featurestore.layout.manifest import Part

CHOICES = ("stored", "derived")
_NAME, _SOURCE = "logits", "feature"


def ingredients(*, derived: bool, absent: bool = False) -> dict[str, str]:
    """What logits that are not stored add to the ingredients of activations; absent are those of a model without a head."""
    return {_NAME: "none"} if absent else {_NAME: "derived"} if derived else {}


def are_derived(ingredients: Mapping[str, Any]) -> bool:
    """Whether activations of these ingredients hold no logits."""
    return ingredients.get(_NAME) == "derived"


def are_absent(ingredients: Mapping[str, Any]) -> bool:
    """Whether activations of these ingredients have no logits at all: their model has no head."""
    return ingredients.get(_NAME) == "none"


def are_stored(ingredients: Mapping[str, Any]) -> bool:
    """Whether fragments of activations of these ingredients hold logits."""
    return not are_derived(ingredients) and not are_absent(ingredients)


def no_logits(rows: int) -> pa.Array:
    """The column that stands in the place of the logits, so that SQL and polars find one: it costs some bytes."""
    return pa.nulls(rows, pa.list_(pa.float32()))


@dataclass(frozen=True, slots=True)
class Derivation:
    """Adds logits to blocks of columns that were read without them.

    Attributes:
        weight: The head's, float32 [C, D].
        bias: The head's, float32 [C].
        normalizes: Whether the head is fed the feature at unit length.
        columns: What a block shall hold, `logits` among it.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    normalizes: bool
    columns: tuple[str, ...]

    @classmethod
    def of(cls, activations: Part, head: Part, rows: pa.Table, columns: Sequence[str]) -> Derivation:
        """What completes blocks of activations.

        Args:
            activations: They, without logits.
            head: Their model's head, as the lake holds it now.
            rows: Its rows.
            columns: What a block shall hold.

        Raises:
            ConflictError: The head is that of other weights, which the model's name has been given since.
        """
        if {**activations.ingredients, **head.ingredients} != activations.ingredients:
            raise ConflictError(
                "The logits of these activations are computed from the model's head, and the lake holds the head of other "
                "weights by now: extract the model on this dataset again, with --replace."
            )
        return cls(
            to_numpy(rows.column("weight")),
            to_numpy(rows.column("bias")),
            head_input.normalizes(head.ingredients),
            tuple(columns),
        )

    @property
    def read(self) -> list[str]:
        """The columns to read."""
        return list(dict.fromkeys(_SOURCE if name == _NAME else name for name in self.columns))

    def complete(self, block: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """A block of the columns to read, as a block of the columns that were asked for; logits are float32."""
        found = dict(zip(self.read, block, strict=True))
        return tuple(self._logits(found[_SOURCE]) if name == _NAME else found[name] for name in self.columns)

    def _logits(self, feature: NDArray[Any]) -> NDArray[np.float32]:
        fed = head_input.fed(feature.astype(np.float32), normalize=self.normalizes)
        logits: NDArray[np.float32] = fed @ self.weight.T + self.bias
        return logits
