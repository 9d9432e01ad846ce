"""Models as users name them: what to load, and how images are prepared for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from timm.data import create_transform

from extract.images.preprocess_fields import DECODE
from extract.images.preprocessing import in_two
from extract.models.files import Note, sha256_of
from extract.models.heads import read_head
from extract.models.layers import PENULTIMATE, check_layer, is_projection, pooling_of
from extract.models.resolved import STATED, fixed_size, resolve
from extract.models.sources import Weights, as_json, source_of, without_values
from extract.models.sources.clip_family import UNKNOWN
from featurestore.layout import head_input
from featurestore.names import view_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from extract.images.preprocess_fields import Preprocess
    from extract.images.preprocessing import Preparation
    from extract.models.heads import Head
    from extract.models.resolved import Resolved
    from extract.models.sources import WeightsSource

_OUTPUT = "timm forward_head(pre_logits=False)"


@dataclass(frozen=True)
class ModelSpec(Weights):
    """What a user names: weights, how they were trained, and the head that is put on them.

    Attributes:
        recipe: Columns of the `models` table that say how the model was trained.
        head_file: A head to put on the network, in the place of its own.
        notes: What was inferred of the model; said once before it runs, and kept in the recipe's JSON as `inferred`.
        features: What is stored of it: `penultimate`, which is meant where nothing is named, and layers.
        base: Of a layer: the model whose layer it is.
        layer: The layer's name; empty for a model's penultimate feature.
    """

    recipe: Mapping[str, Any] = field(default_factory=dict)
    head_file: Path | None = None
    notes: tuple[Note, ...] = ()
    features: tuple[str, ...] = ()
    base: ModelSpec | None = None
    layer: str = ""

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: hashes and preprocessing that are known, absolute paths, no network."""
        left = {"skeleton", "given_head", "weights_source"}
        state = {name: value for name, value in vars(self).items() if name not in left}
        if "weights_source" in vars(self):
            state["source"] = self.weights_source.name
        paths = ("checkpoint", "head_file", "key_map")
        return {**state, **{name: state[name].absolute() for name in paths if state[name] is not None}}

    @cached_property
    def skeleton(self) -> nn.Module:
        """The model without memory for its weights: enough to plan with."""
        if self.base:
            return self.base.skeleton
        with without_values():
            return self.weights_source.build(self)

    @cached_property
    def resolved(self) -> Resolved:
        """Its preprocessing for evaluation, with where each field's value came from.

        Raises:
            InputError: The network takes images of another size than the preprocessing makes.
        """
        return self.base.resolved if self.base else resolve(self, self.skeleton)

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """The preprocessing: input size, interpolation, crop, mean and std, under timm's names."""
        return self.resolved.values

    def stating(self, values: Preprocess, origin: str) -> ModelSpec:
        """The same model with preprocessing that the user states, in so far as it is not stated yet.

        A network that takes one size alone is built for the stated one, unless its weights are known to be of another.

        Args:
            values: Fields of preprocessing.
            origin: Where they were stated; begins with `STATED`.
        """
        open_ = {f: v for f, v in values.items() if not self.preprocess_origins.get(f, "").startswith(STATED)}
        made = self.prepared(open_, origin)
        if "input_size" not in open_ or "input_size" in self.preprocess_origins or "img_size" in self.model_kwargs:
            return made
        size, fixed = open_["input_size"][1:], fixed_size(self.skeleton)
        if fixed in {None, size}:
            return made
        side = size[0] if size[0] == size[1] else list(size)
        note = Note(
            "img_size",
            str(side),
            "as the input size is stated; what depends on it must fit, and timm resizes it in its own weights",
        )
        return replace(made, model_kwargs={**self.model_kwargs, "img_size": side}, notes=(*self.notes, note))

    @cached_property
    def weights_sha256(self) -> str:
        """sha256 of the checkpoint file, or of the published weights by parameter."""
        if self.base:
            return self.base.weights_sha256
        if self.checkpoint:
            return sha256_of(self.checkpoint)
        return parameters_sha256(self.load_module())

    @cached_property
    def choice_ingredients(self) -> dict[str, str]:
        """What the choice among the weights of the checkpoint, and other names for its arrays, add to the fingerprint."""
        return self.stored.ingredients() if self.checkpoint else {}

    @cached_property
    def head_sha256(self) -> str | None:
        """sha256 of the head file."""
        return sha256_of(self.head_file) if self.head_file else None

    @property
    def identity(self) -> dict[str, Any]:
        """The ingredients that the model contributes to its activations."""
        return {
            "weights_sha256": self.weights_sha256,
            **self.choice_ingredients,
            "architecture": self.architecture,
            "model_kwargs": as_json(self.model_kwargs),
            "preprocessing": as_json(self.preprocessing),
            "feature": self._feature,
            **({"head_sha256": self.head_sha256} if self.head_file else {}),
            **head_input.ingredients(normalizes=self.normalizes),
        }

    @property
    def _feature(self) -> str:
        if self.layer:
            return f"{self.layer}, {self.pooling}"
        return _OUTPUT if self.feature_is_output else self.weights_source.feature

    @property
    def pooling(self) -> str:
        """How a layer's positions become one vector, in words."""
        return "as it is" if is_projection(self.layer) else str(pooling_of(self.skeleton))

    @property
    def places(self) -> dict[str, str | None]:
        """Where its files lie, and which weights of them count: for whoever has to find them again; no part of its identity."""
        if self.base:
            return self.base.places
        files = {"checkpoint": self.checkpoint, "key_map": self.key_map, "head": self.head_file}
        return {
            "source": self.weights_source.name,
            "which": self.which,
            **{name: str(file.absolute()) if file else None for name, file in files.items()},
        }

    @property
    def base_name(self) -> str:
        """The name of the model whose layer it is; its own if it is no layer."""
        return self.base.name if self.base else self.name

    @property
    def views(self) -> list[ModelSpec]:
        """The models that its features make: itself for the penultimate one, and `NAME@LAYER` for each layer.

        Raises:
            InputError: The network has no such layer, or its name cannot stand in a key.
        """
        return [
            self if feature == PENULTIMATE else self._of_layer(feature) for feature in self.features or (PENULTIMATE,)
        ]

    def _of_layer(self, layer: str) -> ModelSpec:
        check_layer(self.skeleton, layer, self.architecture)
        made = replace(self, name=view_name(self.name, layer), head_file=None, features=(), base=self, layer=layer)
        return replace(
            made, notes=(*self.notes, Note("layers", made.pooling, "as the network pools its last features"))
        )

    @cached_property
    def weights_source(self) -> WeightsSource:
        """The source of the weights."""
        return source_of(self.source, self.checkpoint)

    @cached_property
    def given_head(self) -> Head | None:
        """The head of the head file."""
        return read_head(self.head_file) if self.head_file else None

    @cached_property
    def is_headless(self) -> bool:
        """Whether the network has no head, and none is given, or it is but a layer: it has features, and no logits."""
        if self.layer:
            return True
        return self.given_head is None and getattr(self.skeleton, "num_classes", None) == 0

    @property
    def normalizes(self) -> bool:
        """Whether the head is fed the feature at unit length."""
        if self.given_head:
            return self.given_head.normalize
        return self.weights_source.normalizes and not self.is_headless

    @cached_property
    def feature_is_output(self) -> bool:
        """Whether the feature is what the network puts out, rather than what its last layer is fed.

        So it is with a given head on CLIP's image towers of timm, whose last layer is the projection: a zero-shot head
        belongs on the projected feature, a linear probe where it fits.
        """
        if self.given_head is None:
            return False
        width = self.given_head.weight.shape[1]
        layer = self.skeleton.get_classifier()  # type: ignore[operator]
        inner, outer = getattr(layer, "in_features", None), getattr(layer, "out_features", None)
        if inner is None or width not in {inner, outer}:
            return False
        return width == outer and (width != inner or self.given_head.normalize)

    @property
    def open_notes(self) -> tuple[Note, ...]:
        """The notes that stand: a thing is not unknown any more once the recipe states it."""
        return tuple(note for note in self.notes if note.value != UNKNOWN or note.topic not in self.recipe)

    @property
    def recipe_columns(self) -> Mapping[str, Any]:
        """The recipe as the `models` table has it; its JSON tells what was inferred, and if the head is fed the feature at unit length."""
        inferred = {note.topic: f"{note.value} ({note.origin})" for note in (*self.open_notes, *self.resolved.notes)}
        known = {
            **({"head_normalizes": True} if self.normalizes else {}),
            **({"inferred": inferred} if inferred else {}),
        }
        if not known:
            return self.recipe
        rest = json.loads(self.recipe.get("recipe") or "{}")
        return {**self.recipe, "recipe": as_json({**rest, **known})}

    def with_recipe(self, recipe: Mapping[str, Any]) -> ModelSpec:
        """The same model, trained as that recipe says; what was read of its files stays known."""
        made = replace(self, recipe=recipe)
        vars(made).update({name: value for name, value in vars(self).items() if name not in vars(made)})
        return made

    def transform(self) -> Callable[[Any], Tensor]:
        """The preprocessing as a function of a PIL image."""
        timms = {name: value for name, value in self.preprocessing.items() if name != DECODE}
        config = {name: tuple(value) if isinstance(value, list) else value for name, value in timms.items()}
        return create_transform(**config, is_training=False)  # type: ignore[no-any-return]

    def preparation(self) -> Preparation:
        """The preprocessing in two halves: what is done to an image, and to a batch on the device."""
        made = in_two(self.transform())
        return made.of_shrunk(self.preprocessing) if DECODE in self.preprocessing else made

    @property
    def way(self) -> str:
        """The way in which pixels are made for it: the same text for models that can share them, whatever mean and std they take."""
        later = {"mean", "std"} if self.preparation().is_cut else set()
        return as_json({field: value for field, value in self.preprocessing.items() if field not in later})

    def load_module(self) -> nn.Module:
        """The module with its weights, in evaluation mode, on the CPU.

        Raises:
            InputError: The checkpoint is not one of the architecture, or there is no way to get timm's weights.
        """
        return self.weights_source.load(self).eval()


def parameters_sha256(module: nn.Module) -> str:
    """sha256 of a network's parameters and buffers, by their names."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
