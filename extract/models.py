"""Models: what to load, how images are prepared for it, and its parts: penultimate feature and head."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import timm
import torch
from timm.data import create_transform, resolve_data_config

from extract import checkpoints
from featurestore.errors import InputError, NumericalError
from featurestore.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

FEATURE = "timm forward_head(pre_logits=True)"
_HEAD_TOLERANCE = 1e-4


@dataclass(frozen=True)
class ModelSpec:
    """What a user names: weights, the architecture that they belong to, and how they were trained.

    Attributes:
        name: The model's name in the lake.
        architecture: timm's name.
        checkpoint: Local file, or None for timm's own published weights.
        model_kwargs: Arguments of the architecture, e.g. `img_size`, `num_classes`.
        recipe: Columns of the `models` table that say how the model was trained.
    """

    name: str
    architecture: str
    checkpoint: Path | None = None
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def skeleton(self) -> nn.Module:
        """The model without memory for its weights: enough to plan with."""
        with torch.device("meta"):
            return _create(self, pretrained=False)

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        """Timm's resolved evaluation preprocessing: input size, interpolation, crop, mean and std."""
        config = resolve_data_config({}, model=self.skeleton, use_test_size=True)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in sorted(config.items())}

    @cached_property
    def weights_sha256(self) -> str:
        """sha256 of the checkpoint file, or of the published weights by parameter."""
        if self.checkpoint:
            return checkpoints.sha256_of(self.checkpoint)
        digest = hashlib.sha256()
        for name, value in sorted(self.load_module().state_dict().items()):
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @property
    def identity(self) -> dict[str, Any]:
        """The ingredients that the model contributes to its activations."""
        return {
            "weights_sha256": self.weights_sha256,
            "architecture": self.architecture,
            "model_kwargs": as_json(self.model_kwargs),
            "preprocessing": as_json(self.preprocessing),
            "feature": FEATURE,
        }

    def transform(self) -> Callable[[Any], Tensor]:
        """The preprocessing as a function of a PIL image."""
        config = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.preprocessing.items()
        }
        return create_transform(**config, is_training=False)  # type: ignore[no-any-return]

    def load_module(self) -> nn.Module:
        """The module with its weights, in evaluation mode, on the CPU.

        Raises:
            InputError: The checkpoint is not one of the architecture, or there is no way to get timm's weights.
        """
        if self.checkpoint is None:
            try:
                return _create(self, pretrained=True).eval()
            except (OSError, RuntimeError) as error:
                raise InputError(
                    f"Cannot get timm's weights of {self.architecture} ({type(error).__name__}): "
                    "give a local checkpoint file as --model with --architecture, or connect to the network."
                ) from error
        module = _create(self, pretrained=False)
        checkpoints.load_weights(module, self.checkpoint, self.architecture)
        return module.eval()


@dataclass(frozen=True, slots=True)
class Head:
    """The final linear layer: weight float32 [classes, width], bias float32 [classes]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


class LoadedModel:
    """A model on a device, split into its backbone and its checked linear head.

    Args:
        spec: What to load.
        device: Where to run.
        amp: `off`, `bf16` or `fp16`.

    Raises:
        InputError: The weights cannot be loaded, or the architecture has no linear head on its penultimate feature.
    """

    def __init__(self, spec: ModelSpec, device: torch.device, amp: str = "off") -> None:
        self.spec = spec
        self._device = device
        self._amp = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(amp)
        self._module = spec.load_module().to(device)
        self._check_head()

    def __call__(self, images: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The activations of a batch.

        Args:
            images: Preprocessed images, float32 [n, 3, height, width].

        Returns:
            Penultimate features float32 [n, width] and logits float32 [n, classes].
        """
        with torch.inference_mode():
            feature, logits = self._forward(images.to(self._device, non_blocking=True))
            return feature.float().cpu().numpy(), logits.float().cpu().numpy()

    @property
    def head(self) -> Head:
        """The final linear layer's arrays."""
        layer = self._module.get_classifier()  # type: ignore[operator]
        weight = layer.weight.detach().float().cpu().numpy()
        bias = np.zeros(len(weight), np.float32) if layer.bias is None else layer.bias.detach().float().cpu().numpy()
        return Head(weight, bias)

    @property
    def params(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self._module.parameters())

    def _forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        module: Any = self._module
        with torch.autocast(self._device.type, self._amp, enabled=self._amp is not None):
            feature = module.forward_head(module.forward_features(images), pre_logits=True)
        # The head is small: in full precision, so that it can be computed again from what is stored.
        return feature.float(), module.get_classifier()(feature.float())

    def _check_head(self) -> None:
        """Check once, on noise, that the head is linear in the penultimate feature: what the lake stores must explain the logits."""
        name = self.spec.architecture
        module: Any = self._module
        layer = module.get_classifier() if hasattr(module, "get_classifier") else None
        if not isinstance(layer, torch.nn.Linear):
            raise InputError(f"{name} has no linear head: its last layer is {type(layer).__name__}.")
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(2, *self.spec.preprocessing["input_size"], generator=generator).to(self._device)
        with torch.inference_mode():
            feature, logits = self._forward(images)
            expected = module(images).float()
        if feature.ndim != 2 or feature.shape[1] != layer.in_features:
            raise InputError(
                f"{name}'s penultimate output has the shape {list(feature.shape)}, not [n, {layer.in_features}]."
            )
        if not torch.isfinite(expected).all():
            raise NumericalError(
                f"Model {self.spec.name} gives NaN or infinite logits on noise: its weights are broken."
            )
        tolerance = _HEAD_TOLERANCE if self._amp is None else 0.1
        if not torch.allclose(logits, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max())):
            raise InputError(f"{name}'s logits are not `weight @ feature + bias` of its penultimate feature.")


def as_json(value: Mapping[str, Any]) -> str:
    """A mapping as canonical JSON."""
    return json.dumps(dict(value), sort_keys=True)


def _create(spec: ModelSpec, *, pretrained: bool) -> nn.Module:
    if not timm.is_model(spec.architecture):
        raise InputError(
            f"timm has no architecture {spec.architecture!r}: {nearest(spec.architecture, timm.list_models())}"
        )
    size = spec.model_kwargs.get("img_size")
    overlay = {"input_size": (3, size, size)} if isinstance(size, int) else None
    try:
        return timm.create_model(  # type: ignore[no-any-return]
            spec.architecture, pretrained=pretrained, pretrained_cfg_overlay=overlay, **spec.model_kwargs
        )
    except (TypeError, AssertionError, ValueError) as error:
        raise InputError(
            f"timm cannot build {spec.architecture} with {as_json(spec.model_kwargs)}: {error}."
        ) from error
