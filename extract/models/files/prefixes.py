"""Prefixes that wrappers around a network put before all names: parallel training, compilation, Lightning, a backbone's owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = TypeVar("Value")
PREFIXES = tuple(
    f"{name}."
    for name in (
        *("module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "model", "_model", "net", "network"),
        *("backbone", "encoder", "base_model", "base", "classifier_model", "image_encoder", "visual.trunk"),
        *("student", "teacher", "ema", "ema_model", "model_ema", "momentum_encoder", "base_encoder"),
    )
)
_COUNTER = "n_averaged"
"""How many weights PyTorch's AveragedModel averaged, which it keeps beside the network."""


def without_prefix(arrays: Mapping[str, Value]) -> tuple[dict[str, Value], str]:
    """Arrays without the known prefixes that all their names share, one within the other, and what was taken off."""
    inner, taken = {name: value for name, value in arrays.items() if name != _COUNTER}, ""
    if not all(name.startswith("module.") for name in inner):
        inner = dict(arrays)
    while inner and (prefix := next((one for one in PREFIXES if all(name.startswith(one) for name in inner)), None)):
        inner = {name.removeprefix(prefix): value for name, value in inner.items()}
        taken += prefix
    return inner, taken
