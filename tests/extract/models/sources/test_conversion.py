"""Checkpoints in the layouts of their authors: the network is that which was written, and nothing is dropped or resized in silence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import torch

from extract.models.spec import ModelSpec
from extract.pools.naming import spec_from_file
from featurestore import InputError
from tests.extract.networks import CLASSES, LOADED, VIT, VIT_14, trained

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

    Renamed: TypeAlias = Callable[[str, Tensor], Mapping[str, Tensor]]

_INDEX = torch.zeros(3, 3, dtype=torch.int64)


@dataclass(frozen=True)
class Layout:
    """How the authors of an architecture write what timm has under a name, and what they write besides."""

    architecture: str
    of: Renamed
    besides: Mapping[str, Tensor]
    invented: tuple[str, ...] = ()

    @property
    def kwargs(self) -> dict[str, Any]:
        return LOADED[self.architecture]


def _as_it_is(name: str, value: Tensor) -> Mapping[str, Tensor]:
    return {name: value}


def _facebook_convnext(name: str, value: Tensor) -> Mapping[str, Tensor]:
    name = re.sub(r"^stem\.", "downsample_layers.0.", name)
    name = re.sub(r"stages\.(\d)\.downsample\.", r"downsample_layers.\1.", name)
    name = re.sub(r"stages\.(\d)\.blocks\.", r"stages.\1.", name)
    name = name.replace("conv_dw", "dwconv").replace("head.norm", "norm").replace("head.fc", "head")
    if "mlp.grn" in name:
        own = name.replace("mlp.grn.bias", "grn.beta").replace("mlp.grn.weight", "grn.gamma")
        return {own: value.reshape(1, 1, 1, -1)}
    name = name.replace("mlp.fc", "pwconv")
    return {name: value[:, :, 0, 0] if "pwconv" in name and value.ndim == 4 else value}


def _registers(name: str, value: Tensor) -> Mapping[str, Tensor]:
    """The class token's position, half everywhere, is added to it by timm."""
    if name == "pos_embed":
        return {name: torch.cat([torch.full_like(value[:, :1], 0.5), value], dim=1)}
    return {name.replace("reg_token", "register_tokens"): value - 0.5 if name == "cls_token" else value}


def _swin(name: str, value: Tensor) -> Mapping[str, Tensor]:
    name = re.sub(r"layers\.(\d)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", name)
    return {name.replace("head.fc.", "head."): value}


def _eva(name: str, value: Tensor) -> Mapping[str, Tensor]:
    names = {"attn.norm": "attn.inner_attn_ln", "mlp.norm": "mlp.ffn_ln", "mlp.fc2": "mlp.w3"}
    names |= {"mlp.fc1_g": "mlp.w1", "mlp.fc1_x": "mlp.w2"}
    for own, theirs in names.items():
        name = name.replace(own, theirs)
    return {name: value}


def _open_clip_convnext(name: str, value: Tensor) -> Mapping[str, Tensor]:
    if name.startswith("head.fc."):
        return {"visual.head.proj.weight": value} if name.endswith("weight") else {}
    return {f"visual.trunk.{name}": value}


def _transformers(prefix: str, *, dino: bool = False) -> Renamed:
    mlp = {} if dino else {"mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}
    norms = {} if dino else {"norm1": "layernorm_before", "norm2": "layernorm_after"}
    names = {"attn.proj": "attention.output.dense", "ls1.gamma": "layer_scale1.lambda1", **mlp, **norms}
    names |= {
        "ls2.gamma": "layer_scale2.lambda1",
        "patch_embed.proj": f"{prefix}embeddings.patch_embeddings.projection",
    }
    names |= {"cls_token": f"{prefix}embeddings.cls_token", "pos_embed": f"{prefix}embeddings.position_embeddings"}

    def of(name: str, value: Tensor) -> Mapping[str, Tensor]:
        if "attn.qkv" in name:
            stem = name.replace("blocks.", f"{prefix}encoder.layer.").replace("attn.qkv", "attention.attention.{}")
            return {stem.format(part): own for part, own in zip(("query", "key", "value"), value.chunk(3), strict=True)}
        for own, theirs in names.items():
            name = name.replace(own, theirs)
        name = name.replace("blocks.", f"{prefix}encoder.layer.").replace("head.", "classifier.")
        return {re.sub(r"^norm\.", f"{prefix}layernorm.", name): value}

    return of


LAYOUTS = {
    "Facebook's ConvNeXt": Layout("convnext_atto", _facebook_convnext, {}),
    "Facebook's ConvNeXt V2": Layout("convnextv2_atto", _facebook_convnext, {}),
    "Facebook's DeiT III": Layout(
        "deit3_small_patch16_224", lambda name, value: {re.sub(r"ls(\d)\.gamma", r"gamma_\1", name): value}, {}
    ),
    "Facebook's DINOv2": Layout("vit_small_patch14_dinov2", _as_it_is, {"mask_token": torch.zeros(1, 24)}),
    "Facebook's DINOv2 with registers": Layout(
        "vit_small_patch14_reg4_dinov2", _registers, {"mask_token": torch.zeros(1, 24)}
    ),
    "the original Swin": Layout(
        "swin_tiny_patch4_window7_224",
        _swin,
        {"layers.0.blocks.0.attn.relative_position_index": _INDEX, "layers.0.blocks.1.attn_mask": torch.zeros(4, 9, 9)},
    ),
    "the original Swin V2": Layout(
        "swinv2_tiny_window8_256", _swin, {"layers.0.blocks.0.attn.relative_coords_table": torch.zeros(1, 9, 9, 2)}
    ),
    "Microsoft's BEiT": Layout("beit_base_patch16_224", _as_it_is, {"blocks.0.attn.relative_position_index": _INDEX}),
    "BAAI's EVA-02": Layout("eva02_tiny_patch14_224", _eva, {"rope.freqs_cos": torch.zeros(4, 8)}),
    "open_clip's SigLIP": Layout(
        "vit_base_patch16_siglip_224",
        lambda name, value: {f"visual.trunk.{name}": value},
        {"text.token_embedding.weight": torch.zeros(3, 3), "logit_scale": torch.zeros(())},
    ),
    "open_clip's ConvNeXt": Layout(
        "convnext_atto", _open_clip_convnext, {"text_projection": torch.zeros(3, 3)}, invented=("head.fc.bias",)
    ),
    "Hugging Face's ViT": Layout("vit_tiny_patch16_224", _transformers("vit."), {}),
    "Hugging Face's ViT with a pooler": Layout(
        "vit_tiny_patch16_224", _transformers(""), {"pooler.dense.weight": torch.zeros(24, 24)}
    ),
    "Hugging Face's DINOv2": Layout(
        "vit_small_patch14_dinov2",
        _transformers("dinov2.", dino=True),
        {"dinov2.embeddings.mask_token": torch.zeros(1, 24)},
    ),
}


def _written(layout: Layout, module: Any) -> dict[str, Tensor]:
    state = module.state_dict().items()
    return {**{theirs: v for name, value in state for theirs, v in layout.of(name, value).items()}, **layout.besides}


def _load(path: Path, state: Mapping[str, Tensor], architecture: str, kwargs: Mapping[str, Any]) -> Any:
    torch.save({"model": {name: value.clone() for name, value in state.items()}}, path)
    return ModelSpec("m", architecture, path, {"num_classes": CLASSES, **kwargs}).load_module()


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_network_is_the_one_that_was_written(tmp_path: Path, name: str) -> None:
    layout = LAYOUTS[name]
    module = trained(layout.architecture, layout.kwargs)
    loaded = _load(tmp_path / "m.pth", _written(layout, module), layout.architecture, layout.kwargs)
    for parameter, value in module.state_dict().items():
        expected = torch.zeros_like(value) if parameter in layout.invented else value
        torch.testing.assert_close(loaded.state_dict()[parameter], expected, atol=1e-7, rtol=0, msg=parameter)


@pytest.mark.parametrize(
    ("besides", "kwargs", "message"),
    [
        ({"mask_token": torch.zeros(1, 24)}, {"img_size": 64}, "would resize pos_embed.*img_size"),
        ({"pre_logits.fc.weight": torch.zeros(24, 24)}, {}, "does not use: pre_logits.fc.weight"),
        ({"blocks.1.norm1.weight": torch.zeros(24)}, {}, "unexpected: blocks.1.norm1.weight"),
        (
            {"mask_token": torch.zeros(1, 24)},
            {"num_classes": 4},
            r"unexpected: mask_token; of another shape: head.weight is \[5, 24\]",
        ),
    ],
)
def test_what_timm_would_drop_or_resize_is_refused(
    tmp_path: Path, besides: dict[str, Tensor], kwargs: dict[str, Any], message: str
) -> None:
    """timm fits positions to another size, and leaves out a representation layer, without an error."""
    state = {**trained("vit_tiny_patch16_224", VIT).state_dict(), **besides}
    with pytest.raises(InputError, match=message):
        _load(tmp_path / "m.pth", state, "vit_tiny_patch16_224", {**VIT, **kwargs})


def test_what_is_left_after_a_conversion_has_timm_s_names(tmp_path: Path) -> None:
    layout = LAYOUTS["Facebook's ConvNeXt"]
    state = _written(layout, trained(layout.architecture, layout.kwargs)) | {"stages.3.1.gamma": torch.zeros(16)}
    with pytest.raises(InputError, match=r"after timm's conversion.*not used.*: stages\.3\.blocks\.1\.gamma\."):
        _load(tmp_path / "m.pth", state, layout.architecture, layout.kwargs)


def test_what_no_conversion_knows_is_told_by_the_file_s_own_names(tmp_path: Path) -> None:
    state = {f"a.{name}": value for name, value in trained("vit_tiny_patch16_224", VIT).state_dict().items()}
    with pytest.raises(InputError, match=r"unexpected: a\.cls_token|unexpected: other"):
        _load(tmp_path / "m.pth", {**state, "other": torch.zeros(1)}, "vit_tiny_patch16_224", VIT)


def test_a_layer_without_its_key_is_refused(tmp_path: Path) -> None:
    layout = LAYOUTS["Hugging Face's ViT"]
    state = _written(layout, trained(layout.architecture, layout.kwargs))
    del state["vit.encoder.layer.0.attention.attention.key.weight"]
    with pytest.raises(InputError, match="lacks another of query, key and value"):
        _load(tmp_path / "m.pth", state, layout.architecture, layout.kwargs)


def test_a_text_tower_alone_is_no_image_tower(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a checkpoint of"):
        _load(tmp_path / "m.pth", {"text.weight": torch.zeros(2)}, "vit_small_patch14_dinov2", VIT_14)


@pytest.mark.parametrize(
    "name", [name for name, layout in LAYOUTS.items() if "img_size" in layout.kwargs and "Swin" not in name]
)
def test_the_size_is_told_in_any_layout(tmp_path: Path, name: str) -> None:
    """Without a word on it, the network is built for the size that it was trained at, and images are prepared for it."""
    layout = LAYOUTS[name]
    torch.save(_written(layout, trained(layout.architecture, layout.kwargs)), tmp_path / "m.pth")
    kwargs = {key: value for key, value in layout.kwargs.items() if key != "img_size"}
    spec = spec_from_file(tmp_path / "m.pth", layout.architecture, {"num_classes": CLASSES, **kwargs})
    side = layout.kwargs["img_size"]
    assert (spec.model_kwargs["img_size"], spec.preprocessing["input_size"]) == (side, [3, side, side])
    spec.load_module()
