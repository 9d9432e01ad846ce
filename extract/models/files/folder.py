"""Folders that hold a checkpoint, and what lies beside one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from extract.models.files.content import kind_of, shards_of, weight_map
from extract.models.files.note import Note
from featurestore.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".npz", ".pkl")
_CONFIG = "config.json"
_INDEX = ".index.json"
_NO_WEIGHTS = re.compile(
    r"(optimizer|scheduler|scaler|training_args|rng_state.*|optim.*)\.(pt|pth|bin|pkl)", re.IGNORECASE
)
_PAIR = ("model.safetensors", "pytorch_model.bin")
"""What libraries write and read in this order, one model in two formats."""
_LISTED = 8


@dataclass(frozen=True, slots=True)
class HubConfig:
    """What timm writes beside weights, as `config.json`.

    Attributes:
        path: The file.
        architecture: timm's name.
        num_classes: Outputs of the head; None if it does not say.
        model_args: Arguments of the architecture.
        pretrained_cfg: The rest, with the preprocessing under timm's names.
    """

    path: Path
    architecture: str
    num_classes: int | None = None
    model_args: Mapping[str, Any] = field(default_factory=dict)
    pretrained_cfg: Mapping[str, Any] = field(default_factory=dict)


def checkpoint_in(folder: Path) -> tuple[Path, Note]:
    """The one checkpoint of a folder: a file, or the index of several.

    Raises:
        InputError: It holds none, or more than one; the message lists them.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise InputError(f"Cannot read the folder {folder}: {first_line(error)}.") from error
    indices = [file for file in files if file.name.endswith(_INDEX) and weight_map(file) is not None]
    parts = {shard for index in indices for shard in shards_of(index)}
    named = [file for file in files if file.name.lower().endswith(SUFFIXES) and file not in parts]
    others = [file.name for file in named if _NO_WEIGHTS.fullmatch(file.name)]
    found = [*indices, *(file for file in named if file.name not in others)] or [f for f in files if _is_checkpoint(f)]
    if not found:
        raise InputError(
            f"The folder {folder} holds no checkpoint: expected one file that ends in {', '.join(SUFFIXES)}."
        )
    names = [file.name.removesuffix(_INDEX) for file in found]
    if len(found) > 1 and sorted(names) != sorted(_PAIR):
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        listed = ", ".join(file.name for file in found[:_LISTED])
        raise InputError(f"The folder {folder} holds {len(found)} checkpoints: {listed}{more}. Name one of them.")
    taken = found[names.index(_PAIR[0])] if len(found) > 1 else found[0]
    passed = [*(file.name for file in found if file != taken), *others]
    beside = f"; beside it {'lies' if len(passed) == 1 else 'lie'} {', '.join(passed)}" if passed else ""
    return taken, Note("file", taken.name, f"the checkpoint of the folder {folder}{beside}")


def _is_checkpoint(file: Path) -> bool:
    try:
        return bool(kind_of(file))
    except InputError:
        return False


def config_beside(checkpoint: Path) -> HubConfig | None:
    """What a `config.json` in timm's layout beside a checkpoint says; None if there is none, or it has another layout.

    Raises:
        InputError: It is no JSON file.
    """
    path = checkpoint.parent / _CONFIG
    if not path.is_file():
        return None
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} beside the checkpoint is not JSON: {first_line(error)}.") from error
    if not isinstance(said, dict) or not isinstance(said.get("architecture"), str):
        return None
    inner = said.get("pretrained_cfg")
    cfg = inner if isinstance(inner, dict) else said
    classes = said.get("num_classes", cfg.get("num_classes"))
    args = said.get("model_args")
    return HubConfig(
        path,
        said["architecture"],
        classes if isinstance(classes, int) else None,
        args if isinstance(args, dict) else {},
        cfg,
    )
