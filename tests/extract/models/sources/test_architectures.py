"""Checkpoints of many architectures, plain or as trainers write them: feature and logits are timm's own, or the network is refused
with the reason. Layouts of the architectures' authors are in `test_conversion`."""

from __future__ import annotations

import argparse
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from extract.models.devices import layout_of
from extract.models.files import StoredWeights, read_state_dict
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from featurestore import InputError
from tests.extract.networks import CLASSES, LOADED, REFUSED, save_state, trained
from tests.long import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

CPU = torch.device("cpu")


def _spec(file: Path, architecture: str, kwargs: dict[str, Any]) -> ModelSpec:
    return ModelSpec("m", architecture, file, {"num_classes": CLASSES, **kwargs})


def _assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("architecture", shortened(LOADED, to=20))
def test_feature_and_logits_are_timm_s(tmp_path: Path, architecture: str) -> None:
    module = trained(architecture, LOADED[architecture])
    file = save_state(tmp_path / "m.safetensors", module.state_dict())
    model = LoadedModel(_spec(file, architecture, LOADED[architecture]), CPU)
    images = torch.randn(1, *model.spec.preprocessing["input_size"], generator=torch.Generator().manual_seed(1))
    feature, logits = model(images)
    with torch.inference_mode():
        images = images.contiguous(memory_format=layout_of(module))
        tokens = module.forward_features(images)
        _assert_close(feature, module.forward_head(tokens, pre_logits=True).numpy())
        _assert_close(logits, module(images).numpy())
    weight = model.head.weight.astype(float)
    explained = feature.astype(float) @ weight.T + model.head.bias
    terms = (np.abs(feature) @ np.abs(weight).T).max()  # what the network's own sum in float32 rounds
    np.testing.assert_allclose(explained, logits, rtol=0, atol=1e-6 * terms)


@pytest.mark.parametrize("architecture", REFUSED)
def test_what_has_no_linear_head_is_refused(tmp_path: Path, architecture: str) -> None:
    kwargs, reason = REFUSED[architecture]
    file = save_state(tmp_path / "m.safetensors", trained(architecture, kwargs).state_dict())
    with pytest.raises(InputError, match=reason):
        LoadedModel(_spec(file, architecture, kwargs), CPU)


def _by_timm_s_trainer(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Weights as trained, which are others, and their average, of a compiled network on several devices."""
    raw = {f"module.{name}": torch.zeros((), dtype=value.dtype).expand(value.shape) for name, value in state.items()}
    averaged = {f"module._orig_mod.{name}": value for name, value in state.items()}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}
    beside = {"epoch": 3, "args": argparse.Namespace(lr=0.1), "optimizer": optimizer, "metric": 0.5}
    return {**beside, "state_dict": raw, "state_dict_ema": averaged}


def _by_lightning(state: Mapping[str, Tensor]) -> dict[str, Any]:
    beside = {"epoch": 3, "hyper_parameters": {"lr": 0.1}, "pytorch-lightning_version": "2.5.0", "callbacks": {}}
    return {**beside, "state_dict": {f"model.{name}": value for name, value in state.items()}}


_ALL = [*LOADED, *REFUSED]


@pytest.mark.parametrize(
    ("architecture", "write"),
    shortened(zip(_ALL, itertools.cycle([_by_timm_s_trainer, _by_lightning]), strict=False), to=20),
)
def test_wrappers_and_prefixes_of_trainers_change_nothing(
    tmp_path: Path, architecture: str, write: Callable[[Mapping[str, Tensor]], dict[str, Any]]
) -> None:
    """What is read is what was written, under the network's own names: then all else is as of a plain file."""
    kwargs = LOADED[architecture] if architecture in LOADED else REFUSED[architecture][0]
    state = trained(architecture, kwargs).state_dict()
    torch.save(write(state), tmp_path / "m.pth")
    found = read_state_dict(StoredWeights(tmp_path / "m.pth"))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_the_list_is_long_enough() -> None:
    assert len(LOADED) + len(REFUSED) >= 46
