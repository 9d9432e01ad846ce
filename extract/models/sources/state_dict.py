"""A local state dict with timm's parameter names, or those of the architecture's authors: safetensors, or PyTorch's own format."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import timm
import torch

from extract.images.preprocess_files import BESIDE, of_arguments, of_timm, read_preprocess
from extract.models.files import (
    HubConfig,
    Note,
    StoredWeights,
    config_beside,
    outline,
    read_shapes,
    read_state_dict,
)
from extract.models.sources.architecture import create, is_known, to_be_loaded, without_values
from extract.models.sources.checkpoints import load_state
from extract.models.sources.conversion import TRUNK, convert
from extract.models.sources.source import Facts, Weights, WeightsSource
from extract.models.sources.trained_size import trained_size
from extract.models.sources.transformers_names import as_timm_names, timm_names
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

_HEAD = re.compile(r"(^|\.)(head|heads|fc|classifier|last_linear)\.")


def _load(weights: Weights) -> nn.Module:
    path = weights.weights_file
    state = as_timm_names(read_state_dict(weights.stored))
    with without_values():
        skeleton = create(weights)
    faults = state.keys() ^ skeleton.state_dict().keys()
    if faults:
        converted = convert(weights, state, path, len(faults))
        if converted is not None:
            return converted
    module = to_be_loaded(skeleton, weights)
    load_state(module, state, path, weights.architecture)
    return module


def _told(weights: Weights) -> Facts:
    """Whose names a file has, of how many classes its head is, and whether it holds one at all."""
    file = weights.weights_file
    shapes = read_shapes(weights.stored)
    theirs, names = shapes.keys(), timm_names(shapes)
    with without_values():
        module: Any = create(weights)
    own = module.state_dict().keys()
    classifier = module.pretrained_cfg.get("classifier") or ()
    heads = tuple(f"{name}." for name in ([classifier] if isinstance(classifier, str) else classifier))
    of_head = {name for name in own - names if name.startswith(heads)}
    renamed = _renamed(shapes)
    notes = []
    if names != theirs:
        notes.append(Note("layout", "names of Hugging Face's transformers", file.name))
    elif names - own:
        notes.append(
            Note("layout", f"other names than timm's, converted by timm for {weights.architecture}", file.name)
        )
    size = trained_size(weights, renamed)
    notes += size.notes
    if not module.num_classes or "num_classes" in weights.model_kwargs:
        return replace(size, notes=tuple(notes))
    rows = {renamed[name][0] for name in own & renamed.keys() if name.startswith(heads) and renamed[name]}
    if len(rows) == 1 and rows != {module.num_classes}:
        (classes,) = rows
        notes.append(Note("head", f"of {classes:,} classes, as num_classes={classes}", f"its arrays in {file.name}"))
        return replace(size, model_kwargs={**size.model_kwargs, "num_classes": classes}, notes=tuple(notes))
    # In other names than timm's, a head may have another name too.
    headless = of_head and (own - names == of_head or not any(map(_HEAD.search, names)))
    if not headless:
        return replace(size, notes=tuple(notes))
    origin = f"{file.name} holds no array of a head; give one with --head"
    kwargs = {**size.model_kwargs, "num_classes": 0}
    return replace(size, model_kwargs=kwargs, notes=(*notes, Note("head", "none, as num_classes=0", origin)))


def _renamed(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes by timm's names, of an image tower beside others its own."""
    tower = {name.removeprefix(TRUNK): shape for name, shape in shapes.items() if name.startswith(TRUNK)} or shapes
    arrays = {name: torch.empty(shape, device="meta") for name, shape in tower.items()}
    return {name: tuple(array.shape) for name, array in as_timm_names(arrays).items()}


def _facts(stored: StoredWeights, _: Mapping[str, Any]) -> Facts:
    """What a `config.json` in timm's layout beside the file says, or what the trainer puts into it, and transformers beside it."""
    config = config_beside(stored.path)
    if config is not None and is_known(config.architecture):
        return _configured(config)
    said, facts = outline(stored), _prepared(stored)
    if not said.architecture or not is_known(said.architecture):
        return facts
    note = Note("architecture", said.architecture, "arch in the file; --architecture takes another")
    return replace(facts, architecture=said.architecture, notes=(note, *facts.notes))


def _prepared(stored: StoredWeights) -> Facts:
    """The preprocessing that transformers' file beside the weights says, or the arguments that a trainer was given."""
    beside = stored.path.parent / BESIDE
    if beside.is_file():
        try:
            return Facts(preprocess=read_preprocess(beside), preprocess_origin=f"{BESIDE} beside the weights")
        except InputError as error:
            return Facts(notes=(Note(BESIDE, "not followed", str(error).rstrip(".")),))
    found, refused = of_arguments(outline(stored).arguments, f"args in {stored.path.name}")
    notes = tuple(
        Note(field, "not taken from args in the file", reason.rstrip(".")) for field, reason in refused.items()
    )
    return Facts(preprocess=found, preprocess_origin="args in the file, as its trainer was given them", notes=notes)


def _configured(config: HubConfig) -> Facts:
    usual = timm.get_pretrained_cfg(config.architecture)
    kwargs, classes = dict(config.model_args), config.num_classes
    if classes is not None and classes != getattr(usual, "num_classes", None):
        kwargs["num_classes"] = classes
    said = ", ".join([config.architecture, *(f"{name}={value}" for name, value in sorted(kwargs.items()))])
    note = Note("architecture", said, f"{config.path.name} beside the weights; --architecture takes another")
    prepared = of_timm(config.pretrained_cfg, str(config.path))
    return Facts(config.architecture, kwargs, prepared, f"{config.path.name} beside the weights", notes=(note,))


SOURCE = WeightsSource("state-dict", recognise=lambda _: True, build=create, load=_load, facts=_facts, told=_told)
