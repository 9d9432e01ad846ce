"""What a lake tells of the network that made a model's activations: enough to build it again, and to tell it from another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from featurestore.layout.reading_state import READING_STATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featurestore.layout.fingerprint import Ingredient, Ingredients
    from featurestore.layout.manifest import Part

NOTE = "network"
"""The detail of activations that says where the network's files lay; earlier versions wrote none."""
_OF_THE_DATASET = {"dataset_digest", "fragment_rows", "logits", *READING_STATE}


@dataclass(frozen=True, slots=True)
class RecordedNetwork:
    """A network as a lake knows it.

    Attributes:
        model: The model's name.
        ingredients: Of its activations, those that do not come from the dataset: weights, architecture, preprocessing, precision, …
        layer: The layer that the model is; empty for a model's penultimate feature.
        base: The model whose layer it is; empty for none.
        places: Where its files lay, and which weights of them were taken; empty where activations do not say.
        published: Whether the weights are those that timm publishes, so that there is no file.
    """

    model: str
    ingredients: Mapping[str, Ingredient]
    layer: str = ""
    base: str = ""
    places: Mapping[str, Any] = field(default_factory=dict)
    published: bool = False

    @classmethod
    def of(cls, row: Mapping[str, Any], activations: Mapping[str, Part]) -> Self:
        """What a lake tells.

        Args:
            row: The model's row of `models`, its name among it.
            activations: Its activations by dataset, all of one network; the first of them counts.
        """
        parts = list(activations.values())
        own = {name: value for name, value in parts[0].ingredients.items() if name not in _OF_THE_DATASET}
        places = next((dict(part.details[NOTE]) for part in parts if NOTE in part.details), {})
        published = str(row.get("source") or "").startswith("timm:")
        return cls(row["model"], own, row.get("feature") or "", row.get("base_model") or "", places, published)

    @property
    def architecture(self) -> str:
        """Timm's name of it."""
        return str(self.ingredients["architecture"])

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How images are prepared for it, by timm's names; sequences are tuples."""
        held = json.loads(str(self.ingredients["preprocessing"]))
        return {name: tuple(value) if isinstance(value, list) else value for name, value in held.items()}

    @property
    def dtype(self) -> str:
        """The precision that its activations are stored in."""
        return str(self.ingredients.get("dtype", "float32"))

    @property
    def compute(self) -> str:
        """The precision that it computed in: `float32`, `bf16` or `fp16`."""
        return str(self.ingredients.get("compute", "float32"))

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return asdict(self)


def shared_ingredients(activations: Part) -> Ingredients:
    """The ingredients that activations of one network have in common on all datasets, whatever precision they are stored in."""
    apart = {*_OF_THE_DATASET, "dtype"}
    return {name: value for name, value in activations.ingredients.items() if name not in apart}
