"""Checkpoint files are data: every layout gives the same network, and what is none, or would run code, is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from featurestore import InputError
from tests.extract.conftest import tiny_spec
from tests.extract.jax_arrays import augreg_arrays
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path


def _load(path: Path, **overrides: Any) -> LoadedModel:
    return LoadedModel(tiny_spec(path, model_kwargs={**KWARGS, **overrides}), torch.device("cpu"))


def _images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    """One model's weights in every local layout."""
    model = tiny_vit()
    state = model.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pth")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "c.pt")
    np.savez(tmp_path / "d.npz", **augreg_arrays(model, KWARGS))
    return {path.suffix: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".npz"])
def test_every_layout_of_the_same_weights_gives_the_network_s_own_outputs(paths: dict[str, Path], suffix: str) -> None:
    feature, logits = _load(paths[suffix])(_images())
    model = tiny_vit()
    with torch.inference_mode():
        expected = model(_images()).numpy()
        penultimate = model.forward_head(model.forward_features(_images()), pre_logits=True).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    np.testing.assert_allclose(feature, penultimate, atol=1e-6)


def test_arrays_of_another_network_say_what_does_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", **augreg_arrays(tiny_vit(), KWARGS))
    with pytest.raises(InputError, match="a head of 3 classes, and the model has 5"):
        _load(tmp_path / "m.npz", num_classes=5)
    with pytest.raises(InputError, match="is not a checkpoint of"):
        _load(tmp_path / "m.npz", depth=2)


def test_the_usual_faults_come_with_their_remedy(tmp_path: Path) -> None:
    state = tiny_vit().state_dict()
    save_file(tiny_vit(num_classes=5).state_dict(), tmp_path / "five.safetensors")
    with pytest.raises(InputError, match="Its head has 5 classes: give --model-kwargs num_classes=5"):
        tiny_spec(tmp_path / "five.safetensors").load_module()
    save_file(tiny_vit(embed_dim=16, depth=2).state_dict(), tmp_path / "other.safetensors")
    told = "--model-kwargs patch_size=16 --model-kwargs embed_dim=16 --model-kwargs depth=2; how many heads"
    with pytest.raises(InputError, match=f" Its arrays are those of {told}"):
        tiny_spec(tmp_path / "other.safetensors").load_module()
    beside = {**{f"model.{name}": value for name, value in state.items()}, "criterion.weight": torch.ones(3)}
    save_file(beside, tmp_path / "lightning.safetensors")
    with pytest.raises(
        InputError, match=r" Those that are missing are there behind 'model\.': --key-map FILE takes it off"
    ):
        tiny_spec(tmp_path / "lightning.safetensors").load_module()
    own = {
        name.replace("head.", "fc.") if "head" in name else f"backbone.{name}": value for name, value in state.items()
    }
    save_file(own, tmp_path / "own.safetensors")
    with pytest.raises(InputError, match=r"Most of those that are missing are there behind 'backbone\.'"):
        tiny_spec(tmp_path / "own.safetensors").load_module()


SWIN = {"embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "num_classes": 3}


@pytest.mark.parametrize(
    ("architecture", "kwargs", "bare"),
    [(ARCHITECTURE, KWARGS, True), ("swin_tiny_patch4_window7_224", SWIN, False)],
)
def test_no_random_weights_are_drawn_where_the_file_has_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, kwargs: dict[str, Any], bare: bool
) -> None:
    """The parameters are those of a network built whole, in its layout and precision; arrays that it computes itself are kept."""
    module = timm.create_model(architecture, **kwargs)
    state = {name: value.half() for name, value in module.state_dict().items()}
    state["head.bias" if bare else "head.fc.bias"][:] = 1
    torch.save(
        {name: value.t().contiguous().t() if value.ndim == 2 else value for name, value in state.items()},
        tmp_path / "m.pth",
    )
    built: list[str] = []
    create = timm.create_model

    def counted(*arguments: Any, **named: Any) -> Any:
        made = create(*arguments, **named)
        built.append(next(made.parameters()).device.type)
        return made

    monkeypatch.setattr(timm, "create_model", counted)
    spec = ModelSpec("m", architecture, tmp_path / "m.pth", kwargs)
    loaded = spec.load_module()
    assert ("cpu" not in built) is bare
    assert not loaded.training
    kept, expected = dict(loaded.named_parameters()), dict(module.named_parameters())
    assert kept.keys() == expected.keys()
    for name, parameter in kept.items():
        assert (parameter.dtype, parameter.stride()) == (torch.float32, expected[name].stride())
        assert parameter.requires_grad
        assert torch.equal(parameter, state[name].float())
    for name, buffer in loaded.named_buffers():
        assert torch.equal(buffer, dict(module.named_buffers())[name])
