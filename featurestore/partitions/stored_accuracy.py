"""Accuracy as the lake stores it: counts that add up over blocks, and the partition that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from featurestore.errors import InputError
from featurestore.layout import basis
from featurestore.layout.tables import TABLES
from featurestore.partitions.writing import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from featurestore.layout.manifest import Part


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many of n samples have their label among the first and the first five classes.

    Attributes:
        n: Number of samples.
        top1_hits: Samples whose label ranks first.
        top5_hits: Samples whose label ranks among the first five.
    """

    n: int = 0
    top1_hits: int = 0
    top5_hits: int = 0

    @property
    def top1(self) -> float:
        """Share of samples whose label ranks first; InputError without samples."""
        return self._share(self.top1_hits)

    @property
    def top5(self) -> float:
        """Share of samples whose label ranks among the first five; InputError without samples."""
        return self._share(self.top5_hits)

    @property
    def rows(self) -> pa.Table:
        """The row of the `accuracy` table; InputError without samples."""
        return pa.table({"n": [self.n], "top1": [self.top1], "top5": [self.top5]}, schema=TABLES["accuracy"].columns)

    def __add__(self, other: Accuracy) -> Accuracy:
        return Accuracy(self.n + other.n, self.top1_hits + other.top1_hits, self.top5_hits + other.top5_hits)

    def _share(self, hits: int) -> float:
        if self.n == 0:
            raise InputError(
                "There is no accuracy without labelled samples; check that the dataset was extracted and has labels."
            )
        return hits / self.n


def accuracy_of(logits: NDArray[Any], labels: NDArray[np.int64]) -> Accuracy:
    """Count the samples of one block whose label ranks first, and among the first five; unlabelled ones do not count.

    A label's rank is the number of classes with a larger logit, plus those with an equal logit and a lower index, so
    that rank 0 agrees with `argmax`. With fewer than five classes every label is among the first five.

    Args:
        logits: Any float dtype, finite, shape [n, C].
        labels: Class indices below C, shape [n]; -1 where there is none.
    """
    known = labels >= 0
    logits, labels = logits[known], labels[known]
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    lower_index = np.arange(logits.shape[1]) < labels[:, None]
    rank = np.count_nonzero((logits > own) | ((logits == own) & lower_index), axis=1)
    return Accuracy(len(labels), int(np.count_nonzero(rank < 1)), int(np.count_nonzero(rank < 5)))


def accuracy_details(model: str, dataset: str, activations: Part) -> dict[str, Any]:
    """What is noted beside a model's accuracy: the activations that it rests on, so that answers know its age."""
    return {basis.NAME: basis.basis_of(model, {dataset: activations})}


def accuracy_target(model: str, dataset: str, activations: str) -> Target:
    """The partition of a model's accuracy, from the activations of that fingerprint."""
    return Target(TABLES["accuracy"], {"model": model, "dataset": dataset}, {"activations": activations}, {})
