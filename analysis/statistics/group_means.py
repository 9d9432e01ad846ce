"""Groups of rows: means by predicted class, and of what was classified correctly means and outliers.

The outliers are the largest distances, by class, of logits from their mean.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from analysis.statistics.statistic import VALIDATION, Statistic, SweepContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from analysis.rows.activations import Block

    Groups = Callable[[Block], NDArray[np.int64]]

_WAITING = 1 << 16
_ROWS_AT_ONCE = 64


class _GroupMeans:
    """Sums of one of the arrays of activations, and counts, by group; a row of group -1 belongs to none."""

    __slots__ = ("_counts", "_groups", "_sums", "_values")

    def __init__(self, context: SweepContext, groups: Groups, values: str) -> None:
        width = {"logits64": context.classes, "probabilities": context.classes, "log_sum_exp": 1}.get(
            values, context.dim
        )
        self._sums = np.zeros((context.classes, width))
        self._counts = np.zeros(context.classes, np.int64)
        self._groups, self._values = groups, values

    def update(self, block: Block) -> None:
        groups, values = self._groups(block), getattr(block.activations, self._values)
        rows = np.flatnonzero(groups >= 0)
        if not len(rows):
            return
        present, number = np.unique(groups[rows], return_inverse=True)
        one_hot = scipy.sparse.csr_array((np.ones(len(rows)), (number, rows)), shape=(len(present), len(block)))
        self._sums[present] += np.asarray(one_hot @ values.reshape(len(block), -1))
        self._counts += np.bincount(groups[rows], minlength=len(self._counts))

    def merge(self, other: _GroupMeans) -> None:
        self._sums += other._sums
        self._counts += other._counts

    def finish(self) -> dict[str, NDArray[Any]]:
        return {"means": self._sums / np.maximum(self._counts, 1)[:, None], "counts": self._counts}


class _Tails:
    """Keeps the largest distances of each class, with new ones waiting until there are enough to sort."""

    __slots__ = ("_classes", "_distances", "_means", "_tail", "_waiting")

    def __init__(self, context: SweepContext, tail: int) -> None:
        self._tail = tail
        self._means = context.results[CORRECT_LOGITS.name]["means"]
        self._classes = [np.empty(0, np.int64)]
        self._distances = [np.empty(0)]
        self._waiting = 0

    def update(self, block: Block) -> None:
        classes = _correct(block)
        rows = np.flatnonzero(classes >= 0)
        self._add(classes[rows], self._distances_of(block.activations.logits64, classes, rows))

    def merge(self, other: _Tails) -> None:
        for classes, distances in zip(other._classes, other._distances, strict=True):
            self._add(classes, distances)

    def finish(self) -> dict[str, NDArray[Any]]:
        self._keep_largest()
        classes, distances = self._classes[0], self._distances[0]
        tails = np.full((len(self._means), self._tail), -1.0)
        tails[classes, _rank(classes)] = distances
        return {"distances": tails}

    def _distances_of(
        self, logits: NDArray[np.float64], classes: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        found = [np.empty(0)]
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            away = logits[part]
            away -= self._means[classes[part]]
            found.append(np.sqrt(np.einsum("nc,nc->n", away, away)))
        return np.concatenate(found)

    def _add(self, classes: NDArray[np.int64], distances: NDArray[np.float64]) -> None:
        self._classes.append(classes)
        self._distances.append(distances)
        self._waiting += len(classes)
        if self._waiting > _WAITING:
            self._keep_largest()

    def _keep_largest(self) -> None:
        classes, distances = np.concatenate(self._classes), np.concatenate(self._distances)
        order = np.lexsort((-distances, classes))
        classes, distances = classes[order], distances[order]
        kept = _rank(classes) < self._tail
        self._classes, self._distances = [classes[kept]], [distances[kept]]
        self._waiting = 0


def _rank(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each entry among those of its class, for classes in ascending order."""
    return np.arange(len(classes)) - np.searchsorted(classes, classes)


def _predicted(block: Block) -> NDArray[np.int64]:
    return block.activations.predicted


def _correct(block: Block) -> NDArray[np.int64]:
    """The class of each row that is classified as labelled, -1 for every other row, shape [n]."""
    return np.where(block.activations.predicted == block.label, block.label, -1)


PREDICTED_PROBABILITIES = Statistic(
    "predicted-probabilities", partial(_GroupMeans, groups=_predicted, values="probabilities"), reads=("logits",)
)
"""Mean softmax p by predicted class: `means`, float64, shape [C, C], zero where `counts`, int64, shape [C], is 0."""

VALIDATION_PREDICTED_PROBABILITIES = replace(
    PREDICTED_PROBABILITIES, name="predicted-probabilities-val", source=VALIDATION
)
"""The same of the validation rows."""

PREDICTED_FEATURES = Statistic(
    "predicted-features",
    partial(_GroupMeans, groups=_predicted, values="feature64"),
    reads=("feature", "logits"),
    for_unit_features=Statistic(
        "predicted-features-normalised",
        partial(_GroupMeans, groups=_predicted, values="normalised64"),
        reads=("feature", "logits"),
    ),
)
"""Mean of what the head is fed, h or h / ||h||_2, by predicted class: `means` [C, D], zero where `counts` [C] is 0."""

PREDICTED_ENERGY = Statistic(
    "predicted-energy", partial(_GroupMeans, groups=_predicted, values="log_sum_exp"), reads=("logits",)
)
"""Mean log sum_c exp(z_c) by predicted class: `means` [C, 1], zero where `counts` [C] is 0."""

CORRECT_FEATURES = Statistic(
    "correct-features",
    partial(_GroupMeans, groups=_correct, values="feature64"),
    reads=("feature", "logits"),
    labelled=True,
)
"""Mean feature h by class of the samples that are classified correctly: `means` [C, D], `counts` [C]."""

CORRECT_LOGITS = Statistic(
    "correct-logits", partial(_GroupMeans, groups=_correct, values="logits64"), reads=("logits",), labelled=True
)
"""Mean logits z by class of the samples that are classified correctly: `means` [C, C], `counts` [C]."""


def logit_tails(tail: int) -> Statistic:
    """`distances`, float64, shape [C, tail]: the largest ||z - mean z||_2 of each class, descending; -1 where there are fewer."""
    start = partial(_Tails, tail=tail)
    return Statistic(f"correct-logit-tails-{tail}", start, reads=("logits",), after=(CORRECT_LOGITS,), labelled=True)
