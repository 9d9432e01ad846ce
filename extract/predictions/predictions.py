"""What a head says of labelled samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featurestore.partitions.stored_accuracy import Accuracy, accuracy_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Predictions:
    """Labelled samples with their predicted classes; they add up over blocks.

    Attributes:
        classes: Outputs of the head.
        label: Class indices, int64 [n].
        predicted: The class of the largest logit, int64 [n].
        accuracy: Their top-1 and top-5 hits.
    """

    classes: int
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    accuracy: Accuracy

    @classmethod
    def of(cls, logits: NDArray[Any], labels: NDArray[np.int64]) -> Predictions:
        """The predictions of a block.

        Args:
            logits: Any float dtype, shape [n, C]; of a model without a head, C is 0 and nothing is predicted.
            labels: Class indices below C, shape [n]; samples of label -1 are left out.
        """
        if not logits.shape[1]:
            return cls.joined([])
        known = labels >= 0
        return cls(
            logits.shape[1], labels[known], np.argmax(logits[known], axis=1), accuracy_of(logits[known], labels[known])
        )

    @classmethod
    def joined(cls, blocks: Iterable[Predictions]) -> Predictions:
        """The predictions of several blocks, in their order."""
        found = list(blocks)
        none = np.empty(0, np.int64)
        return cls(
            max((block.classes for block in found), default=0),
            np.concatenate([none, *(block.label for block in found)]),
            np.concatenate([none, *(block.predicted for block in found)]),
            sum((block.accuracy for block in found), Accuracy()),
        )

    def __len__(self) -> int:
        return len(self.label)
