"""AugReg `.npz` files: JAX arrays, read by timm's own reader.

The names of the published ones (arXiv 2106.10270) tell architecture, resolution and recipe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import timm

from extract.models.files import ARRAYS, Note, StoredWeights
from extract.models.sources.architecture import create
from extract.models.sources.checkpoints import load_npz, npz_classes, plain_arrays
from extract.models.sources.source import Facts, Weights, WeightsSource
from extract.models.sources.trained_size import trained_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


ARCHITECTURES = {
    "Ti_16": "vit_tiny_patch16",
    "S_32": "vit_small_patch32",
    "S_16": "vit_small_patch16",
    "B_32": "vit_base_patch32",
    "B_16": "vit_base_patch16",
    "B_8": "vit_base_patch8",
    "L_16": "vit_large_patch16",
    "R_Ti_16": "vit_tiny_r_s16_p8",
    "R26_S_32": "vit_small_r26_s32",
    "R50_L_32": "vit_large_r50_s32",
}
DATASETS = {"i1k": "in1k", "i21k": "in21k", "i21k_30": "in21k", "imagenet2012": "in1k"}
_CLASSES = {"in1k": 1_000, "in21k": 21_843}
_CROP = {224: 0.9}
_POSITIONS = "Transformer/posembed_input/pos_embedding"
_TIMM_SIZES = (224, 384)
_NUMBER = r"\d+(?:\.\d+)?"
_NAME = re.compile(
    rf"(?P<architecture>{'|'.join(ARCHITECTURES)})-(?P<pretraining>i1k|i21k_30|i21k)-(?P<epochs>\d+)ep-lr_(?P<lr>{_NUMBER})"
    rf"-aug_(?P<augmentation>none|light[01]|medium[12]|strong[12])-wd_(?P<decay>{_NUMBER})-do_(?P<dropout>{_NUMBER})-sd_(?P<depth>{_NUMBER})"
    rf"(?:--(?P<dataset>\w+(?:-\w+)?)-steps_(?P<steps>[\d_]+k?)-lr_(?P<rate>{_NUMBER})-res_(?P<resolution>\d+))?"
)


@dataclass(frozen=True, slots=True)
class AugReg:
    """What an AugReg name says.

    Attributes:
        architecture: The stem of timm's name, without the resolution.
        resolution: Height and width of the input, in pixels.
        classes: Outputs of the head, if the dataset's name tells.
        recipe: Columns of the `models` table.
    """

    architecture: str
    resolution: int
    classes: int | None
    recipe: dict[str, Any]


def parse_augreg(name: str) -> AugReg | None:
    """Read a file name without its suffix; None if it is no AugReg name.

    >>> parse_augreg("B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0").recipe["pretraining"]
    'in21k'
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    said = match.groupdict()
    trained_last = said["dataset"] or said["pretraining"]
    return AugReg(
        ARCHITECTURES[said["architecture"]],
        int(said["resolution"] or 224),
        _CLASSES.get(DATASETS.get(trained_last, "")),
        {**_pretraining(said), **(_finetuning(said) if said["dataset"] else {})},
    )


def _pretraining(said: dict[str, str]) -> dict[str, Any]:
    return {
        "pretraining": DATASETS[said["pretraining"]],
        "pretrain_epochs": float(said["epochs"]),
        "pretrain_lr": float(said["lr"]),
        "augmentation": said["augmentation"],
        "weight_decay": float(said["decay"]),
        "dropout": float(said["dropout"]),
        "stochastic_depth": float(said["depth"]),
    }


def _finetuning(said: dict[str, str]) -> dict[str, Any]:
    steps = said["steps"].replace("_", "")
    return {
        "finetune_dataset": DATASETS.get(said["dataset"], said["dataset"]),
        "finetune_steps": int(steps[:-1]) * 1_000 if steps.endswith("k") else int(steps),
        "finetune_lr": float(said["rate"]),
    }


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
    size = (3, parsed.resolution, parsed.resolution)
    return Facts(
        architecture, kwargs, {"input_size": size, **preprocess}, "AugReg's, by the file's name", parsed.recipe
    )


def _architecture(parsed: AugReg) -> tuple[str, dict[str, Any]]:
    """The network of that resolution, or that for 224 pixels with an argument."""
    name = f"{parsed.architecture}_{parsed.resolution}"
    if parsed.resolution in _TIMM_SIZES and timm.is_model(name):
        return name, {}
    return f"{parsed.architecture}_224", {"img_size": parsed.resolution}


def _facts(stored: StoredWeights, _: Mapping[str, Any]) -> Facts:
    name = stored.path.stem
    facts = named_facts(name, npz_classes(stored.path)) if parse_augreg(name) else None
    if facts is None:
        return Facts()
    origin = "the file's name, which is AugReg's, tells it, preprocessing and recipe"
    return replace(facts, notes=(Note("architecture", facts.architecture, origin),))


def _told(weights: Weights) -> Facts:
    with plain_arrays(weights.weights_file) as arrays:
        positions = arrays[_POSITIONS].shape if _POSITIONS in arrays.files else None
    return trained_size(weights, {"pos_embed": positions}) if positions else Facts()


def _load(weights: Weights) -> nn.Module:
    module = create(weights)
    load_npz(module, weights.weights_file, weights.architecture)
    return module


SOURCE = WeightsSource(
    "augreg", recognise=lambda stored: stored.kind == ARRAYS, build=create, load=_load, facts=_facts, told=_told
)
