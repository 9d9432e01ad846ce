"""Layers of a network: which there are, and what one puts out, pooled as the network pools its last features."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from featurestore.errors import InputError
from featurestore.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

PENULTIMATE = "penultimate"
PRE_PROJECTION, PROJECTED = "pre_projection", "projected"
_TRUNK = "visual."
_TOKENS, _MAP = 3, 4
_KINDS = ("avg", "max", "avgmax", "token")


@dataclass(frozen=True, slots=True)
class Pooling:
    """How the positions of a layer's output become one vector.

    Attributes:
        kind: `avg`, `max`, `avgmax` or `token`; maps have no token, and are averaged then.
        prefix: Tokens before those of the patches, of networks that have them from the first layer on.
        patches: Tokens of the patches; None if the network does not say.
        channels_last: Whether maps are [n, height, width, channels].
    """

    kind: str
    prefix: int = 0
    patches: int | None = None
    channels_last: bool = False

    def __str__(self) -> str:
        words = {"avg": "mean", "max": "maximum", "avgmax": "mean of mean and maximum", "token": "class token"}
        return words[self.kind] if self.kind == "token" else f"{words[self.kind]} over positions"

    def __call__(self, output: Tensor) -> Tensor:
        """The vectors of a layer's output, float32 [n, width].

        Args:
            output: [n, width], tokens [n, positions, width], or maps [n, width, height, width] or with the channels last.
        """
        if output.ndim == _MAP:
            maps = output if self.channels_last else output.permute(0, 2, 3, 1)
            output, kind = maps.flatten(1, 2), "avg" if self.kind == "token" else self.kind
        elif output.ndim == _TOKENS:
            kind = self.kind
            # A layer before the class token joins has none of it.
            has_prefix = self.patches is None or output.shape[1] != self.patches
            if kind == "token" and self.prefix and has_prefix:
                return output[:, 0].float()
            kind = "avg" if kind == "token" else kind
            output = output[:, self.prefix :] if has_prefix else output
        else:
            return output.float()
        output = output.float()
        mean, largest = output.mean(dim=1), output.amax(dim=1)
        return {"avg": mean, "max": largest, "avgmax": 0.5 * (mean + largest)}[kind]


def pooling_of(module: Any) -> Pooling:
    """How a network pools its last features; the mean where it pools by learned attention, or in a way that is not known here."""
    trunk = getattr(module, "visual", module)
    found = [getattr(owner, "global_pool", None) for owner in (trunk, getattr(trunk, "head", None))]
    names = [kind if isinstance(kind, str) else getattr(kind, "pool_type", None) for kind in found]
    kind = next((name for name in names if name), "avg")
    return Pooling(
        kind if kind in _KINDS else "avg",
        int(getattr(trunk, "num_prefix_tokens", 0) or 0),
        getattr(getattr(trunk, "patch_embed", None), "num_patches", None),
        getattr(trunk, "output_fmt", "NCHW") == "NHWC",
    )


def parse_features(text: str | None) -> tuple[str, ...]:
    """Read `--feature`: names with commas between them; none is the penultimate feature alone.

    Raises:
        InputError: A name is missing or given twice.
    """
    names = tuple(name.strip() for name in (text or PENULTIMATE).split(","))
    if not all(names) or len(set(names)) < len(names):
        raise InputError(f"--feature takes {PENULTIMATE} and names of layers, each once, with commas: not {text!r}.")
    return names


def find_layer(module: nn.Module, layer: str, architecture: str) -> nn.Module:
    """The module of a layer, by its name in the network, or in the image tower of CLIP.

    Raises:
        InputError: There is none; lists those there are.
    """
    modules: dict[str, nn.Module] = dict(module.named_modules())
    for name in (layer, _TRUNK + layer):
        if layer and name in modules:
            return modules[name]
    raise InputError(f"{architecture} has no layer {layer!r}: {_listed(layer, modules)}")


def is_projection(layer: str) -> bool:
    """Whether a name stands for what goes into, or comes out of, the projection of CLIP."""
    return layer in {PRE_PROJECTION, PROJECTED}


def check_layer(module: nn.Module, layer: str, architecture: str) -> None:
    """Raise if a network has no such layer; its weights need not be there.

    Raises:
        InputError: It has none.
    """
    if is_projection(layer):
        if not (hasattr(module, "projection") or "clip" in architecture):
            raise InputError(
                f"{architecture} is no image tower of CLIP, and has no {layer}: {_listed(layer, dict(module.named_modules()))}"
            )
        return
    find_layer(module, layer, architecture)


def tap(module: nn.Module, layer: str, architecture: str, keep: Callable[[Tensor], None]) -> bool:
    """Have a layer's pooled output kept whenever the network runs; False if no module puts it out, but the head does.

    Raises:
        InputError: There is no such layer, or its output is nothing that can be pooled.
    """
    pooling = pooling_of(module)
    if is_projection(layer):
        projection = getattr(module, "projection", None)
        if projection is None:
            return False
        if layer == PRE_PROJECTION:
            projection.register_forward_pre_hook(lambda _, inputs: keep(inputs[0].float()))
        else:
            projection.register_forward_hook(lambda _, _inputs, output: keep(output.float()))
        return True

    def hook(_: nn.Module, _inputs: Any, output: Any) -> None:
        if not isinstance(output, torch.Tensor) or output.ndim not in {2, _TOKENS, _MAP}:
            shape = list(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
            raise InputError(
                f"The output of {architecture}'s layer {layer!r} is {shape}: no vector, tokens or map. Name another."
            )
        keep(pooling(output))

    find_layer(module, layer, architecture).register_forward_hook(hook)
    return True


def _listed(layer: str, modules: dict[str, nn.Module]) -> str:
    """The layers that are named from outside: blocks and stages with their range of numbers, and what stands alone."""
    outer = [
        name.removeprefix(_TRUNK)
        for name, module in modules.items()
        if name and not isinstance(module, nn.Identity | nn.Dropout)
    ]
    counted: dict[str, list[int]] = {}
    for name in outer:
        match = re.fullmatch(r"(\w+)\.(\d+)", name)
        if match:
            counted.setdefault(match[1], []).append(int(match[2]))
    alone = [name for name in outer if "." not in name and name not in counted and name != "visual"]
    ranges = [
        f"{name}.{min(of)} to {name}.{max(of)}" if len(of) > 1 else f"{name}.{of[0]}" for name, of in counted.items()
    ]
    if not ranges and not alone:
        return nearest(layer, outer)
    return f"there are {', '.join([*ranges, *alone, PENULTIMATE])}."
