"""What a head is fed: the stored feature, or the stored feature at unit length.

It is an ingredient of the head's and of the activations' fingerprint rather than a column of `heads`, and is absent
where the head takes the feature as it is: so lakes, and SQL over them, are the same with and without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME, _UNIT = "head_input", "feature / ||feature||"


def ingredients(*, normalizes: bool) -> dict[str, str]:
    """What the head's input adds to the ingredients of a head and of activations."""
    return {_NAME: _UNIT} if normalizes else {}


def normalizes(ingredients: Mapping[str, Any]) -> bool:
    """Whether logits = weight @ (feature / ||feature||) + bias, rather than weight @ feature + bias."""
    return ingredients.get(_NAME) == _UNIT
