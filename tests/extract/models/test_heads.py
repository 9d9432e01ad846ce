"""Penultimate feature and head are found in any architecture, or taken from a file; the head explains the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from extract.models.heads import read_head
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from featurestore import InputError, NumericalError
from tests.extract.conftest import tiny_spec
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")
TINY_VIT = {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2}
STAGES = {"depths": (1, 1), "num_heads": (1, 2), "embed_dim": 12}
TINY = {
    "convnextv2_atto": {"depths": (1, 1, 1, 1), "dims": (8, 8, 16, 16)},
    "swin_tiny_patch4_window7_224": {"img_size": 56, **STAGES},
    "swinv2_tiny_window8_256": {"img_size": 64, **STAGES},
    "resnet18": {"layers": (1, 1, 1, 1), "channels": (8, 8, 16, 16)},
    "mobilenetv3_small_050": {},
    "deit3_small_patch16_224": TINY_VIT,
    "beit_base_patch16_224": TINY_VIT,
    "eva02_tiny_patch14_224": {**TINY_VIT, "img_size": 28},
    "vit_base_patch16_clip_224": TINY_VIT,
    "vit_base_patch16_siglip_224": TINY_VIT,
    "levit_128s": {},
    "mixer_s32_224": {},
}


def _saved(path: Path, architecture: str, kwargs: dict[str, Any]) -> Any:
    """A network with weights that are not the first ones: no norm is the identity, no bias zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = timm.create_model(architecture, **kwargs).eval()
        for parameter in module.parameters():
            parameter.data += 0.05 * torch.randn(parameter.shape)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, path)
    return module


@pytest.mark.parametrize("architecture", TINY)
def test_the_head_explains_the_logits_of_any_architecture(tmp_path: Path, architecture: str) -> None:
    kwargs = {**TINY[architecture], "num_classes": 5}
    module = _saved(tmp_path / "m.safetensors", architecture, kwargs)
    model = LoadedModel(ModelSpec("m", architecture, tmp_path / "m.safetensors", kwargs), CPU)
    images = torch.randn(2, *model.spec.preprocessing["input_size"])
    feature, logits = model(images)
    scale = np.abs(logits).max()
    with torch.inference_mode():
        np.testing.assert_allclose(logits, module(images), atol=1e-5 * scale)
    np.testing.assert_allclose(feature @ model.head.weight.T + model.head.bias, logits, atol=1e-5 * scale)


def test_two_heads_on_two_tokens_are_refused(tmp_path: Path) -> None:
    """A distilled DeiT averages two heads of two tokens: no single head explains that."""
    name, kwargs = "deit_tiny_distilled_patch16_224", {**TINY_VIT, "num_classes": 5}
    _saved(tmp_path / "m.safetensors", name, kwargs)
    with pytest.raises(InputError, match=r"not `weight @ feature \+ bias`.*one linear head"):
        LoadedModel(ModelSpec("m", name, tmp_path / "m.safetensors", kwargs), CPU)


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "probe.npz", weight=generator.normal(size=(6, 24)), bias=generator.normal(size=6))
    return tmp_path / "probe.npz"


def test_a_head_from_a_file_is_put_on_a_headless_backbone(tmp_path: Path, probe: Path) -> None:
    module = tiny_vit(num_classes=0)
    save_file(module.state_dict(), tmp_path / "m.safetensors")
    spec = ModelSpec("m", ARCHITECTURE, tmp_path / "m.safetensors", {**KWARGS, "num_classes": 0}, head_file=probe)
    images = torch.randn(3, 3, 32, 32)
    feature, logits = LoadedModel(spec, CPU)(images)
    with np.load(probe) as arrays, torch.inference_mode():
        np.testing.assert_allclose(feature, module(images), atol=1e-6)
        np.testing.assert_allclose(logits, feature @ arrays["weight"].T + arrays["bias"], atol=1e-5)


def test_the_head_s_file_is_an_ingredient(tmp_path: Path, checkpoint: Path, probe: Path) -> None:
    bare = tiny_spec(checkpoint).identity
    first = tiny_spec(checkpoint, head_file=probe).identity
    np.savez(tmp_path / "other.npz", weight=np.ones((6, 24)), normalize=True)
    second = tiny_spec(checkpoint, head_file=tmp_path / "other.npz").identity
    assert set(first) - set(bare) == {"head_sha256"}
    assert set(second) - set(bare) == {"head_sha256", "head_input"}
    assert first["head_sha256"] != second["head_sha256"]


@pytest.mark.parametrize(("width", "normalize", "projected"), [(24, False, False), (7, True, True), (7, False, True)])
def test_on_a_projecting_tower_a_head_goes_where_it_fits(
    tmp_path: Path, width: int, normalize: bool, projected: bool
) -> None:
    """Timm's CLIP towers end with the projection: text embeddings belong behind it, a linear probe before it."""
    name, kwargs = "vit_base_patch16_clip_224", {**TINY_VIT, "num_classes": 7}
    module = _saved(tmp_path / "m.safetensors", name, kwargs)
    np.savez(tmp_path / "h.npz", weight=np.eye(4, width), normalize=normalize)
    spec = ModelSpec("m", name, tmp_path / "m.safetensors", kwargs, head_file=tmp_path / "h.npz")
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = module.forward_head(module.forward_features(images), pre_logits=not projected)
    np.testing.assert_allclose(LoadedModel(spec, CPU)(images)[0], expected, rtol=1e-5)


def test_a_head_of_another_width_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    np.savez(tmp_path / "h.npz", weight=np.ones((4, 9)))
    with pytest.raises(InputError, match=r"h\.npz has the shape \[4, 9\].*feature \[2, 24\]"):
        LoadedModel(tiny_spec(checkpoint, head_file=tmp_path / "h.npz"), CPU)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"kernel": np.ones((2, 3))}, "it has kernel"),
        ({"weight": np.ones((2, 3)), "scale": np.ones(2)}, "it has scale, weight"),
        ({"weight": np.ones(3)}, r"got weight \[3\]"),
        ({"weight": np.ones((2, 3)), "bias": np.ones(3)}, r"bias \[3\]"),
        ({"weight": np.ones((2, 3)), "normalize": np.ones(2)}, r"normalize \[2\]"),
        ({"weight": np.array([[object()]])}, "plain .npz arrays"),
        ({"weight": np.full((2, 3), np.nan)}, "NaN"),
    ],
)
def test_a_broken_head_is_a_sentence(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "h.npz", **arrays)
    with pytest.raises((InputError, NumericalError), match=message):
        read_head(tmp_path / "h.npz")


def test_published_weights_do_not_get_an_untrained_head() -> None:
    """Timm would drop the trained head in silence."""
    spec = ModelSpec("m", "resnet18.a1_in1k", None, {"num_classes": 7})
    with pytest.raises(InputError, match="leave the head untrained"):
        spec.load_module()
    with pytest.raises(InputError, match="publishes no weights"):
        ModelSpec("m", "coatnet_0_224").load_module()
