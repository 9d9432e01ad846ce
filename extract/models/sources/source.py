"""Weights as they are named, and what a source of them must know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from featurestore.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

FEATURE = "timm forward_head(pre_logits=True)"


@dataclass(frozen=True)
class Weights:
    """Weights, and the architecture that they belong to.

    Attributes:
        name: The model's name in the lake.
        architecture: timm's name.
        checkpoint: Local file, or None for timm's own published weights.
        model_kwargs: Arguments of the architecture, e.g. `img_size`, `num_classes`.
        source: Name of the source of the weights in its registry; None: as the checkpoint's suffix tells.
        preprocess: Entries that go before timm's own preprocessing of the architecture.
    """

    name: str
    architecture: str
    checkpoint: Path | None = None
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None
    preprocess: Mapping[str, Any] = field(default_factory=dict)

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
class Note:
    """One thing that was inferred since nobody said it, for the user to see and for the lake to keep.

    Attributes:
        topic: What it is about, e.g. `weights`, `prefix`, `crop_pct`; one note per topic and model.
        value: What was taken.
        origin: Where that came from, and how to say otherwise where there is a way.
    """

    topic: str
    value: str
    origin: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.value} ({self.origin})"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a checkpoint file says of itself, by its name and its shapes.

    Attributes:
        architecture: timm's name; empty if the file does not say.
        model_kwargs: Arguments of the architecture.
        preprocess: Entries of timm's preprocessing that the weights were trained with.
        recipe: Columns of the `models` table.
        notes: What of this was inferred, and from what.
        undecided: Why the architecture is not known, and how to state it.
    """

    architecture: str = ""
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    undecided: str = ""


Recognise: TypeAlias = Callable[["Path"], bool]
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
    facts: Callable[[Path, Mapping[str, Any]], Facts] = lambda _path, _recipe: Facts()
    told: Callable[[Weights], Facts] = lambda _: Facts()
    feature: str = FEATURE
    normalizes: bool = False
