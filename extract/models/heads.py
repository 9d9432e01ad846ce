"""Heads: the linear layer that makes logits of a feature, from the network itself or from a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from extract.models.sources import plain_arrays
from featurestore.errors import InputError, NumericalError, first_line

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

_ARRAYS = {"weight", "bias", "normalize"}


@dataclass(frozen=True, slots=True)
class Head:
    """The final linear layer: logits = weight @ x + bias, with x the feature, or the feature at unit length.

    Attributes:
        weight: Float32, shape [classes, width].
        bias: Float32, shape [classes].
        normalize: Whether x = feature / ||feature||.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    normalize: bool = False


def read_head(path: Path) -> Head:
    """Read a head file: an `.npz` with `weight` [C, D], and if there are any `bias` [C] and `normalize` (a boolean).

    Raises:
        InputError: The file cannot be read, holds Python objects, or its arrays are no head.
        NumericalError: A weight is NaN or infinite.
    """
    with plain_arrays(path) as file:
        arrays = {name: file[name] for name in file.files}
    if "weight" not in arrays or set(arrays) - _ARRAYS:
        raise InputError(
            f"{path} is no head: expected the arrays weight [C, D], bias [C] and normalize; it has {', '.join(sorted(arrays))}."
        )
    weight = arrays["weight"]
    bias = arrays.get("bias", np.zeros(len(weight) if weight.ndim else 0, np.float32))
    normalize = arrays.get("normalize", np.array(False))
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or normalize.shape not in {(), (1,)}:
        raise InputError(
            f"{path} is no head: expected weight [C, D], bias [C] and one boolean, got weight {list(weight.shape)}, "
            f"bias {list(bias.shape)} and normalize {list(normalize.shape)}."
        )
    weight, bias = weight.astype(np.float32), bias.astype(np.float32)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise NumericalError(f"The head {path} has NaN or infinite weights.")
    return Head(weight, bias, bool(normalize.reshape(-1)[0]))


def own_head(layer: Any, width: int, architecture: str) -> tuple[Tensor, Tensor]:
    """The weight [C, D] and bias [C] of a network's classifier, as far as it is an affine map of the feature.

    A classifier of another kind than a linear layer (one with a norm before it, several that are averaged) is
    measured: at the origin, and at each unit vector. Whether that explains the logits is for the caller to check.

    Args:
        layer: What timm's `get_classifier` returned.
        width: Dimensions of the feature.
        architecture: What messages call the network.

    Raises:
        InputError: There is no classifier, or it does not take the feature.
    """
    if isinstance(layer, nn.Linear):
        bias = torch.zeros_like(layer.weight[:, 0]) if layer.bias is None else layer.bias
        return layer.weight.detach().float(), bias.detach().float()
    layers = list(layer) if isinstance(layer, tuple | list | nn.ModuleList) else [layer]
    if not layers or any(part is None or isinstance(part, nn.Identity) for part in layers):
        raise InputError(
            f"{architecture} has no linear head: its last layer is {type(layer).__name__}. Give one with --head FILE.npz."
        )
    try:
        return _measured(layers, width)
    except (RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{architecture} has no linear head: its last layer is {type(layer).__name__}, which does not take "
            f"its penultimate feature of {width} numbers ({first_line(error)})."
        ) from error


def _measured(layers: list[Any], width: int) -> tuple[Tensor, Tensor]:
    device = next(layers[0].parameters()).device
    points = torch.cat([torch.zeros(1, width), torch.eye(width)]).to(device)
    with torch.inference_mode():
        outputs = torch.stack([part(points).float() for part in layers]).mean(dim=0)
    return (outputs[1:] - outputs[0]).T.clone(), outputs[0].clone()
