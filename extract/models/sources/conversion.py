"""Checkpoints in the layout of an architecture's authors: timm's own conversion of them, watched for what it drops or resizes."""

from __future__ import annotations

import contextlib
import io
import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from extract.models.sources.architecture import create
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from extract.models.sources.source import Weights

_COMPUTED = (
    r"relative_position_index|relative_coords_table|attn_mask|attention_bias_idxs|periods|bias_mask|freqs_cos|freqs_sin"
)
_PRETRAINING = r"mask_token"
_HARMLESS = re.compile(rf"(^|.*\.)({_COMPUTED}|{_PRETRAINING})$")
"""Arrays that networks compute themselves, and what only pretraining masks with."""
_IMAGE_TOWER = "visual."
TRUNK = f"{_IMAGE_TOWER}trunk."
_LISTED = 4
_NAMED = re.compile(r'"([^"]+)"|size mismatch for (\S+):')
_FAULTS = (InputError, KeyError, TypeError, AttributeError, ValueError, IndexError, AssertionError)
"""What timm's conversions raise of names and shapes that they do not expect."""


def convert(weights: Weights, state: Mapping[str, Tensor], path: Path, faults: int) -> nn.Module | None:
    """The network with weights of its authors' layout; None if timm has no conversion that makes more names fit.

    timm's conversions drop what they do not know, and resize what does not fit. So the conversion runs once more on arrays
    that are filled with a number each, which shows where every one of them went.

    Args:
        weights: The network.
        state: Arrays of the file by name.
        path: What messages call the file.
        faults: How many names do not fit as they are.

    Raises:
        InputError: An array would be resized or not be used, or some are missing.
    """
    try:
        module = _by_timm(weights, state)
    except RuntimeError as error:
        named = [found or reshaped for found, reshaped in _NAMED.findall(str(error))]
        if not 0 < len(named) < faults:
            return None
        raise InputError(
            f"{path} is not a checkpoint of {weights.architecture} with these --model-kwargs, after timm's conversion of its "
            f"layout. Missing, not used, or of another shape: {_some(named)}."
        ) from error
    if module is None:
        return None
    marks = torch.rand(len(state), generator=torch.Generator().manual_seed(0)) + 1
    traced = _by_timm(weights, {name: _filled(value, n, marks[n]) for n, (name, value) in enumerate(state.items())})
    if traced is not None:
        _check_moves(weights, state, marks, traced, path)
    return module


def _by_timm(weights: Weights, state: Mapping[str, Tensor]) -> nn.Module | None:
    """The network with an array of the state in every place; None if timm's conversion does not know the layout.

    Raises:
        RuntimeError: Arrays are missing, or are left over; it names them.
    """
    given = dict(state)
    if any(name.startswith("trunk.") for name in given):
        given = {_IMAGE_TOWER + name: value for name, value in given.items()}
    # Some conversions remark on single arrays by print.
    with contextlib.suppress(*_FAULTS), contextlib.redirect_stdout(io.StringIO()), _NoInit():
        return create(weights, given=given)
    return None


def _filled(value: Tensor, number: int, mark: Tensor) -> Tensor:
    return (mark if value.is_floating_point() else torch.tensor(number + 1)).expand(value.shape)


def _check_moves(weights: Weights, state: Mapping[str, Tensor], marks: Tensor, traced: nn.Module, path: Path) -> None:
    """Require that each array went into the network whole and unchanged, or is known to be needless."""
    found = torch.zeros(len(state), dtype=torch.int64)
    order = marks.argsort()
    changed = []
    for name, value in traced.state_dict().items():
        if not value.is_floating_point():
            continue
        values, size = _by_rows(value.detach())
        place = order[torch.searchsorted(marks[order], values).clamp(max=len(marks) - 1)]
        known = marks[place] == values
        found += torch.bincount(place[known], minlength=len(marks)) * size
        made = not values.any()  # a bias of zeros, where the layout has none
        if not known.all() and not made and not ("register_tokens" in state and name == "cls_token"):
            changed.append(name)
    unused = []
    for count, (name, value) in zip(found.tolist(), state.items(), strict=True):
        if count == value.numel() or not value.is_floating_point() or _is_part_of_class_token(name, count, state):
            continue
        if count:
            changed.append(name)
        elif not _HARMLESS.match(name) and not _is_of_other_tower(name, state):
            unused.append(name)
    if changed:
        raise InputError(
            f"{path} does not fit {weights.architecture} with these --model-kwargs: timm would resize {_some([*dict.fromkeys(changed)])}, and features "
            "would be others than those it was trained for. State the size that it was trained at, as --model-kwargs img_size=N."
        )
    if unused:
        raise InputError(
            f"{path} holds what {weights.architecture} with these --model-kwargs does not use: {_some(unused)}. "
            "State the network that it belongs to, or save the file without it."
        )


def _by_rows(value: Tensor) -> tuple[Tensor, int]:
    """What tells which numbers an array holds: one element of each row where rows are constant, as mostly; and how many each stands for."""
    rows = value.reshape(len(value), -1) if value.ndim else value.reshape(1, 1)
    constant = value.numel() and bool((rows == rows[:, :1]).all())
    return (rows[:, 0].contiguous(), rows.shape[1]) if constant else (rows.flatten(), 1)


class _NoInit(TorchFunctionMode):
    """Leaves out random numbers of parameters, all of which are loaded: they take longer than all else of a large network."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return args[0] if func in _RANDOM else func(*args, **(kwargs or {}))


_RANDOM = {Tensor.uniform_, Tensor.normal_, Tensor.erfinv_}


def _is_part_of_class_token(name: str, count: int, state: Mapping[str, Tensor]) -> bool:
    """Of DINOv2 with registers, the position of the class token is added to it once and for all."""
    if "register_tokens" not in state:
        return False
    value = state[name]
    return name == "cls_token" or (name == "pos_embed" and count == value.numel() - value.shape[-1])


def _is_of_other_tower(name: str, state: Mapping[str, Tensor]) -> bool:
    """Whether an array belongs to the text tower, or to the projection into its space, of a file with two towers."""
    return any(other.startswith(TRUNK) for other in state) and not name.startswith(TRUNK)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
