"""Activations on their way from a device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Launched:
    """Activations on their way from the device: it may still compute while the next batch is prepared.

    Attributes:
        feature: Penultimate features, float32 [n, width], in memory of the host.
        logits: Logits, float32 [n, classes], the same; [n, 0] of a model without a head.
        done: The event after which they are there; None if they are.
        layers: What other layers said, float32 [n, width of the layer], by name.
    """

    feature: Tensor
    logits: Tensor
    done: Any = None
    layers: Mapping[str, Tensor] = field(default_factory=dict)

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Features and logits, once they are there."""
        if self.done is not None:
            self.done.synchronize()
        return self.feature.numpy(), self.logits.numpy()

    def layer(self, name: str) -> NDArray[np.float32]:
        """What a layer said, once it is there."""
        if self.done is not None:
            self.done.synchronize()
        return self.layers[name].numpy()
