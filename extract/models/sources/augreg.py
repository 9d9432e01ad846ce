"""AugReg `.npz` files: JAX arrays, read by timm's own reader; their names tell architecture, resolution and recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm

from extract.models.checkpoints import load_npz, npz_classes
from extract.models.sources.architecture import create
from extract.models.sources.augreg_names import parse_augreg
from extract.models.sources.source import Facts, Source

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from extract.models.sources.augreg_names import AugReg
    from extract.models.spec import ModelSpec

_CROP = {224: 0.9}
_TIMM_SIZES = (224, 384)


def named_facts(name: str, classes: int | None = None) -> Facts | None:
    """What an AugReg name tells; None if it is no such name.

    Args:
        name: The file's name without its suffix.
        classes: Outputs of the head, where the file was looked at; else those of the dataset that it was trained on last.
    """
    parsed = parse_augreg(name)
    if parsed is None:
        return None
    architecture, kwargs = _architecture(parsed)
    outputs = classes or parsed.classes
    if outputs and outputs != timm.get_pretrained_cfg(architecture).num_classes:
        kwargs["num_classes"] = outputs
    half, crop = (0.5, 0.5, 0.5), _CROP.get(parsed.resolution, 1.0)
    preprocess = {"mean": half, "std": half, "crop_pct": crop, "interpolation": "bicubic"}
    return Facts(architecture, kwargs, preprocess, parsed.recipe)


def _architecture(parsed: AugReg) -> tuple[str, dict[str, Any]]:
    """The network of that resolution, or that for 224 pixels with an argument."""
    name = f"{parsed.architecture}_{parsed.resolution}"
    if parsed.resolution in _TIMM_SIZES and timm.is_model(name):
        return name, {}
    return f"{parsed.architecture}_224", {"img_size": parsed.resolution}


def _facts(path: Path) -> Facts:
    if parse_augreg(path.stem) is None:
        return Facts()
    return named_facts(path.stem, npz_classes(path)) or Facts()


def _load(spec: ModelSpec) -> nn.Module:
    module = create(spec)
    load_npz(module, spec.weights_file, spec.architecture)
    return module


SOURCE = Source("augreg", recognise=lambda path: path.suffix.lower() == ".npz", build=create, load=_load, facts=_facts)
