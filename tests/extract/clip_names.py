"""A tiny CLIP finetune, and its state dict with OpenAI's names: the inverse of what the source does."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn

ARCHITECTURE = "vit_base_patch32_clip_quickgelu_224"
KWARGS = {"img_size": 64, "embed_dim": 24, "depth": 2, "num_heads": 2}
WIDTH, CLASSES = 10, 3
_INNER = {
    "norm1": "ln_1",
    "norm2": "ln_2",
    "attn.qkv.": "attn.in_proj_",
    "attn.proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
_TEXT_TOWER = {"positional_embedding": (5, 8), "text_projection": (8, 10), "token_embedding.weight": (7, 8)}


def tower(seed: int = 0) -> tuple[Any, nn.Linear]:
    """Timm's own CLIP tower, whose head is the projection, and a head for its output."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        visual = timm.create_model(ARCHITECTURE, num_classes=WIDTH, **KWARGS).eval()
        nn.init.normal_(visual.head.weight)
        nn.init.normal_(visual.cls_token)
        nn.init.zeros_(visual.head.bias)
        return visual, nn.Linear(WIDTH, CLASSES)


def openai_state(visual: Any, head: nn.Linear) -> dict[str, Tensor]:
    """The same weights as the model-soups release names them."""
    state = {}
    for name, value in visual.state_dict().items():
        if name == "head.bias":
            continue
        theirs, tensor = _theirs(name, value)
        state[f"model.visual.{theirs}"] = tensor.clone()
    state |= {f"model.{name}": torch.zeros(shape) for name, shape in _TEXT_TOWER.items()}
    state["model.logit_scale"] = torch.tensor(4.6)
    return {**state, "classification_head.weight": head.weight.data, "classification_head.bias": head.bias.data}


def _theirs(name: str, value: Tensor) -> tuple[str, Tensor]:
    if name == "head.weight":
        return "proj", value.T
    if name == "cls_token":
        return "class_embedding", value[0, 0]
    if name == "pos_embed":
        return "positional_embedding", value[0]
    if name.startswith("blocks."):
        for ours, theirs in _INNER.items():
            name = name.replace(ours, theirs)
        return f"transformer.res{name}", value
    for ours, theirs in (("patch_embed.proj", "conv1"), ("norm_pre", "ln_pre"), ("norm.", "ln_post.")):
        name = name.replace(ours, theirs)
    return name, value
