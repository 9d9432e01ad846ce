"""A network that judges: images in, scores and verdicts out, as one module of torch."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from timm.data import create_transform
from torch import nn

from extract.models.heads import own_heads
from extract.models.layers import tap
from extract.models.recorded import recorded_spec
from extract.models.sources.source import FEATURE
from featurestore.errors import ConflictError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from extract.models import Head
    from extract.models.recorded import Places
    from featurestore.layout.recorded_network import RecordedNetwork


class Scorer(Protocol):
    """What turns activations into scores."""

    @property
    def threshold(self) -> float:
        """What scores at least that is accepted."""

    def score(self, feature: NDArray[Any], logits: NDArray[Any] | None = None) -> NDArray[np.float64]:
        """Scores of features [n, D] and logits [n, C], shape [n]."""


class Judged(NamedTuple):
    """What a network says of a batch, on its device.

    Attributes:
        score: Float64 [n]; higher is more in-distribution.
        accepted: Whether the score is at least the threshold, bool [n].
        predicted: The class of the largest logit, int64 [n]; -1 of a model without a head.
        feature: Float32 [n, D].
        logits: Float32 [n, C], [n, 0] without a head.
    """

    score: Tensor
    accepted: Tensor
    predicted: Tensor
    feature: Tensor
    logits: Tensor


class JudgedNetwork(nn.Module):
    """A network with its head and its judge; the network's parameters are its own. Scores are computed by numpy, without gradients.

    Attributes:
        network: The network.
        transform: From a PIL image in RGB to what `forward` takes, one of a batch.
    """

    _head: nn.Linear | None

    def __init__(
        self,
        network: nn.Module,
        record: RecordedNetwork,
        judge: Scorer,
        head: Head | None,
    ) -> None:
        super().__init__()
        self.network, self._judge, self._normalizes = network, judge, bool(head and head.normalize)
        self.transform = create_transform(**record.preprocessing, is_training=False)
        self._pre_logits = record.ingredients["feature"] == FEATURE
        self._dtype = record.dtype
        self._amp = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(record.compute)
        self._seen: list[Tensor] = []
        self._is_layer = bool(record.layer)
        if record.layer and not tap(network, record.layer, record.architecture, self._seen.append):
            raise InputError(f"{record.model} is what the head puts out: judge it with `featurestore judge`.")
        self._head = nn.Linear(head.weight.shape[1], len(head.bias)) if head else None
        if self._head and head:
            self._head.weight.data, self._head.bias.data = head.tensors

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Judged:
        """Judge a batch of preprocessed images, float32 [n, 3, height, width]."""
        network: Any = self.network
        self._seen.clear()
        with torch.autocast(images.device.type, self._amp, enabled=self._amp is not None):
            feature = network.forward_head(network.forward_features(images), pre_logits=self._pre_logits)
        feature = self._seen.pop() if self._is_layer else feature.float()
        logits, judged = feature[:, :0], None
        if self._head:
            logits = self._head(nn.functional.normalize(feature, dim=1) if self._normalizes else feature)
            judged = logits.cpu().numpy().astype(self._dtype)
        scores = self._judge.score(feature.cpu().numpy().astype(self._dtype), judged)
        score = torch.from_numpy(np.asarray(scores)).to(images.device)
        none = torch.full((len(images),), -1, device=images.device)
        predicted = logits.argmax(dim=1) if logits.shape[1] else none
        return Judged(score, score >= self._judge.threshold, predicted, feature, logits)


def judged_network(
    record: RecordedNetwork,
    judge: Scorer,
    head: Head | None,
    *,
    network: nn.Module | None = None,
    places: Places | None = None,
) -> JudgedNetwork:
    """A network and its judge as one module, in evaluation mode, on the CPU or where the given network is.

    Args:
        record: The network, as a lake knows it.
        judge: What scores.
        head: The head that the lake holds; None for none.
        network: The network, loaded; by default it is built, and checked, as the lake knows it.
        places: Where its files lie now.

    Raises:
        InputError: A file is not there, or the network cannot be run so.
        ConflictError: It is another network.
    """
    if network is None:
        spec, module = recorded_spec(record, places)
        return JudgedNetwork(module or spec.load_module(), record, judge, head).eval()
    if not (hasattr(network, "forward_features") and hasattr(network, "forward_head")):
        raise InputError(
            f"A {type(network).__name__} is no network of timm's: it has no forward_features and forward_head."
        )
    if head is not None and "head_sha256" not in record.ingredients and not _has_head(network, head, record):
        raise ConflictError(
            f"The network given has another head than {record.model} was extracted with: it is not that model."
        )
    where = next(network.parameters()).device
    return JudgedNetwork(network, record, judge, head).to(where).eval()


def _has_head(network: nn.Module, head: Head, record: RecordedNetwork) -> bool:
    """Whether a network's own head is the one that the lake holds."""
    with contextlib.suppress(InputError):
        return head.is_among(own_heads(network, head.weight.shape[1], record.architecture))
    return False
