"""One model, one set of weights: activations that are compared must come from the same network and preprocessing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.errors import ConflictError
from featurestore.layout.fingerprint import differences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featurestore.layout.fingerprint import Ingredients
    from featurestore.layout.manifest import Part

# What may differ between datasets of one model: the images, how they are cut into fragments, and how numbers are stored.
_OF_THE_DATASET = {"dataset_digest", "fragment_rows", "dtype", "logits"}


def check_same_model(model: str, activations: Mapping[str, Part]) -> None:
    """Raise if a model's activations on several datasets were not made by the same network.

    Args:
        model: The model's name.
        activations: Its activations by dataset.

    Raises:
        ConflictError: Two datasets differ in weights, preprocessing or precision of the computation.
    """
    if not activations:
        return
    (first, reference), *others = activations.items()
    for dataset, part in others:
        differing = differences(_identity(reference), _identity(part))
        if differing:
            names = ", ".join(text.partition(" (")[0] for text in differing)
            raise ConflictError(
                f"The activations of {model} on {first} and on {dataset} differ in {names}: "
                "extract the older ones again with --replace."
            )


def _identity(part: Part) -> Ingredients:
    return {name: value for name, value in part.ingredients.items() if name not in _OF_THE_DATASET}
