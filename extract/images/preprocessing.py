"""Preprocessing in two halves: workers make bytes of images, and the device makes numbers of bytes.

A worker's half ends with uint8 pixels, a quarter of the bytes of float32, so that less is copied between processes and to
the device. The other half is arithmetic alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torchvision import transforms

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from extract.images.preprocess_fields import Preprocess

_WHITE = 255.0


@dataclass(frozen=True, slots=True)
class OfShrunk:
    """A transform of images that may have been decoded at a fraction of their size.

    Attributes:
        transform: From an RGB PIL image to a tensor.
        side: The least that decoding must leave of the shorter side, in pixels.
    """

    transform: Callable[[Any], Tensor]
    side: int

    def __call__(self, image: Any) -> Tensor:
        """The transform."""
        return self.transform(image)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How images are prepared for a network.

    Attributes:
        of_image: From an RGB PIL image to a tensor [3, height, width]: uint8, or float32 if nothing is left to do.
        mean: Float32 [3, 1, 1], subtracted from pixels between 0 and 1.
        std: Float32 [3, 1, 1], divides the difference.
        is_cut: Whether `of_image` knows neither mean nor std, so that networks that differ in these alone share its pixels.
    """

    of_image: Callable[[Any], Tensor]
    mean: Tensor
    std: Tensor
    is_cut: bool = True

    def to(self, device: torch.device) -> Preparation:
        """The same, with its numbers on a device."""
        return replace(self, mean=self.mean.to(device), std=self.std.to(device))

    def of_batch(self, images: Tensor) -> Tensor:
        """The second half, on the device of `mean`: float32, equal to what the whole transform gives.

        Args:
            images: uint8 or float32 [n, 3, height, width]; float32 is what a network takes already.
        """
        moved = images.to(self.mean.device, non_blocking=True)
        if moved.dtype != torch.uint8:
            return moved
        return moved.float().div_(_WHITE).sub_(self.mean).div_(self.std)

    def of_shrunk(self, preprocessing: Preprocess) -> Preparation:
        """The same for images that are decoded at a fraction of their size, where that is at least what they are resized to."""
        resized = math.ceil(max(preprocessing["input_size"][1:]) / preprocessing["crop_pct"])
        return replace(self, of_image=OfShrunk(self.of_image, resized))


def in_two(transform: Any) -> Preparation:
    """Cut timm's evaluation transform where it leaves the bytes; one that ends in another way stays whole.

    Args:
        transform: A `Compose` that ends with a conversion to float and `Normalize`.
    """
    steps = list(getattr(transform, "transforms", []))
    if (
        len(steps) < 2
        or not isinstance(steps[-2], transforms.ToTensor)
        or not isinstance(steps[-1], transforms.Normalize)
    ):
        return Preparation(transform, torch.zeros(3, 1, 1), torch.ones(3, 1, 1), is_cut=False)
    mean, std = (
        torch.as_tensor(values, dtype=torch.float32).reshape(-1, 1, 1) for values in (steps[-1].mean, steps[-1].std)
    )
    return Preparation(transforms.Compose([*steps[:-2], transforms.PILToTensor()]), mean, std)
