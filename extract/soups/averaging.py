"""Averages of weights, and the files that they are kept in."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from extract.models.files import ARRAYS, read_state_dict
from featurestore.errors import InputError, NumericalError
from featurestore.staging import staged

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from extract.models import ModelSpec

_NOTE = "soup"


@dataclass(frozen=True, slots=True)
class Average:
    """A running average: sums in float64, in which those of many float32 weights are exact or nearly so.

    Attributes:
        sums: By parameter.
        count: Models in it.
        kinds: The parameters' types.
    """

    sums: Mapping[str, Tensor] = field(default_factory=dict)
    count: int = 0
    kinds: Mapping[str, torch.dtype] = field(default_factory=dict)

    def add(self, state: Mapping[str, Tensor], name: str) -> Average:
        """The average with one more model.

        Args:
            state: Its weights by parameter.
            name: What messages call it.

        Raises:
            InputError: Its parameters are not those of the others.
            NumericalError: One of its weights is NaN or infinite.
        """
        broken = next((key for key, value in state.items() if not torch.isfinite(value.double()).all()), None)
        if broken is not None:
            raise NumericalError(f"{name} cannot be averaged: its weight {broken} is NaN or infinite.")
        if not self.count:
            kinds = {key: torch.float32 if value.is_floating_point() else value.dtype for key, value in state.items()}
            return Average({key: value.double() for key, value in state.items()}, 1, kinds)
        odd = next((key for key in self.sums if key not in state or state[key].shape != self.sums[key].shape), None)
        odd = odd or next((key for key in state if key not in self.sums), None)
        if odd is not None:
            raise InputError(f"{name} cannot be averaged with the others: its parameter {odd} is not like theirs.")
        return Average({key: value + state[key] for key, value in self.sums.items()}, self.count + 1, self.kinds)

    def mean(self) -> dict[str, Tensor]:
        """The averaged weights, float32; integers, such as counts of batches, are rounded."""
        means = {key: value / self.count for key, value in self.sums.items()}
        return {
            key: (value if self.kinds[key].is_floating_point else value.round()).to(self.kinds[key]).contiguous()
            for key, value in means.items()
        }


def weights_of(spec: ModelSpec) -> dict[str, Tensor]:
    """A model's weights by the names that its source reads; those of AugReg and of timm's hub by timm's names."""
    if spec.checkpoint is not None and spec.stored.kind != ARRAYS:
        return read_state_dict(spec.stored)
    return dict(spec.load_module().state_dict())


def write_soup(file: Path, weights: dict[str, Tensor], note: str) -> None:
    """Write a soup's file, whole or not at all.

    Args:
        file: A `.safetensors` file.
        weights: By parameter.
        note: What the file says of itself.

    Raises:
        InputError: It cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with staged(file.parent) as part:
            save_file(weights, part, metadata={_NOTE: note})
            part.replace(file)
    except (OSError, SafetensorError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise InputError(f"Cannot write the soup {file}: {reason}.") from error


def read_note(file: Path) -> str | None:
    """What a soup's file says of itself; None if it is no soup."""
    try:
        with safe_open(file, framework="pt") as opened:
            note = (opened.metadata() or {}).get(_NOTE)
    except (SafetensorError, OSError):
        return None
    return None if note is None else str(note)
