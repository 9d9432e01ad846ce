"""Models that run: penultimate feature and logits of batches of images, on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from extract.models.compiling import compiled
from extract.models.devices import Backoff, layout_of, on_device
from extract.models.heads import Head, own_head
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from extract.models.spec import ModelSpec

_HEAD_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Launched:
    """Activations on their way from the device: it may still compute while the next batch is prepared.

    Attributes:
        feature: Penultimate features, float32 [n, width], in memory of the host.
        logits: Logits, float32 [n, classes], the same.
        done: The event after which they are there; None if they are.
    """

    feature: Tensor
    logits: Tensor
    done: Any = None

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features and logits, once they are there."""
        if self.done is not None:
            self.done.synchronize()
        return self.feature.numpy(), self.logits.numpy()


class LoadedModel:
    """A model on a device, split into its backbone and its checked linear head.

    Args:
        spec: What to load.
        device: Where to run.
        amp: `off`, `bf16` or `fp16`.
        compiling: Whether to run it through torch.compile.

    Raises:
        InputError: The weights cannot be loaded, the architecture has no linear head on its penultimate feature, there
            is no compiler, or no room on the device.
    """

    def __init__(self, spec: ModelSpec, device: torch.device, amp: str = "off", *, compiling: bool = False) -> None:
        self.spec = spec
        self._device = device
        self._amp = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(amp)
        self._preparation = spec.preparation().to(device)
        self._module = on_device(spec.load_module(), device, spec.name)
        self._layout = layout_of(self._module)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(2, *spec.preprocessing["input_size"], generator=generator).to(device)
        with torch.inference_mode():
            self._weight, self._bias = self._find_head(self._feature(noise))
            self._check_head(noise)
        self._compiled = compiled(self._feature, device) if compiling else None
        self._backoff = Backoff(self._part, spec.name)

    def __call__(self, images: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The activations of a batch.

        Args:
            images: Pixels uint8 [n, 3, height, width] as `ModelSpec.preparation` makes them, or preprocessed float32.

        Returns:
            Penultimate features float32 [n, width] and logits float32 [n, classes].
        """
        return self.launch(images).arrays()

    def launch(self, images: Tensor) -> Launched:
        """Begin to compute the activations of a batch, as `__call__`; on a GPU it does not wait for them.

        Raises:
            InputError: Not even one image fits in memory.
        """
        with torch.inference_mode():
            feature, logits = self._backoff(images)
            if self._device.type != "cuda":
                return Launched(feature, logits)
            feature, logits = (values.to("cpu", non_blocking=True) for values in (feature, logits))
            return Launched(feature, logits, torch.cuda.current_stream(self._device).record_event())

    @property
    def shrunk_to(self) -> int | None:
        """How many images at a time fit in memory; None if whole batches do."""
        return self._backoff.size if self._backoff.shrunk else None

    @property
    def head(self) -> Head:
        """The final linear layer's arrays."""
        return Head(self._weight.cpu().numpy(), self._bias.cpu().numpy(), self.spec.normalizes)

    @property
    def params(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self._module.parameters())

    def _part(self, images: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Feature and logits of a part of a batch, whose parts have mostly that size."""
        ready = self._preparation.of_batch(images)
        feature = self._compiled(ready, size) if self._compiled else self._feature(ready)
        return feature, self._logits(feature)

    def _feature(self, images: Tensor) -> Tensor:
        module: Any = self._module
        with torch.autocast(self._device.type, self._amp, enabled=self._amp is not None):
            tokens = module.forward_features(images.contiguous(memory_format=self._layout))
            feature = module.forward_head(tokens, pre_logits=not self.spec.feature_is_output)
        return feature.float()  # type: ignore[no-any-return]

    def _logits(self, feature: Tensor) -> Tensor:
        # The head is small: in full precision, so that it can be computed again from what is stored.
        fed = torch.nn.functional.normalize(feature, dim=1) if self.spec.normalizes else feature
        return torch.nn.functional.linear(fed, self._weight, self._bias)

    def _find_head(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """The head's weight and bias on the device; the feature of any image shows its width."""
        name, given = self.spec.architecture, self.spec.given_head
        if given:
            weight, bias = torch.from_numpy(given.weight), torch.from_numpy(given.bias)
        else:
            module: Any = self._module
            layer = module.get_classifier() if hasattr(module, "get_classifier") else None
            weight, bias = own_head(layer, feature.shape[-1], name)
        if feature.ndim != 2 or feature.shape[1] != weight.shape[1]:
            whose = f"The head {self.spec.head_file} has" if given else f"{name}'s head has"
            raise InputError(
                f"{whose} the shape {list(weight.shape)}, and {name}'s feature {list(feature.shape)}: "
                "expected a head [classes, width] and a feature [n, width]."
            )
        return weight.to(self._device), bias.to(self._device)

    def _check_head(self, noise: Tensor) -> None:
        """Check once, on noise, that the head explains the network's logits: what the lake stores must do so."""
        logits = self._logits(self._feature(noise))
        expected = logits if self.spec.given_head else self._module(noise).float()
        if not torch.isfinite(expected).all():
            raise NumericalError(
                f"Model {self.spec.name} gives NaN or infinite logits on noise: its weights are broken."
            )
        tolerance = _HEAD_TOLERANCE if self._amp is None else 0.1
        close = logits.shape == expected.shape and torch.allclose(
            logits, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max())
        )
        if not close:
            raise InputError(
                f"{self.spec.architecture}'s logits are not `weight @ feature + bias` of its penultimate feature, "
                "so detectors could not use its head. Take a variant with one linear head, or give one with --head."
            )
