"""What a head says of the labelled samples of a dataset: which it gets right, and how sure it is; from one pass over the logits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.checks import class_labels, finite_rows, float_matrix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from featurestore.lake import Lake

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]
    Truths = NDArray[np.bool_]

_CELLS = 1 << 21
"""So many logits are looked at together: 16 MiB in float64."""
NO_LABELS = "no sample that judges has a label"


@dataclass(frozen=True, slots=True)
class Predicted:
    """Labelled samples as a model sees them, in ascending order.

    Attributes:
        sample: Their numbers, int64, shape [n].
        right: Whether the largest logit is that of the label; of equal ones the first counts, shape [n].
        confidence: The largest softmax probability, float64, shape [n].
        nll: Minus the natural logarithm of the label's probability, float64, shape [n].
        brier: Squared distance of the probabilities from 1 for the label and 0 for all else, float64, shape [n].
        lacking: Why there are none, in words; empty where there are some.
    """

    sample: Integers
    right: Truths
    confidence: Floats
    nll: Floats
    brier: Floats
    lacking: str = ""

    @classmethod
    def none(cls, lacking: str) -> Predicted:
        """No samples, and why."""
        return cls(np.empty(0, np.int64), np.empty(0, bool), np.empty(0), np.empty(0), np.empty(0), lacking)

    @classmethod
    def of(cls, sample: Integers, logits: NDArray[Any], labels: NDArray[Any]) -> Predicted:
        """The labelled samples of a block; all numbers are computed in float64.

        Args:
            sample: Their numbers, ascending, shape [n].
            logits: Any float dtype, shape [n, C].
            labels: Class indices below C, shape [n]; -1 where there is none.

        Raises:
            InputError: Shapes, dtypes or labels do not fit.
            NumericalError: A logit is NaN or infinite.
        """
        float_matrix("Logits", logits)
        known = labels >= 0
        sample, logits, labels = sample[known], logits[known], labels[known]
        finite_rows("Logits", logits)
        own = class_labels(labels, *logits.shape)
        step = max(1, _CELLS // max(1, logits.shape[1]))
        starts = range(0, len(sample), step)
        numbers = [_numbers(logits[start : start + step], own[start : start + step]) for start in starts]
        right = np.argmax(logits, axis=1) == own if len(own) else np.empty(0, bool)
        columns = (np.concatenate([np.empty(0), *(block[place] for block in numbers)]) for place in range(3))
        confidence, nll, brier = columns
        return cls(sample, right, confidence, nll, brier)

    @classmethod
    def joined(cls, blocks: Iterable[Predicted]) -> Predicted:
        """The samples of several blocks, in their order."""
        found = [cls.none(NO_LABELS), *blocks]
        names = ("sample", "right", "confidence", "nll", "brier")
        columns = (np.concatenate([getattr(block, name) for block in found]) for name in names)
        sample, right, confidence, nll, brier = columns
        return cls(sample, right, confidence, nll, brier, "" if len(sample) else NO_LABELS)

    def places(self, sample: Integers) -> tuple[Integers, Truths]:
        """Where samples are among these, and which of them are, both of shape [len(sample)]."""
        if not len(self.sample):
            return np.zeros(len(sample), np.int64), np.zeros(len(sample), bool)
        place = np.minimum(np.searchsorted(self.sample, sample), len(self.sample) - 1)
        return place, self.sample[place] == sample


def read_predicted(lake: Lake, model: str, dataset: str, lacking: str = "") -> Predicted:
    """What a model says of a dataset, in memory bounded by a few blocks of logits.

    Args:
        lake: The lake; it holds activations of the model on the dataset.
        model: The model.
        dataset: The dataset.
        lacking: Why the model predicts nothing, in words; empty if it does.

    Raises:
        InputError: A label is no output of the head.
        NumericalError: A logit is NaN or infinite.
    """
    if lacking:
        return Predicted.none(lacking)
    blocks = lake.batches(model=model, dataset=dataset, columns=("sample", "label", "logits"))
    return Predicted.joined(Predicted.of(sample, logits, label) for sample, label, logits in blocks)


def _numbers(logits: NDArray[Any], labels: Integers) -> tuple[Floats, Floats, Floats]:
    """Confidence, NLL and Brier score of each row, from probabilities relative to the largest."""
    relative = logits.astype(np.float64)
    relative -= relative.max(axis=1, keepdims=True)
    own = np.take_along_axis(relative, labels[:, None], axis=1)[:, 0]
    np.exp(relative, out=relative)
    total = relative.sum(axis=1)
    nll = np.log(total) - own
    squares = np.einsum("nc,nc->n", relative, relative) / total**2
    return 1 / total, nll, np.maximum(squares - 2 * np.exp(-nll) + 1, 0)
