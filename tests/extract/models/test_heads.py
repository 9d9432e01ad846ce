"""Penultimate feature and head are found in any architecture, or taken from a file; the head explains the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from extract.models.heads import read_head
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from featurestore import InputError, NumericalError
from tests.extract.conftest import tiny_spec
from tests.extract.networks import VIT, save_state, trained
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


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
    name, kwargs = "vit_base_patch16_clip_224", {**VIT, "num_classes": 7}
    module = trained(name, kwargs)
    module.head.bias.data[:] = 0  # as timm's are
    save_state(tmp_path / "m.safetensors", module.state_dict())
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


def test_a_head_as_wide_as_the_classifier_is_not_put_behind_it(tmp_path: Path) -> None:
    """So is one that is transposed, of as many classes as the network's own."""
    module = tiny_vit(num_classes=3)
    module.head.bias.data[:] = 0.1
    save_file(module.state_dict(), tmp_path / "m.safetensors")
    np.savez(tmp_path / "h.npz", weight=np.ones((24, 3)))
    with pytest.raises(
        InputError, match="takes 3 numbers, which is what vit_tiny_patch16_224's own classifier puts out"
    ):
        LoadedModel(tiny_spec(tmp_path / "m.safetensors", head_file=tmp_path / "h.npz"), CPU)


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
        ({"weight": np.ones((2, 3), bool)}, "expected arrays of floating-point numbers, and weight is bool"),
        ({"weight": np.ones((2, 3), np.complex64)}, "and weight is complex64"),
        ({"weight": np.ones((2, 3), np.int64)}, "and weight is int64"),
        ({"weight": np.ones((2, 3)), "normalize": "False"}, "normalize is true or false, not .*'False'"),
        ({"weight": np.ones((2, 3)), "normalize": "false"}, "normalize is true or false, not .*'false'"),
        ({"weight": np.ones((2, 3)), "normalize": 2}, "normalize is true or false, not .*2"),
        ({"weight": np.ones((2, 3)), "temperature": 0}, "temperature is one positive number, not 0"),
        (
            {"weight": np.ones((2, 3)), "temperature": [1.0, 2.0]},
            r"temperature is one positive number, not \[1.0, 2.0\]",
        ),
        ({"weight": np.ones((2, 3)), "temperature": "cold"}, "temperature is one positive number, not cold"),
        ({"weight": np.ones((2, 3)), "negatives": np.ones((4, 2))}, r"of the 3 numbers that weight has; got \[4, 2\]"),
        ({"weight": np.ones((2, 3)), "negatives": np.ones((0, 3))}, r"one text or more.* got \[0, 3\]"),
        ({"weight": np.ones((2, 3)), "negatives": np.full((4, 3), np.inf)}, "NaN or infinite"),
    ],
)
def test_a_broken_head_is_a_sentence(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "h.npz", **arrays)
    with pytest.raises((InputError, NumericalError), match=message):
        read_head(tmp_path / "h.npz")


def test_a_temperature_divides_weight_and_bias_and_not_negatives(tmp_path: Path) -> None:
    """Logits are those of embeddings of texts at that temperature."""
    arrays = {
        name: np.random.default_rng(0).normal(size=shape) for name, shape in (("weight", (2, 3)), ("negatives", (5, 3)))
    }
    np.savez(tmp_path / "h.npz", **arrays, bias=[1.0, 2.0], temperature=np.float32(0.01), normalize=True)
    head = read_head(tmp_path / "h.npz")
    np.testing.assert_allclose(head.weight, 100 * arrays["weight"], rtol=1e-6)
    np.testing.assert_allclose(head.bias, [100, 200], rtol=1e-6)
    np.testing.assert_allclose(head.negatives, arrays["negatives"], rtol=1e-6)


def test_published_weights_do_not_get_an_untrained_head() -> None:
    """Timm would drop the trained head in silence."""
    spec = ModelSpec("m", "resnet18.a1_in1k", None, {"num_classes": 7})
    with pytest.raises(InputError, match="leave the head untrained"):
        spec.load_module()
    with pytest.raises(InputError, match="publishes no weights"):
        ModelSpec("m", "coatnet_0_224").load_module()
