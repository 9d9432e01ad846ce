"""Checkpoints with OpenAI CLIP's names: CLIP's image tower, and the finetunes of the model-soups paper.

Their feature is the projected one. A finetune's head is fed that feature at unit length; the lake stores it as it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from extract.models.files import ARRAYS, Note, StoredWeights, read_shapes, read_state_dict
from extract.models.sources.architecture import create
from extract.models.sources.checkpoints import load_state
from extract.models.sources.clip_family import OPENAI, check_activation, clip_family, pretraining_note, undecided
from extract.models.sources.source import Facts, Weights, WeightsSource
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


PREPROCESS = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "crop_pct": 1.0,
    "interpolation": "bicubic",
}
ARCHITECTURES = {
    (768, 32): "vit_base_patch32_clip_quickgelu_224",
    (768, 16): "vit_base_patch16_clip_quickgelu_224",
    (1024, 14): "vit_large_patch14_clip_quickgelu_224",
    (1280, 14): "vit_huge_patch14_clip_quickgelu_224",
}
"""Towers by width and patch, of those with QuickGELU; timm has the same with GELU."""
_PREFIXES = ("model.visual.", "visual.")
_MARK = "class_embedding"
_TEXT_TOWER = (
    "positional_embedding",
    "text_projection",
    "text.",
    "logit_scale",
    "logit_bias",
    "token_embedding.",
    "ln_final.",
    "transformer.",
    "input_resolution",
    "context_length",
    "vocab_size",
)
_RENAMED = (
    ("conv1.", "patch_embed.proj."),
    ("transformer.resblocks.", "blocks."),
    ("attn.in_proj_", "attn.qkv."),
    ("attn.out_proj.", "attn.proj."),
    ("ln_pre.", "norm_pre."),
    ("ln_post.", "norm."),
    ("ln_1.", "norm1."),
    ("ln_2.", "norm2."),
    ("mlp.c_fc.", "mlp.fc1."),
    ("mlp.c_proj.", "mlp.fc2."),
)


class ClipClassifier(nn.Module):
    """CLIP's image tower in timm's parts, its projection, and a head on the projected feature at unit length.

    Args:
        visual: timm's image tower without a head.
        width: Dimensions of the projected feature.
        classes: Outputs of the head; 0 makes a tower without a head.
    """

    def __init__(self, visual: Any, width: int, classes: int) -> None:
        super().__init__()
        self.visual = visual
        self.projection = nn.Linear(visual.num_features, width, bias=False)
        self.head = nn.Linear(width, classes) if classes else nn.Identity()
        self.pretrained_cfg, self.num_classes = visual.pretrained_cfg, classes

    def forward_features(self, images: Tensor) -> Tensor:
        """The tokens."""
        return self.visual.forward_features(images)  # type: ignore[no-any-return]

    def forward_head(self, tokens: Tensor, pre_logits: bool = False) -> Tensor:
        """The projected feature as it is, or the logits."""
        feature = self.projection(self.visual.forward_head(tokens, pre_logits=True))
        return feature if pre_logits or not self.num_classes else self.head(nn.functional.normalize(feature, dim=-1))  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """The logits."""
        return self.forward_head(self.forward_features(images))

    def get_classifier(self) -> nn.Module:
        """The head."""
        return self.head


def read_clip(stored: StoredWeights) -> dict[str, Tensor]:
    """The image tower and the head of a checkpoint, by the names of `ClipClassifier`.

    Raises:
        InputError: The file cannot be read, or holds more than CLIP and a head.
    """
    state = read_state_dict(stored)
    prefix = _prefix({name: tuple(value.shape) for name, value in state.items()})
    if prefix is None:
        raise InputError(f"{stored} does not have OpenAI CLIP's names: expected model.visual.{_MARK} and others.")
    text_tower = tuple(prefix.removesuffix("visual.") + part for part in _TEXT_TOWER)
    return dict(_renamed(name, value, prefix) for name, value in state.items() if not name.startswith(text_tower))


def _facts(stored: StoredWeights, recipe: Mapping[str, Any]) -> Facts:
    path, shapes = stored.path, read_shapes(stored)
    prefix = _prefix(shapes) or ""
    try:
        width, _, _, patch = shapes[f"{prefix}conv1.weight"]
        tokens = shapes[f"{prefix}positional_embedding"][0]
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} has OpenAI CLIP's names, but no {prefix}conv1 or positional embedding.") from error
    size = math.isqrt(tokens - 1) * patch
    classes = shapes.get("classification_head.weight", (0,))[0]
    kwargs: dict[str, Any] = {"num_classes": classes, **({} if size == 224 else {"img_size": size})}
    family = clip_family(path, shapes, recipe)
    quick = ARCHITECTURES.get((width, patch), "")
    plain = quick.replace("_quickgelu", "")
    notes = pretraining_note(path, family, recipe)
    if classes:
        notes += (
            Note("head input", "the feature at unit length", "as the classifiers of model-soups; or give --head"),
        )
    return Facts(
        "" if family.quick_gelu is None else quick if family.quick_gelu else plain,
        kwargs,
        {**PREPROCESS, **(family.preprocess or {}), "input_size": (3, size, size)},
        f"{family.origin}"
        if family.preprocess
        else "CLIP's, as its authors published it; its size from the position embedding",
        {"pretraining": OPENAI} if family.openai else {},
        notes,
        undecided(path, (quick, plain)) if quick else "",
    )


def _told(weights: Weights) -> Facts:
    """Nothing, but a stated architecture is checked against what is known of the weights."""
    path = weights.weights_file
    family = clip_family(path, read_shapes(weights.stored), getattr(weights, "recipe", {}))
    check_activation(path, weights.architecture, weights.model_kwargs, family)
    return Facts()


def _build(weights: Weights) -> nn.Module:
    shapes = read_shapes(weights.stored)
    prefix = _prefix(shapes) or ""
    projection = shapes.get(f"{prefix}proj")
    if projection is None:
        raise InputError(f"{weights.weights_file} has no {prefix}proj, the projection of CLIP's image feature.")
    classes = weights.model_kwargs.get("num_classes", 1000)
    return ClipClassifier(create(weights, num_classes=0), projection[1], classes)


def _load(weights: Weights) -> nn.Module:
    module = _build(weights)
    load_state(module, read_clip(weights.stored), weights.weights_file, weights.architecture)
    return module


def _prefix(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    return next((prefix for prefix in _PREFIXES if f"{prefix}{_MARK}" in shapes), None)


def _renamed(name: str, value: Tensor, prefix: str) -> tuple[str, Tensor]:
    """A parameter's name and value in `ClipClassifier`."""
    if not name.startswith(prefix):
        return name.replace("classification_head.", "head.", 1), value
    inner = name.removeprefix(prefix)
    if inner == "proj":
        return "projection.weight", value.T
    if inner == _MARK:
        return "visual.cls_token", value.reshape(1, 1, -1)
    if inner == "positional_embedding":
        return "visual.pos_embed", torch.unsqueeze(value, 0)
    for theirs, own in _RENAMED:
        inner = inner.replace(theirs, own)
    return f"visual.{inner}", value


SOURCE = WeightsSource(
    "clip",
    recognise=lambda stored: stored.kind != ARRAYS and _prefix(read_shapes(stored)) is not None,
    build=_build,
    load=_load,
    facts=_facts,
    told=_told,
    feature="OpenAI CLIP's projected image feature",
    normalizes=True,
)
