"""The names that Hugging Face's transformers gives the arrays of ViT, DeiT and DINOv2, and timm's in their place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

_MARK = "embeddings.patch_embeddings.projection.weight"
_MODELS = ("vit.", "deit.", "dinov2.", "dinov2_with_registers.", "")
_PARTS = ("query", "key", "value")
_PART = re.compile(rf"(encoder\.layer\.\d+\.attention\.attention)\.({'|'.join(_PARTS)})\.(weight|bias)")
_RENAMED = (
    ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.", ""),
    ("encoder.layer.", "blocks."),
    ("attention.attention.qkv.", "attn.qkv."),
    ("attention.output.dense.", "attn.proj."),
    ("intermediate.dense.", "mlp.fc1."),
    ("output.dense.", "mlp.fc2."),
    ("layernorm_before.", "norm1."),
    ("layernorm_after.", "norm2."),
    ("layer_scale1.lambda1", "ls1.gamma"),
    ("layer_scale2.lambda1", "ls2.gamma"),
    ("mlp.weights_in.", "mlp.w12."),
    ("mlp.weights_out.", "mlp.w3."),
    ("layernorm.", "norm."),
    ("cls_classifier.", "head."),
    ("classifier.", "head."),
)


def timm_names(names: Iterable[str]) -> set[str]:
    """The names that `as_timm_names` gives to arrays of these names."""
    known = dict.fromkeys(names)
    prefix = _prefix(known)
    if prefix is None:
        return set(known)
    inner = (name.removeprefix(prefix) for name in known if not _is_pooler(name, prefix))
    return {_renamed(_PART.sub(r"\1.qkv.\3", name)) for name in inner}


def as_timm_names(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Arrays under timm's names, or as they are if their names are not those of transformers.

    The query, key and value of a layer become one array. The pooler behind the class token, which no image model of timm
    has, is left out.

    Raises:
        InputError: A layer has no query, key or value.
    """
    prefix = _prefix(state)
    if prefix is None:
        return state
    inner = {name.removeprefix(prefix): value for name, value in state.items() if not _is_pooler(name, prefix)}
    fused: dict[str, Tensor] = {}
    for name, value in inner.items():
        part = _PART.fullmatch(name)
        if part is None:
            fused[name] = value
            continue
        parts = [inner.get(f"{part[1]}.{which}.{part[3]}") for which in _PARTS]
        if any(one is None for one in parts):
            raise InputError(f"The checkpoint has {prefix}{name}, and lacks another of query, key and value beside it.")
        fused[f"{part[1]}.qkv.{part[3]}"] = torch.cat([one for one in parts if one is not None])
    return {_renamed(name): value for name, value in fused.items()}


def _prefix(names: Mapping[str, object]) -> str | None:
    return next((model for model in _MODELS if model + _MARK in names), None)


def _is_pooler(name: str, prefix: str) -> bool:
    return name.startswith(f"{prefix}pooler.")


def _renamed(name: str) -> str:
    for theirs, own in _RENAMED:
        name = name.replace(theirs, own, 1)
    return name
