"""Plain checkpoints of many architectures: feature and logits are timm's own, or the network is refused with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from extract.models.devices import layout_of
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from featurestore import InputError
from tests.extract.networks import CLASSES, LOADED, REFUSED, save_state, trained

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


def _spec(file: Path, architecture: str, kwargs: dict[str, Any]) -> ModelSpec:
    return ModelSpec("m", architecture, file, {"num_classes": CLASSES, **kwargs})


def _assert_close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.abs(theirs).max())


@pytest.mark.parametrize("architecture", LOADED)
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
    _assert_close(feature @ model.head.weight.T + model.head.bias, logits)


@pytest.mark.parametrize("architecture", REFUSED)
def test_what_has_no_linear_head_is_refused(tmp_path: Path, architecture: str) -> None:
    kwargs, reason = REFUSED[architecture]
    file = save_state(tmp_path / "m.safetensors", trained(architecture, kwargs).state_dict())
    with pytest.raises(InputError, match=reason):
        LoadedModel(_spec(file, architecture, kwargs), CPU)


def test_the_list_is_long_enough() -> None:
    assert len(LOADED) + len(REFUSED) >= 46
