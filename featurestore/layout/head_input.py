"""What a head is fed: the stored feature, or the stored feature at unit length.

It is an ingredient of the head's and of the activations' fingerprint rather than a column of `heads`, and is absent
where the head takes the feature as it is: so lakes, and SQL over them, are the same with and without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

Real = TypeVar("Real", bound="np.floating[Any]")

_NAME, _UNIT = "head_input", "feature / ||feature||"
SHORTEST = 1e-12
"""Length that a shorter feature counts as having where it is brought to unit length: torch's."""


def ingredients(*, normalizes: bool) -> dict[str, str]:
    """What the head's input adds to the ingredients of a head and of activations."""
    return {_NAME: _UNIT} if normalizes else {}


def normalizes(ingredients: Mapping[str, Any]) -> bool:
    """Whether logits = weight @ (feature / ||feature||) + bias, rather than weight @ feature + bias."""
    return ingredients.get(_NAME) == _UNIT


def fed(feature: NDArray[Real], *, normalize: bool) -> NDArray[Real]:
    """What a head is fed, in the precision of the features given.

    Args:
        feature: Shape [n, D].
        normalize: Whether the head takes them at unit length.
    """
    import numpy as np  # slow to import, and this module's words are read without it

    if not normalize:
        return feature
    fed: NDArray[Real] = feature / np.maximum(np.linalg.norm(feature, axis=1, keepdims=True), SHORTEST)
    return fed
