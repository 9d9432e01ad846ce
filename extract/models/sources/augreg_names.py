"""The names of AugReg checkpoints (arXiv 2106.10270), which spell out how the model was trained."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

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
