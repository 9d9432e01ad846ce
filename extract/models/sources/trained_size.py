"""The size of the images that weights were trained on, where the shapes of their arrays tell it, as a position embedding does."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from extract.models.files import Note
from extract.models.sources.architecture import as_json, create
from extract.models.sources.source import Facts, Weights
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Shapes: TypeAlias = "Mapping[str, tuple[int, ...]]"
_BESIDE_PATCHES = range(6)
"""How many tokens that are no patches a position embedding may have: classes, distillation, registers."""
_BESIDE_OFFSETS = 3
"""What BEiT's tables of relative positions have beside the offsets of patches."""
_DEFAULT = 224


def trained_size(weights: Weights, shapes: Shapes) -> Facts:
    """The input size that the shapes of a file's arrays tell, and the `img_size` that builds such a network; nothing where none tells.

    Args:
        weights: The network, of which arguments but no size need be known.
        shapes: Of the file's arrays, by timm's names.
    """
    own = _shapes(weights)
    size = _input_size(weights)
    sized = (
        [name for name in own if name in shapes and own[name] != _shapes(weights, 2 * size).get(name)] if size else []
    )
    if not sized or size is None:
        return Facts()
    told = {name: shapes[name] for name in sized}
    if _fit(told, own):
        return Facts(preprocess={"input_size": (3, size, size)}, preprocess_origin=_origin(weights, sized[0]))
    if "img_size" in weights.model_kwargs:
        return Facts()  # what was stated counts, and loading says what does not fit
    for found in dict.fromkeys(_sizes(told[sized[0]], own[sized[0]], size)):
        if _fit(told, _shapes(weights, found)):
            origin = _origin(weights, sized[0])
            return Facts(
                model_kwargs={"img_size": found},
                preprocess={"input_size": (3, found, found)},
                preprocess_origin=origin,
                notes=(Note("img_size", str(found), f"{origin}; --model-kwargs img_size=N takes another"),),
            )
    return Facts()


def _origin(weights: Weights, name: str) -> str:
    return f"{name} in {weights.weights_file.name} has that size"


def _input_size(weights: Weights) -> int | None:
    """The side of the squares that a network takes; None if it takes no `img_size`, or no squares."""
    size = weights.model_kwargs.get("img_size") or _usual_size(weights)
    if isinstance(size, (list, tuple)):
        size = size[0] if len(set(size)) == 1 else None
    return size if isinstance(size, int) and _shapes(weights, 2 * size) else None


def _usual_size(weights: Weights) -> int:
    with torch.device("meta"):
        network: Any = create(weights)
    return int((network.pretrained_cfg or {}).get("input_size", (3, _DEFAULT, _DEFAULT))[-1])


def _shapes(weights: Weights, img_size: int | None = None) -> Shapes:
    """The shapes of a network's arrays at a size; none if it cannot be built so."""
    sized = {} if img_size is None else {"img_size": img_size}
    return _built(weights.architecture, as_json({**weights.model_kwargs, **sized}))


@lru_cache(maxsize=64)
def _built(architecture: str, arguments: str) -> Shapes:
    try:
        with torch.device("meta"):
            state = create(Weights("", architecture, model_kwargs=json.loads(arguments))).state_dict()
    except (InputError, RuntimeError):
        return {}
    return {name: tuple(value.shape) for name, value in state.items()}


def _fit(told: Shapes, own: Shapes) -> bool:
    """Whether arrays have the shapes that a network has, but for tokens of a position embedding that are no patches."""
    return all(name in own and (own[name] == shape or _same_grid(shape, own[name])) for name, shape in told.items())


def _same_grid(told: tuple[int, ...], own: tuple[int, ...]) -> bool:
    if len(told) != len(own) or told[-1] != own[-1] or len(told) != 3:
        return False
    return any(side in _squares(own[1]).values() for side in _grids(told[1], own[1]))


def _squares(tokens: int) -> dict[int, int]:
    """Sides of the square grids that so many tokens may hold, by how many of them are no patches."""
    sides = {beside: math.isqrt(tokens - beside) for beside in _BESIDE_PATCHES if tokens > beside}
    return {beside: side for beside, side in sides.items() if side * side == tokens - beside}


def _grids(told: int, own: int) -> Iterator[int]:
    """Sides of the grid of a file's tokens, of which as many as in the network are no patches, or none, or one."""
    usual = {0, 1, *_squares(own)}
    return (side for beside, side in _squares(told).items() if beside in usual)


def _sizes(told: tuple[int, ...], own: tuple[int, ...], size: int) -> Iterator[int]:
    """Sizes that may explain why an array has another shape than that of a network for images of `size`."""
    for theirs, ours in zip(told, own, strict=False):
        if theirs == ours:
            continue
        pairs = [(side, usual) for side in _grids(theirs, ours) for usual in _squares(ours).values()]
        for sides in (_offsets, _offsets_along):
            pairs += [(side, usual) for side in sides(theirs) for usual in sides(ours)]
        yield from (size * side // usual for side, usual in pairs if size * side % usual == 0)


def _offsets(rows: int) -> Iterator[int]:
    """Sides of windows with so many offsets between two places: (2n - 1)^2, perhaps with others beside."""
    for beside in (0, _BESIDE_OFFSETS):
        side = math.isqrt(max(rows - beside, 0))
        if side % 2 and side * side == rows - beside:
            yield (side + 1) // 2


def _offsets_along(rows: int) -> Iterator[int]:
    """The side of a window with so many offsets along one axis: 2n - 1."""
    if rows % 2:
        yield (rows + 1) // 2
