"""Weights as they are named, and what a source of them must know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from extract.models.files import AUTO, Note, StoredWeights
from featurestore.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from extract.images.preprocess_fields import Preprocess

FEATURE = "timm forward_head(pre_logits=True)"


@dataclass(frozen=True)
class Weights:
    """Weights, and the architecture that they belong to.

    Attributes:
        name: The model's name in the lake.
        architecture: timm's name.
        checkpoint: Local file, or None for timm's own published weights.
        model_kwargs: Arguments of the architecture, e.g. `img_size`, `num_classes`.
        source: Name of the source of the weights in its registry; None: as the checkpoint's bytes tell.
        preprocess: Entries that go before timm's own preprocessing of the architecture.
        preprocess_origins: Where each of them comes from.
        which: Which weights of the file: `auto`, `raw`, `ema`, or the keys that lead to them.
        key_map: A file that says which names of the checkpoint become which.
    """

    name: str
    architecture: str
    checkpoint: Path | None = None
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    preprocess: Preprocess = field(default_factory=dict)
    preprocess_origins: Mapping[str, str] = field(default_factory=dict)
    which: str = AUTO
    key_map: Path | None = None

    def prepared(self, values: Preprocess, origin: str) -> Self:
        """The same, with fields of the preprocessing that go before those that it has."""
        if not values:
            return self
        origins = {**self.preprocess_origins, **dict.fromkeys(values, origin)}
        return replace(self, preprocess={**self.preprocess, **values}, preprocess_origins=origins)

    @property
    def stored(self) -> StoredWeights:
        """The weights in the checkpoint.

        Raises:
            InputError: There is none.
        """
        return StoredWeights(self.weights_file, self.which, self.key_map)

    @property
    def weights_file(self) -> Path:
        """The checkpoint.

        Raises:
            InputError: There is none.
        """
        if self.checkpoint is None:
            raise InputError(f"Model {self.name!r} has no checkpoint file, and its source {self.source!r} needs one.")
        return self.checkpoint


@dataclass(frozen=True, slots=True)
class Facts:
    """What a checkpoint file says of itself, by its name and its shapes.

    Attributes:
        architecture: timm's name; empty if the file does not say.
        model_kwargs: Arguments of the architecture.
        preprocess: Fields of the preprocessing that the weights were trained with.
        preprocess_origin: What says so.
        recipe: Columns of the `models` table.
        notes: What of this was inferred, and from what.
        undecided: Why the architecture is not known, and how to state it.
    """

    architecture: str = ""
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Preprocess = field(default_factory=dict)
    preprocess_origin: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    undecided: str = ""


Recognise: TypeAlias = Callable[[StoredWeights], bool]
Load: TypeAlias = Callable[["Weights"], "nn.Module"]


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """One kind of weights.

    Attributes:
        name: Its name in the registry.
        recognise: Whether a checkpoint file is of this kind.
        build: The network without its weights; may run on torch's meta device.
        load: The network with its weights, on the CPU.
        facts: What a file says of itself, given what the user says of its training.
        told: What a file's names say besides, once the architecture is known.
        feature: What the stored feature is; an ingredient of the fingerprint.
        normalizes: Whether the network's own head is fed the feature at unit length.
    """

    name: str
    recognise: Recognise
    build: Load
    load: Load
    facts: Callable[[StoredWeights, Mapping[str, Any]], Facts] = lambda _stored, _recipe: Facts()
    told: Callable[[Weights], Facts] = lambda _: Facts()
    feature: str = FEATURE
    normalizes: bool = False
