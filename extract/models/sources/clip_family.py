"""Whose CLIP a checkpoint is: QuickGELU or GELU, which no name of an array tells, by what the file, its config or the user says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extract.images.preprocess_files import of_open_clip
from extract.models.files import Note
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

CONFIG = "open_clip_config.json"
OPENAI, UNKNOWN = "clip-openai", "unknown"
_FIELDS = ("input_resolution", "context_length", "vocab_size")
"""What OpenAI's own archives hold, and no file of open_clip does."""


@dataclass(frozen=True, slots=True)
class ClipFamily:
    """What is known of a CLIP tower's training.

    Attributes:
        quick_gelu: Whether its activations are QuickGELU; None where nothing says.
        origin: What says it.
        openai: Whether its weights are known to come from OpenAI's.
        preprocess: Entries of timm's preprocessing, of a config beside the file.
    """

    quick_gelu: bool | None = None
    origin: str = ""
    openai: bool = False
    preprocess: Mapping[str, Any] | None = None

    @property
    def activation(self) -> str:
        """The activation in words."""
        return "QuickGELU" if self.quick_gelu else "GELU"


def clip_family(path: Path, names: Collection[str], recipe: Mapping[str, Any]) -> ClipFamily:
    """What a file, an open_clip config beside it, or a stated `pretraining` says of a CLIP tower.

    Args:
        path: The file.
        names: Names of its arrays.
        recipe: What the user says of its training.

    Raises:
        InputError: The config beside the file cannot be read.
    """
    config = path.parent / CONFIG
    if any(name.rpartition(".")[2] in _FIELDS for name in names):
        return ClipFamily(True, f"{path.name} has the fields of OpenAI's own archives", openai=True)
    if config.is_file():
        return _of_config(config)
    if recipe.get("pretraining") == OPENAI:
        return ClipFamily(True, f"pretraining is stated as {OPENAI}", openai=True)
    return ClipFamily()


def check_activation(path: Path, architecture: str, model_kwargs: Mapping[str, Any], family: ClipFamily) -> None:
    """Raise if a stated architecture has another activation than the weights are known to have.

    Raises:
        InputError: It has; the message names the architecture to state.
    """
    quick = "quickgelu" in architecture
    if family.quick_gelu is None or "act_layer" in model_kwargs or quick == family.quick_gelu:
        return
    right = architecture.replace("_quickgelu", "") if quick else architecture.replace("_clip_", "_clip_quickgelu_")
    raise InputError(
        f"{path} belongs to a network with {family.activation} ({family.origin}), which {architecture} has not: "
        f"state --architecture {right}, or insist with --model-kwargs act_layer=…."
    )


def undecided(path: Path, architectures: Collection[str]) -> str:
    """What is said where nothing tells the activation."""
    return (
        f"{path} has OpenAI CLIP's names, which do not tell whether its activations are QuickGELU (weights of OpenAI, and "
        f"finetunes of them) or GELU (most of open_clip): state --architecture {' or '.join(architectures)}, or "
        f"pretraining={OPENAI} in a pool, or put {CONFIG} beside it."
    )


def pretraining_note(path: Path, family: ClipFamily, recipe: Mapping[str, Any]) -> tuple[Note, ...]:
    """That `pretraining` is unknown, where it is; or what tells it."""
    if "pretraining" in recipe:
        return ()
    if family.openai:
        return (Note("pretraining", OPENAI, family.origin),)
    origin = f"{path.name} does not say; state it in a pool's column, as pretraining=clip-laion2b"
    return (Note("pretraining", UNKNOWN, origin),)


def _of_config(config: Path) -> ClipFamily:
    try:
        said = json.loads(config.read_text(encoding="utf-8"))
        quick = bool(said["model_cfg"].get("quick_gelu", False))
        preprocess = of_open_clip({"preprocess_cfg": {}, **said}, str(config))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"Cannot read {config} as the config of an open_clip model: it has no model_cfg.") from error
    return ClipFamily(quick, f"{config.name} beside it", preprocess=preprocess)
