"""Models that run: penultimate feature and logits of batches of images, on a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from extract.models.compiling import compiled
from extract.models.devices import Backoff, layout_of, on_device
from extract.models.heads import Head, own_heads
from extract.models.launched import Launched
from extract.models.layers import PRE_PROJECTION, is_projection, tap
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from extract.models.spec import ModelSpec

_HEAD_TOLERANCE = 1e-4


class LoadedModel:
    """A model on a device, split into its backbone and its checked linear head, if it has one.

    Args:
        spec: What to load.
        device: Where to run.
        amp: `off`, `bf16` or `fp16`.
        compiling: Whether to run it through torch.compile.
        known: The head, where an earlier run has checked it: if the network has it still, it is not checked again.
        module: The network on the CPU, where it is loaded already.

    Raises:
        InputError: The weights cannot be loaded, the architecture has no linear head on its penultimate feature, there
            is no compiler, or no room on the device.
    """

    def __init__(
        self,
        spec: ModelSpec,
        device: torch.device,
        amp: str = "off",
        *,
        compiling: bool = False,
        known: Head | None = None,
        module: nn.Module | None = None,
    ) -> None:
        self.spec = spec
        self._device = device
        self._amp = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(amp)
        self._preparation = spec.preparation().to(device)
        self._module = on_device(module or spec.load_module(), device, spec.name)
        self._layout = layout_of(self._module)
        self._seen: dict[str, Tensor] = {}
        self._layers: list[str] = []
        generator = torch.Generator().manual_seed(0)
        self._noise = torch.randn(2, *spec.preprocessing["input_size"], generator=generator).to(device)
        with torch.inference_mode():
            self._head = self._own(known) if known and not spec.is_headless else None
            self.width: int = self._head[0].shape[1] if self._head else 0
            if not self._head:
                feature = self._check_feature(self._feature(self._noise))
                self.width = feature.shape[1]
                self._head = None if spec.is_headless else self._find_head(self._noise, feature)
        self._compiled = compiled(self._feature, device) if compiling else None
        self._backoff = Backoff(self._part, spec.name)

    def __call__(self, images: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The activations of a batch.

        Args:
            images: Pixels uint8 [n, 3, height, width] as `ModelSpec.preparation` makes them, or preprocessed float32.

        Returns:
            Penultimate features float32 [n, width] and logits float32 [n, classes], [n, 0] without a head.
        """
        return self.launch(images).arrays()

    def launch(self, images: Tensor) -> Launched:
        """Begin to compute the activations of a batch, as `__call__`; on a GPU it does not wait for them.

        Raises:
            InputError: Not even one image fits in memory.
        """
        with torch.inference_mode():
            arrays = self._backoff(images)
            done = None
            if self._device.type == "cuda":
                arrays = tuple(values.to("cpu", non_blocking=True) for values in arrays)
                done = torch.cuda.current_stream(self._device).record_event()
            feature, logits, *others = arrays
            return Launched(feature, logits, done, dict(zip(self._layers, others, strict=True)))

    @property
    def network(self) -> LoadedModel:
        """What runs: itself."""
        return self

    def said(self, launched: Launched) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features and logits of a batch that this network launched."""
        return launched.arrays()

    def add_layer(self, name: str) -> int:
        """Return the output of a layer, too, with every batch from now on; returns its width.

        Raises:
            InputError: There is no such layer, its output cannot be pooled, or the network is compiled.
        """
        if self._compiled:
            raise InputError("--compile and layers (--feature) do not go together: leave one of them out.")
        if name not in self._layers:
            architecture = self.spec.architecture
            if not tap(self._module, name, architecture, lambda pooled: self._seen.__setitem__(name, pooled)):
                self._check_projection(name)
            self._layers.append(name)
        with torch.inference_mode():
            _, _, *others = self._part(self._noise, len(self._noise))
        return int(others[self._layers.index(name)].shape[1])

    def _check_projection(self, name: str) -> None:
        """Of timm's image towers of CLIP, the head is the projection, which has no bias; a classifier has one."""
        if self._head is None or self.spec.given_head or self._head[1].any():
            raise InputError(f"{self.spec.architecture} has no {name}: its last layer is no projection of CLIP.")

    def _check_is_projection(self) -> None:
        """A given head stands behind a network's last layer if that is a projection, and has its width by chance if it is a classifier."""
        module: Any = self._module
        bias = getattr(module.get_classifier(), "bias", None) if self.spec.feature_is_output else None
        if bias is not None and bias.any():
            raise InputError(
                f"The head {self.spec.head_file} takes {len(bias)} numbers, which is what {self.spec.architecture}'s own classifier puts "
                "out, and not the width of its feature: expected a head [classes, width]; is it transposed?"
            )

    @property
    def shrunk_to(self) -> int | None:
        """How many images at a time fit in memory; None if whole batches do."""
        return self._backoff.size if self._backoff.shrunk else None

    @property
    def head(self) -> Head | None:
        """The final linear layer's arrays; None of a model without."""
        if self._head is None:
            return None
        weight, bias = self._head
        negatives = self.spec.given_head.negatives if self.spec.given_head else None
        return Head(weight.cpu().numpy(), bias.cpu().numpy(), self.spec.normalizes, negatives)

    @property
    def classes(self) -> int:
        """Outputs of the head; 0 without one."""
        return len(self._head[1]) if self._head else 0

    @property
    def remark(self) -> str:
        """What the user should know of the head; empty if there is nothing unusual about it."""
        if self._head is None:
            return "no head, so features are stored and no logits: detectors that need neither will score it"
        if self.head and self.head.is_constant:
            zero = "zero" if not self._head[0].any() else "the same for each class"
            return (
                f"the weights of its head are {zero}, so that it tells no class from another: detectors that need logits or "
                "the head will leave it out; take trained weights, or give a head with --head"
            )
        return ""

    @property
    def params(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self._module.parameters())

    def _part(self, images: Tensor, size: int) -> tuple[Tensor, ...]:
        """Feature, logits, and what other layers say, of a part of a batch, whose parts have mostly that size."""
        ready = self._preparation.of_batch(images)
        feature = self._compiled(ready, size) if self._compiled else self._feature(ready)
        logits = self._of_head(feature, *self._head) if self._head else feature[:, :0]
        return feature, logits, *(self._layer(name, feature, logits) for name in self._layers)

    def _layer(self, name: str, feature: Tensor, logits: Tensor) -> Tensor:
        if is_projection(name) and name not in self._seen:
            return feature if name == PRE_PROJECTION else logits
        if name not in self._seen:
            raise InputError(f"{self.spec.architecture} does not run its layer {name!r} for features: name another.")
        return self._seen[name]

    def _feature(self, images: Tensor) -> Tensor:
        module: Any = self._module
        with torch.autocast(self._device.type, self._amp, enabled=self._amp is not None):
            tokens = module.forward_features(images.contiguous(memory_format=self._layout))
            feature = module.forward_head(tokens, pre_logits=not self.spec.feature_is_output)
        return feature.float()  # type: ignore[no-any-return]

    def _of_head(self, feature: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        # The head is small: in full precision, so that it can be computed again from what is stored.
        fed = torch.nn.functional.normalize(feature, dim=1) if self.spec.normalizes else feature
        return torch.nn.functional.linear(fed, weight, bias)

    def _check_feature(self, feature: Tensor) -> Tensor:
        """A feature of noise, which must be a vector of finite numbers."""
        if feature.ndim != 2:
            raise InputError(
                f"{self.spec.architecture}'s feature of an image is not a vector but {list(feature.shape[1:])}: pool it, "
                "as with --model-kwargs global_pool=avg."
            )
        if not torch.isfinite(feature).all():
            raise NumericalError(
                f"Model {self.spec.name} gives NaN or infinite features on noise: its weights are broken."
            )
        return feature

    def _own(self, known: Head) -> tuple[Tensor, Tensor] | None:
        """The known head on the device, if it is the network's, or the given one; else None."""
        given, (weight, bias) = self.spec.given_head, known.tensors
        found = [given.tensors] if given else own_heads(self._module, weight.shape[1], self.spec.architecture)
        return (weight.to(self._device), bias.to(self._device)) if known.is_among(found) else None

    def _find_head(self, noise: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
        """The head's weight and bias on the device, checked once, on noise: what the lake stores must explain the logits."""
        name, given = self.spec.architecture, self.spec.given_head
        if given:
            self._check_is_projection()
            whose, found = f"The head {self.spec.head_file} has", [given.tensors]
        else:
            whose, found = f"{name}'s head has", own_heads(self._module, feature.shape[-1], name)
        found = [(weight.to(self._device), bias.to(self._device)) for weight, bias in found]
        fitting = [head for head in found if feature.shape[1] == head[0].shape[1]]
        if not fitting:
            raise InputError(
                f"{whose} the shape {list(found[0][0].shape)}, and {name}'s feature {list(feature.shape)}: "
                "expected a head [classes, width] and a feature [n, width]."
            )
        expected = self._of_head(feature, *fitting[0]) if given else self._module(noise).float()
        if not torch.isfinite(expected).all():
            raise NumericalError(
                f"Model {self.spec.name} gives NaN or infinite logits on noise: its weights are broken."
            )
        explaining = [head for head in fitting if self._close(self._of_head(feature, *head), expected)]
        if not explaining:
            raise InputError(
                f"{name}'s logits are not `weight @ feature + bias` of its penultimate feature, "
                "so detectors could not use its head. Take a variant with one linear head, or give one with --head."
            )
        return explaining[0]

    def _close(self, logits: Tensor, expected: Tensor) -> bool:
        tolerance = _HEAD_TOLERANCE if self._amp is None else 0.1
        return logits.shape == expected.shape and torch.allclose(
            logits, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max())
        )


class LayerOfModel:
    """A layer of a network, as a model of its own that has no head.

    Args:
        network: What runs.
        spec: The layer's model.
    """

    head, classes, remark = None, 0, ""

    def __init__(self, network: LoadedModel, spec: ModelSpec) -> None:
        self.network, self.spec = network, spec
        self.width = network.add_layer(spec.layer)

    def said(self, launched: Launched) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features float32 [n, width], and logits [n, 0], of a batch that the network launched."""
        feature = launched.layer(self.spec.layer)
        return feature, feature[:, :0]

    @property
    def shrunk_to(self) -> int | None:
        """How many images at a time fit in memory; None if whole batches do."""
        return self.network.shrunk_to

    @property
    def params(self) -> int:
        """Number of parameters of the network."""
        return self.network.params
