"""A local state dict with timm's parameter names: safetensors, or PyTorch's own format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.checkpoints import load_state, read_state_dict
from extract.sources.base import Source
from extract.sources.networks import create

if TYPE_CHECKING:
    from torch import nn

    from extract.models import ModelSpec


def _load(spec: ModelSpec) -> nn.Module:
    module = create(spec)
    path = spec.weights_file
    load_state(module, read_state_dict(path), path, spec.architecture)
    return module


SOURCE = Source("state-dict", recognise=lambda _: True, build=create, load=_load)
