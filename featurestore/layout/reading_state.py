"""Ingredients of activations that say how the reading of their images went, beside those that say what was asked for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from featurestore.layout.fingerprint import Ingredients

WITHOUT = "without"
"""sha256 of the numbers of samples that are not among the rows, though their bytes may be whole, in order, each ended by LF."""
EDITION = "edition"
"""Counts from 2 what was made once more of the same, and has more samples than before."""
READING_STATE = frozenset({WITHOUT, EDITION})


def asked_for(ingredients: Ingredients) -> Ingredients:
    """The ingredients that say what was asked for."""
    return {name: value for name, value in ingredients.items() if name not in READING_STATE}


def without(ingredients: Ingredients, samples: Collection[int]) -> Ingredients:
    """The ingredients of activations that lack samples; those of whole ones as they are."""
    if not samples:
        return ingredients
    text = "".join(f"{sample}\n" for sample in sorted(samples))
    return {**ingredients, WITHOUT: hashlib.sha256(text.encode()).hexdigest()}


def in_edition(ingredients: Ingredients, edition: int) -> Ingredients:
    """The ingredients of an edition; the first one has none that says so."""
    return {**ingredients, EDITION: edition} if edition > 1 else ingredients


def edition_of(ingredients: Ingredients) -> int:
    """Which edition activations are."""
    edition = ingredients.get(EDITION, 1)
    return edition if isinstance(edition, int) else 1
