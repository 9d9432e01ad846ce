"""A local state dict with timm's parameter names, or those of the architecture's authors: safetensors, or PyTorch's own format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.models.sources.architecture import create
from extract.models.sources.checkpoints import load_state, read_state_dict
from extract.models.sources.conversion import convert
from extract.models.sources.source import Weights, WeightsSource
from extract.models.sources.transformers_names import as_timm_names

if TYPE_CHECKING:
    from torch import nn


def _load(weights: Weights) -> nn.Module:
    module, path = create(weights), weights.weights_file
    state = as_timm_names(read_state_dict(path))
    if state.keys() != module.state_dict().keys():
        converted = convert(weights, state, path)
        if converted is not None:
            return converted
    load_state(module, state, path, weights.architecture)
    return module


SOURCE = WeightsSource("state-dict", recognise=lambda _: True, build=create, load=_load)
