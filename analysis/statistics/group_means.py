"""Means over groups of rows: of probabilities by predicted class, and of features and logits of what was classified correctly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from analysis.statistics.statistic import VALIDATION, Statistic, SweepContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from analysis.rows.activations import Activations, Block

    Groups = Callable[[Block], NDArray[np.int64]]
    Values = Callable[[Activations], NDArray[np.float64]]


class _GroupMeans:
    """Sums and counts by group; a row of group -1 belongs to none."""

    __slots__ = ("_counts", "_groups", "_sums", "_values")

    def __init__(self, classes: int, width: int, groups: Groups, values: Values) -> None:
        self._sums = np.zeros((classes, width))
        self._counts = np.zeros(classes, np.int64)
        self._groups, self._values = groups, values

    def update(self, block: Block) -> None:
        groups, values = self._groups(block), self._values(block.activations)
        rows = np.flatnonzero(groups >= 0)
        present, number = np.unique(groups[rows], return_inverse=True)
        one_hot = sparse.csr_array((np.ones(len(rows)), (number, rows)), shape=(len(present), len(block)))
        self._sums[present] += np.asarray(one_hot @ values)
        self._counts += np.bincount(groups[rows], minlength=len(self._counts))

    def merge(self, other: _GroupMeans) -> None:
        self._sums += other._sums
        self._counts += other._counts

    def finish(self) -> dict[str, NDArray[Any]]:
        return {"means": self._sums / np.maximum(self._counts, 1)[:, None], "counts": self._counts}


def _predicted(block: Block) -> NDArray[np.int64]:
    return block.activations.predicted


def correct(block: Block) -> NDArray[np.int64]:
    """The class of each row that is classified as labelled, -1 for every other row, shape [n]."""
    return np.where(block.activations.predicted == block.label, block.label, -1)


def _probabilities(context: SweepContext) -> _GroupMeans:
    return _GroupMeans(context.classes, context.classes, _predicted, lambda rows: rows.probabilities)


def _features(context: SweepContext) -> _GroupMeans:
    return _GroupMeans(context.classes, context.dim, correct, lambda rows: rows.feature64)


def _logits(context: SweepContext) -> _GroupMeans:
    return _GroupMeans(context.classes, context.classes, correct, lambda rows: rows.logits64)


PREDICTED_PROBABILITIES = Statistic("predicted-probabilities", _probabilities, reads=("logits",))
"""Mean softmax p by predicted class: `means`, float64, shape [C, C], zero where `counts`, int64, shape [C], is 0."""

VALIDATION_PREDICTED_PROBABILITIES = replace(
    PREDICTED_PROBABILITIES, name="predicted-probabilities-val", source=VALIDATION
)
"""The same of the validation rows."""

CORRECT_FEATURES = Statistic("correct-features", _features, reads=("feature", "logits"), labelled=True)
"""Mean feature h by class of the samples that are classified correctly: `means` [C, D], `counts` [C]."""

CORRECT_LOGITS = Statistic("correct-logits", _logits, reads=("logits",), labelled=True)
"""Mean logits z by class of the samples that are classified correctly: `means` [C, C], `counts` [C]."""
