"""A local state dict with timm's parameter names, or those of the architecture's authors: safetensors, or PyTorch's own format."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch

from extract.models.sources.architecture import create
from extract.models.sources.checkpoints import load_state, read_shapes, read_state_dict
from extract.models.sources.conversion import convert
from extract.models.sources.source import Facts, Note, Weights, WeightsSource
from extract.models.sources.transformers_names import as_timm_names, timm_names

if TYPE_CHECKING:
    from torch import nn

_HEAD = re.compile(r"(^|\.)(head|heads|fc|classifier|last_linear)\.")


def _load(weights: Weights) -> nn.Module:
    path = weights.weights_file
    state = as_timm_names(read_state_dict(path))
    with torch.device("meta"):
        faults = state.keys() ^ create(weights).state_dict().keys()
    if faults:
        converted = convert(weights, state, path, len(faults))
        if converted is not None:
            return converted
    module = create(weights)
    load_state(module, state, path, weights.architecture)
    return module


def _told(weights: Weights) -> Facts:
    """Whose names a file has, and whether it holds a head at all."""
    file = weights.weights_file
    theirs = read_shapes(file).keys()
    names = timm_names(theirs)
    with torch.device("meta"):
        module: Any = create(weights)
    own = module.state_dict().keys()
    classifier = module.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{name}." for name in ([classifier] if isinstance(classifier, str) else classifier))
    of_head = {name for name in own - names if name.startswith(heads)}
    notes = []
    if names != theirs:
        notes.append(Note("layout", "names of Hugging Face's transformers", file.name))
    elif (own ^ names) - of_head:
        notes.append(
            Note("layout", f"other names than timm's, converted by timm for {weights.architecture}", file.name)
        )
    # In other names than timm's, a head may have another name too.
    headless = of_head and (own - names == of_head or not any(map(_HEAD.search, names)))
    if not headless or not module.num_classes or "num_classes" in weights.model_kwargs:
        return Facts(notes=tuple(notes))
    origin = f"{file.name} holds no array of a head; give one with --head"
    return Facts(model_kwargs={"num_classes": 0}, notes=(*notes, Note("head", "none, as num_classes=0", origin)))


SOURCE = WeightsSource("state-dict", recognise=lambda _: True, build=create, load=_load, told=_told)
