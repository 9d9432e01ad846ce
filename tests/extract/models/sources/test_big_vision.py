"""SigLIP as big_vision writes it: the network is that which was written, and the text tower beside it is said and left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from extract.models.network import LoadedModel
from extract.pools.naming import spec_from_file
from featurestore import InputError
from tests.extract.networks import VIT, trained

if TYPE_CHECKING:
    from pathlib import Path

NAME = "vit_base_patch16_siglip_224"
KWARGS = {**VIT, "depth": 2}
_TEXT = {"params/txt/Embed_0/embedding": np.zeros((3, 4), np.float32), "params/t": np.zeros(1), "params/b": np.zeros(1)}


def _heads(weight: np.ndarray) -> np.ndarray:
    """The rows of a projection as [in, heads, width of a head]."""
    return weight.T.reshape(weight.shape[1], KWARGS["num_heads"], -1)


def _attention(state: dict[str, np.ndarray], source: str, parts: dict[str, tuple[str, int, int]]) -> dict[str, Any]:
    """Query, key and value, each some rows of an array, and the projection behind them."""
    found = {}
    for part, (name, number, count) in parts.items():
        weight = np.split(state[f"{source}{name}.weight"], count)[number]
        bias = np.split(state[f"{source}{name}.bias"], count)[number]
        found |= {f"{part}/kernel": _heads(weight), f"{part}/bias": bias.reshape(KWARGS["num_heads"], -1)}
    out = state[f"{source}proj.weight"].T
    return {
        **found,
        "out/kernel": out.reshape(KWARGS["num_heads"], -1, out.shape[1]),
        "out/bias": state[f"{source}proj.bias"],
    }


def _block(state: dict[str, np.ndarray], source: str, target: str, *, pool: bool) -> dict[str, np.ndarray]:
    fused = {"query": ("q", 0, 1), "key": ("kv", 0, 2), "value": ("kv", 1, 2)}
    parts = fused if pool else {part: ("qkv", number, 3) for number, part in enumerate(fused)}
    attention = _attention(state, source if pool else f"{source}attn.", parts)
    found = {f"MultiHeadDotProductAttention_0/{name}": value for name, value in attention.items()}
    for number, norm in enumerate(["norm"] if pool else ["norm1", "norm2"]):
        found |= {
            f"LayerNorm_{number}/{j}": state[f"{source}{norm}.{i}"] for i, j in (("weight", "scale"), ("bias", "bias"))
        }
    for number in (0, 1):
        found[f"MlpBlock_0/Dense_{number}/kernel"] = state[f"{source}mlp.fc{number + 1}.weight"].T
        found[f"MlpBlock_0/Dense_{number}/bias"] = state[f"{source}mlp.fc{number + 1}.bias"]
    return {f"{target}{name}": value for name, value in found.items()}


def _written(module: Any, *, stacked: bool = False) -> dict[str, np.ndarray]:
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    tower = {
        "embedding/kernel": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "pos_embedding": state["pos_embed"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "MAPHead_0/probe": state["attn_pool.latent"],
        **_block(state, "attn_pool.", "MAPHead_0/", pool=True),
    }
    blocks = [_block(state, f"blocks.{number}.", "", pool=False) for number in range(KWARGS["depth"])]
    for number, block in enumerate(blocks):
        if stacked:
            tower |= {f"Transformer/encoderblock/{name}": np.stack([b[name] for b in blocks]) for name in block}
        else:
            tower |= {f"Transformer/encoderblock_{number}/{name}": value for name, value in block.items()}
    return {**{f"params/img/{name}": value for name, value in tower.items()}, **_TEXT}


@pytest.mark.parametrize("stacked", [False, True], ids=["a block each", "blocks in one"])
def test_the_tower_is_the_one_that_was_written(tmp_path: Path, stacked: bool) -> None:
    """And timm's own reader makes the same network of it."""
    module, own = (trained(NAME, {**KWARGS, "num_classes": 0}, seed) for seed in (0, 1))
    np.savez(tmp_path / "m.npz", **_written(module, stacked=stacked))
    own.load_pretrained(str(tmp_path / "m.npz"))
    spec = spec_from_file(tmp_path / "m.npz", NAME, KWARGS)
    loaded = spec.load_module().state_dict()
    for name, value in module.state_dict().items():
        assert torch.equal(loaded[name], value), name
        assert torch.equal(own.state_dict()[name], value), name
    assert LoadedModel(spec, torch.device("cpu")).width == KWARGS["embed_dim"]
    assert "its text tower is not used" in str(spec.notes[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"params/img/pos_embedding": np.zeros((1, 9, 24), np.float32)},
            r"pos_embed is \[1, 9, 24\], not \[1, 4, 24\]",
        ),
        ({"params/img/pre_logits/kernel": np.zeros((2, 2), np.float32)}, "unexpected: pre_logits/kernel"),
        ({"params/img/Transformer/encoderblock_2/LayerNorm_0/bias": np.zeros(24, np.float32)}, "blocks.2.norm1.bias"),
        ({"params/img/embedding/bias": np.zeros(24, np.int32)}, "as int32: save it as float32"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, change: dict[str, np.ndarray], message: str) -> None:
    """timm's own reader would resize positions, and pass over blocks."""
    module = trained(NAME, {**KWARGS, "num_classes": 0})
    np.savez(tmp_path / "m.npz", **{**_written(module), **change})
    with pytest.raises(InputError, match=message):
        spec_from_file(tmp_path / "m.npz", NAME, KWARGS).load_module()


def test_a_missing_key_is_a_sentence(tmp_path: Path) -> None:
    arrays = _written(trained(NAME, {**KWARGS, "num_classes": 0}))
    del arrays["params/img/MAPHead_0/MultiHeadDotProductAttention_0/value/bias"]
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(InputError, match="lacks value beside it"):
        spec_from_file(tmp_path / "m.npz", NAME, KWARGS).load_module()
