"""A local state dict with timm's parameter names, or those of the architecture's authors: safetensors, or PyTorch's own format."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import timm
import torch

from extract.models.files import (
    HubConfig,
    Note,
    StoredWeights,
    config_beside,
    outline,
    read_shapes,
    read_state_dict,
)
from extract.models.sources.architecture import create, is_known
from extract.models.sources.checkpoints import load_state
from extract.models.sources.conversion import convert
from extract.models.sources.source import Facts, Weights, WeightsSource
from extract.models.sources.transformers_names import as_timm_names, timm_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

_HEAD = re.compile(r"(^|\.)(head|heads|fc|classifier|last_linear)\.")
_TEST_TIME = ("test_input_size", "test_crop_pct")
_PREPROCESS = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std", *_TEST_TIME)


def _load(weights: Weights) -> nn.Module:
    path = weights.weights_file
    state = as_timm_names(read_state_dict(weights.stored))
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
    theirs = read_shapes(weights.stored).keys()
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


def _facts(stored: StoredWeights, _: Mapping[str, Any]) -> Facts:
    """What a `config.json` in timm's layout beside the file says, or the name that timm's trainer puts into it."""
    config = config_beside(stored.path)
    if config is not None and is_known(config.architecture):
        return _configured(config)
    said = outline(stored).architecture
    if not said or not is_known(said):
        return Facts()
    return Facts(said, notes=(Note("architecture", said, "arch in the file; --architecture takes another"),))


def _configured(config: HubConfig) -> Facts:
    usual = timm.get_pretrained_cfg(config.architecture)
    kwargs, classes = dict(config.model_args), config.num_classes
    if classes is not None and classes != getattr(usual, "num_classes", None):
        kwargs["num_classes"] = classes
    said = ", ".join([config.architecture, *(f"{name}={value}" for name, value in sorted(kwargs.items()))])
    note = Note("architecture", said, f"{config.path.name} beside the weights; --architecture takes another")
    return Facts(config.architecture, kwargs, _preprocess(config), notes=(note,))


def _preprocess(config: HubConfig) -> dict[str, Any]:
    """The preprocessing that was written with the weights; nothing of timm's published variant is mixed into it."""
    cfg = config.pretrained_cfg
    found = {
        name: tuple(cfg[name]) if isinstance(cfg[name], list) else cfg[name] for name in _PREPROCESS if cfg.get(name)
    }
    return {**dict.fromkeys(_TEST_TIME), **found} if "input_size" in found else found


SOURCE = WeightsSource("state-dict", recognise=lambda _: True, build=create, load=_load, facts=_facts, told=_told)
