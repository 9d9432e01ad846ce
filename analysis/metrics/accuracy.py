"""Top-1 and top-5 accuracy as counts that add up over blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.checks import class_labels, finite_rows, float_matrix
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many of n samples have their label among the first and the first five classes.

    Attributes:
        n: Number of samples.
        top1_hits: Samples whose label ranks first.
        top5_hits: Samples whose label ranks among the first five.
    """

    n: int
    top1_hits: int
    top5_hits: int

    @property
    def top1(self) -> float:
        """Share of samples whose label ranks first; InputError without samples."""
        return self._share(self.top1_hits)

    @property
    def top5(self) -> float:
        """Share of samples whose label ranks among the first five; InputError without samples."""
        return self._share(self.top5_hits)

    def __add__(self, other: Accuracy) -> Accuracy:
        return Accuracy(self.n + other.n, self.top1_hits + other.top1_hits, self.top5_hits + other.top5_hits)

    def _share(self, hits: int) -> float:
        if self.n == 0:
            raise InputError(
                "There is no accuracy without labelled samples; check that the dataset was extracted and has labels."
            )
        return hits / self.n


def accuracy(logits: NDArray[Any], labels: NDArray[Any]) -> Accuracy:
    """Count the samples of one block whose label ranks first, and among the first five.

    A label's rank is the number of classes with a larger logit, plus those with an equal logit and a lower index, so
    that rank 0 agrees with `argmax`. With fewer than five classes every label is among the first five.

    Args:
        logits: Any float dtype, shape [n, C].
        labels: Class indices, any integer dtype, shape [n].

    Returns:
        Counts, to be added over blocks.

    Raises:
        InputError: Shapes, dtypes or labels do not fit.
        NumericalError: A logit is NaN or infinite.
    """
    float_matrix("Logits", logits)
    finite_rows("Logits", logits)
    labels = class_labels(labels, *logits.shape)
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    lower_index = np.arange(logits.shape[1]) < labels[:, None]
    rank = np.count_nonzero((logits > own) | ((logits == own) & lower_index), axis=1)
    return Accuracy(len(labels), int(np.count_nonzero(rank < 1)), int(np.count_nonzero(rank < 5)))
