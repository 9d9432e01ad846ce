"""Heads: the linear layer that makes logits of a feature, from the network itself or from a file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from timm.layers import ClassifierHead
from torch import nn

from extract.models.sources import plain_arrays
from featurestore.errors import InputError, NumericalError, first_line
from featurestore.shown_text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

_KINDS = {"weight": "f", "bias": "f", "normalize": "biufUS", "temperature": "fiuUS", "negatives": "f"}
_ARRAYS = set(_KINDS)
_LISTED = 8


@dataclass(frozen=True, slots=True)
class Head:
    """The final linear layer: logits = weight @ x + bias, with x the feature, or the feature at unit length.

    Attributes:
        weight: Float32, shape [classes, width].
        bias: Float32, shape [classes].
        normalize: Whether x = feature / ||feature||.
        negatives: Embeddings of texts that name no class, float32, shape [M, width]; None where there are none.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    normalize: bool = False
    negatives: NDArray[np.float32] | None = None

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """Copies of weight and bias as torch has them, on the CPU."""
        return torch.tensor(self.weight), torch.tensor(self.bias)

    def is_among(self, found: Iterable[tuple[Tensor, Tensor]]) -> bool:
        """Whether it is one of the weights and biases that `own_heads` found, to the last bit."""
        weight, bias = self.tensors
        return any(torch.equal(w.detach().cpu(), weight) and torch.equal(b.detach().cpu(), bias) for w, b in found)

    @property
    def is_constant(self) -> bool:
        """Whether it tells no class from another: all its rows are equal, as in a head of zeros."""
        return bool((self.weight == self.weight[:1]).all())


def read_head(path: Path) -> Head:
    """Read a head file.

    Args:
        path: An `.npz` with `weight` [C, D], and if there are any `bias` [C], `normalize` (a boolean), `temperature`, by which
            weight and bias are divided (0.01 gives logits of CLIP's size from embeddings of texts), and `negatives` [M, D].

    Raises:
        InputError: The file cannot be read, holds Python objects, or its arrays are no head.
        NumericalError: A weight is NaN or infinite.
    """
    with plain_arrays(path) as file:
        arrays = {name: file[name] for name in file.files if name in _ARRAYS}
        unknown = sorted(set(file.files) - _ARRAYS)
    unknown += [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if "weight" not in arrays or unknown:
        listed = [*arrays, *unknown]
        more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
        raise InputError(
            f"{path} is no head: expected the arrays weight [C, D], bias [C], normalize, temperature and negatives [M, D]; "
            f"it has {plain(', '.join(sorted(listed)[:_LISTED]))}{more}."
        )
    odd = [f"{name} is {array.dtype}" for name, array in arrays.items() if array.dtype.kind not in _KINDS[name]]
    if odd:
        raise InputError(f"{path} is no head: expected arrays of floating-point numbers, and {plain(odd[0])}.")
    weight = arrays["weight"]
    bias = arrays.get("bias", np.zeros(len(weight) if weight.ndim else 0, np.float32))
    normalize = arrays.get("normalize", np.array(False))
    if weight.ndim != 2 or bias.shape != weight.shape[:1] or normalize.shape not in {(), (1,)}:
        raise InputError(
            f"{path} is no head: expected weight [C, D], bias [C] and one boolean, got weight {list(weight.shape)}, "
            f"bias {list(bias.shape)} and normalize {list(normalize.shape)}."
        )
    if normalize.dtype != bool and not (normalize.dtype.kind in "iu" and normalize.reshape(-1)[0] in {0, 1}):
        raise InputError(f"{path} is no head: normalize is true or false, not {normalize.reshape(-1)[0]!r}.")
    temperature = _temperature(path, arrays.get("temperature", np.array(1.0)))
    weight, bias = ((array / temperature).astype(np.float32) for array in (weight, bias))
    negatives = _negatives(path, arrays.get("negatives"), weight.shape[1])
    if not all(np.isfinite(array).all() for array in (weight, bias, negatives) if array is not None):
        raise NumericalError(f"The head {path} has NaN or infinite weights.")
    return Head(weight, bias, bool(normalize.reshape(-1)[0]), negatives)


def _temperature(path: Path, array: NDArray[Any]) -> float:
    if array.shape not in {(), (1,)} or array.dtype.kind not in "fiu" or not 0 < array.reshape(-1)[0] < np.inf:
        raise InputError(f"{path} is no head: temperature is one positive number, not {array.tolist()}.")
    return float(array.reshape(-1)[0])


def _negatives(path: Path, array: NDArray[Any] | None, width: int) -> NDArray[np.float32] | None:
    if array is not None and (array.ndim != 2 or array.shape[1] != width or not len(array)):
        raise InputError(
            f"{path} is no head: negatives are embeddings of one text or more, of the {width} numbers that weight has; "
            f"got {list(array.shape)}."
        )
    return None if array is None else array.astype(np.float32)


def own_heads(module: Any, width: int, architecture: str) -> list[tuple[Tensor, Tensor]]:
    """The weights [C, D] and biases [C] that may be a network's head; whether one explains the logits is for the caller to check.

    They are those of what timm calls the classifier, and of the whole of `head` where that holds more: a batch norm before
    the linear layer is a part of an affine map.

    Args:
        module: The network.
        width: Dimensions of the feature.
        architecture: What messages call the network.

    Raises:
        InputError: There is no classifier, or it does not take the feature.
    """
    classifier = module.get_classifier() if hasattr(module, "get_classifier") else None
    found = [_affine(classifier, width, architecture)]
    whole = getattr(module, "head", None)
    if whole is not None and whole is not classifier:
        with contextlib.suppress(InputError):
            found.append(_affine(whole, width, architecture))
    return found


def _affine(layer: Any, width: int, architecture: str) -> tuple[Tensor, Tensor]:
    """The weight [C, D] and bias [C] of a layer, as far as it is an affine map of the feature.

    A layer of another kind than a linear one (one with a norm before it, several that are averaged) is measured: at the
    origin, and at each unit vector.
    """
    known = _linear(layer)
    if known is not None:
        return known
    layers = list(layer) if isinstance(layer, tuple | list | nn.ModuleList) else [layer]
    if not layers or any(part is None or isinstance(part, nn.Identity) for part in layers):
        raise InputError(
            f"{architecture} has no linear head: its last layer is {type(layer).__name__}. Give one with --head FILE.npz."
        )
    parts = [known for known in map(_linear, layers) if known is not None]
    if len(parts) == len(layers) and sum(weight.shape[1] for weight, _ in parts) == width:
        # The mean of several layers, each on its own stretch of the feature.
        weights, biases = zip(*parts, strict=True)
        return torch.cat(weights, dim=1) / len(parts), torch.stack(biases).mean(dim=0)
    try:
        return _measured(layers, width)
    except Exception as error:  # layers of others raise anything
        raise InputError(
            f"{architecture} has no linear head: its last layer is {type(layer).__name__}, which does not take "
            f"its penultimate feature of {width} numbers ({first_line(error)})."
        ) from error


def _linear(layer: Any) -> tuple[Tensor, Tensor] | None:
    """The weight and bias of a linear layer, of a convolution that is one, or of timm's head around one; else None."""
    inner = getattr(layer, "fc", None)
    layer = inner if isinstance(layer, ClassifierHead) and inner is not None else layer
    one_by_one = isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1
    if not isinstance(layer, nn.Linear) and not one_by_one:
        return None
    weight = layer.weight.detach().float().flatten(1)
    bias = torch.zeros_like(weight[:, 0]) if layer.bias is None else layer.bias.detach().float()
    return weight, bias


def _measured(layers: list[Any], width: int) -> tuple[Tensor, Tensor]:
    device = next(layers[0].parameters()).device
    points = torch.cat([torch.zeros(1, width), torch.eye(width)]).to(device)
    with torch.inference_mode():
        outputs = torch.stack([part(points).float() for part in layers]).mean(dim=0)
    return (outputs[1:] - outputs[0]).T.clone(), outputs[0].clone()
