"""A local state dict with timm's parameter names: safetensors, or PyTorch's own format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.models.sources.architecture import create
from extract.models.sources.checkpoints import load_state, read_state_dict
from extract.models.sources.source import Weights, WeightsSource

if TYPE_CHECKING:
    from torch import nn


def _load(weights: Weights) -> nn.Module:
    module = create(weights)
    path = weights.weights_file
    load_state(module, read_state_dict(path), path, weights.architecture)
    return module


SOURCE = WeightsSource("state-dict", recognise=lambda _: True, build=create, load=_load)
