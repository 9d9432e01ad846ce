"""Weights of a timm ViT in the layout of the AugReg checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np


def augreg_arrays(model: Any, kwargs: dict[str, Any]) -> dict[str, np.ndarray]:
    """The same weights as JAX arrays in the layout of the AugReg checkpoints."""
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    width, heads, depth = kwargs["embed_dim"], kwargs["num_heads"], kwargs["depth"]
    arrays = {
        "embedding/kernel": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": state["head.weight"].T,
        "head/bias": state["head.bias"],
    }
    for i in range(depth):
        source, target = f"blocks.{i}.", f"Transformer/encoderblock_{i}/"
        for theirs, ours in (("LayerNorm_0", "norm1"), ("LayerNorm_2", "norm2")):
            arrays[f"{target}{theirs}/scale"] = state[f"{source}{ours}.weight"]
            arrays[f"{target}{theirs}/bias"] = state[f"{source}{ours}.bias"]
        attention = f"{target}MultiHeadDotProductAttention_1/"
        weights = np.split(state[f"{source}attn.qkv.weight"], 3)
        biases = np.split(state[f"{source}attn.qkv.bias"], 3)
        for name, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
            arrays[f"{attention}{name}/kernel"] = weight.T.reshape(width, heads, width // heads)
            arrays[f"{attention}{name}/bias"] = bias.reshape(heads, width // heads)
        out = state[f"{source}attn.proj.weight"].T.reshape(heads, width // heads, width)
        arrays[f"{attention}out/kernel"], arrays[f"{attention}out/bias"] = out, state[f"{source}attn.proj.bias"]
        for j in (0, 1):
            arrays[f"{target}MlpBlock_3/Dense_{j}/kernel"] = state[f"{source}mlp.fc{j + 1}.weight"].T
            arrays[f"{target}MlpBlock_3/Dense_{j}/bias"] = state[f"{source}mlp.fc{j + 1}.bias"]
    return arrays
