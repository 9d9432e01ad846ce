"""Layers by name: what a hook sees, pooled as the network pools its last features."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from extract.models.layers import parse_features, pooling_of
from extract.models.network import LayerOfModel, LoadedModel
from extract.models.spec import ModelSpec
from featurestore.errors import InputError
from tests.tiny import ARCHITECTURE, KWARGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

VIT = {**KWARGS, "depth": 3}
IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
CONV = {"num_classes": 5, "depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16)}
SWIN = {
    "img_size": 32,
    "patch_size": 2,
    "window_size": 4,
    "embed_dim": 8,
    "depths": (1, 1),
    "num_heads": (2, 2),
    "num_classes": 5,
}
MIXER = {"img_size": 32, "num_classes": 5}
RESNET = {"num_classes": 5, "layers": (1, 1, 1, 1), "channels": (8, 8, 16, 16)}


def saved(folder: Path, architecture: str, kwargs: dict[str, Any], *features: str) -> tuple[Any, ModelSpec]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = timm.create_model(architecture, pretrained=False, **kwargs).eval()
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, folder / "m.safetensors")
    preprocess = {"input_size": (3, 32, 32)}
    return module, ModelSpec(
        "m", architecture, folder / "m.safetensors", kwargs, preprocess=preprocess, features=features
    )


def said(spec: ModelSpec, images: Tensor = IMAGES) -> dict[str, np.ndarray]:
    """What the layers of a model say, from one run of it."""
    network = LoadedModel(spec, torch.device("cpu"))
    layers = [LayerOfModel(network, view) for view in spec.views if view.layer]
    launched = network.launch(images)
    found = {layer.spec.name: layer.said(launched) for layer in layers}
    assert all(logits.shape == (len(images), 0) for _, logits in found.values())
    assert all(feature.shape[1] == layer.width for layer, (feature, _) in zip(layers, found.values(), strict=True))
    return {name: feature for name, (feature, _) in found.items()}


def hooked(module: Any, layer: str, images: Tensor = IMAGES) -> Tensor:
    """The obvious way."""
    seen = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.inference_mode():
        module(images)
    handle.remove()
    return seen[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("architecture", "kwargs", "layer", "pooled"),
    [
        (ARCHITECTURE, VIT, "blocks.1", lambda tokens: tokens[:, 0]),
        (ARCHITECTURE, {**VIT, "global_pool": "avg"}, "blocks.1", lambda tokens: tokens[:, 1:].mean(1)),
        (ARCHITECTURE, {**VIT, "global_pool": "max"}, "blocks.1", lambda tokens: tokens[:, 1:].amax(1)),
        (ARCHITECTURE, {**VIT, "global_pool": "map"}, "blocks.1", lambda tokens: tokens[:, 1:].mean(1)),
        (ARCHITECTURE, VIT, "patch_embed", lambda tokens: tokens.mean(1)),
        ("convnext_tiny", CONV, "stages.1", lambda maps: maps.mean((2, 3))),
        ("resnet18", RESNET, "layer2", lambda maps: maps.mean((2, 3))),
        ("swin_tiny_patch4_window7_224", SWIN, "layers.0", lambda maps: maps.mean((1, 2))),
        ("mixer_s16_224", MIXER, "blocks.0", lambda tokens: tokens.mean(1)),
    ],
)
def test_a_layer_says_what_a_hook_sees_pooled_as_the_network_pools(
    tmp_path: Path, architecture: str, kwargs: dict[str, Any], layer: str, pooled: Callable[[Tensor], Tensor]
) -> None:
    module, spec = saved(tmp_path, architecture, kwargs, "penultimate", layer)
    found = said(spec)
    expected = pooled(hooked(module, layer)).numpy()
    np.testing.assert_allclose(found[f"m@{layer}"], expected, rtol=1e-6, atol=1e-6)


def test_clips_projection_by_timm_and_by_openai(tmp_path: Path) -> None:
    """timm's tower has it as its head, which has no bias; a classifier in its place has no projection."""
    kwargs = {**VIT, "num_classes": 7}
    module, spec = saved(tmp_path, "vit_base_patch32_clip_224", kwargs, "pre_projection", "projected")
    found = said(spec)
    with torch.inference_mode():
        tokens = module.forward_features(IMAGES)
        np.testing.assert_allclose(found["m@pre_projection"], module.forward_head(tokens, pre_logits=True), atol=1e-6)
        np.testing.assert_allclose(found["m@projected"], module(IMAGES), atol=1e-6)
    state = {**module.state_dict(), "head.bias": torch.ones(7)}
    save_file(state, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="no projection of CLIP"):
        said(dataclasses.replace(spec))
    _, other = saved(tmp_path, ARCHITECTURE, VIT, "projected")
    with pytest.raises(
        InputError, match=r"is no image tower of CLIP, and has no projected: there are blocks.0 to blocks.2"
    ):
        _ = other.views


@pytest.mark.parametrize("layer", ["blocks.3", "block.1", "stages.0", "visual"])
def test_a_layer_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, layer: str) -> None:
    _, spec = saved(tmp_path, ARCHITECTURE, VIT, layer)
    with pytest.raises(
        InputError,
        match=f"has no layer '{layer}': there are blocks.0 to blocks.2, patch_embed, norm, head, penultimate",
    ):
        _ = spec.views


def test_a_layer_that_no_feature_comes_through_is_refused(tmp_path: Path) -> None:
    _, spec = saved(tmp_path, ARCHITECTURE, VIT, "head")
    with pytest.raises(InputError, match="does not run its layer 'head'"):
        said(spec)


def test_how_it_is_pooled_is_part_of_what_it_is(tmp_path: Path) -> None:
    """In the fingerprint and in the notes: the same layer, pooled in another way, is another feature."""
    token, mean = (
        saved(tmp_path, ARCHITECTURE, {**VIT, "global_pool": kind}, "blocks.1")[1].views[0] for kind in ("token", "avg")
    )
    assert token.identity["feature"] == "blocks.1, class token"
    assert mean.identity["feature"] == "blocks.1, mean over positions"
    assert "mean over positions" in str(mean.notes[-1])
    assert str(pooling_of(mean.skeleton)) == "mean over positions"


def test_a_head_of_ones_own_is_none_of_a_layers_business(tmp_path: Path) -> None:
    """A layer's activations are the same under any head, and need not be made again."""
    _, spec = saved(tmp_path, ARCHITECTURE, VIT, "blocks.1")
    np.savez(tmp_path / "head.npz", weight=np.ones((2, 24), np.float32))
    other = dataclasses.replace(spec, head_file=tmp_path / "head.npz")
    assert other.views[0].identity == spec.views[0].identity


@pytest.mark.parametrize("text", ["blocks.1,", "blocks.1,blocks.1", ",", " "])
def test_features_are_read_each_once(text: str) -> None:
    assert parse_features(None) == ("penultimate",)
    assert parse_features("penultimate, blocks.6") == ("penultimate", "blocks.6")
    with pytest.raises(InputError, match="each once, with commas"):
        parse_features(text)
