"""The largest distances, by class, of correctly classified samples' logits from their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.statistics.group_means import CORRECT_LOGITS, correct
from analysis.statistics.statistic import Statistic, SweepContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block

TAIL = 20
"""Distances that are kept of each class."""

_WAITING = 1 << 16
_ROWS_AT_ONCE = 64


class _Tails:
    """Keeps the largest distances of each class, with new ones waiting until there are enough to sort."""

    __slots__ = ("_classes", "_distances", "_means", "_waiting")

    def __init__(self, means: NDArray[np.float64]) -> None:
        self._means = means
        self._classes = [np.empty(0, np.int64)]
        self._distances = [np.empty(0)]
        self._waiting = 0

    def update(self, block: Block) -> None:
        classes = correct(block)
        rows = np.flatnonzero(classes >= 0)
        self._add(classes[rows], self._distances_of(block.activations.logits64, classes, rows))

    def merge(self, other: _Tails) -> None:
        for classes, distances in zip(other._classes, other._distances, strict=True):
            self._add(classes, distances)

    def finish(self) -> dict[str, NDArray[Any]]:
        self._keep_largest()
        classes, distances = self._classes[0], self._distances[0]
        tails = np.full((len(self._means), TAIL), -1.0)
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
        kept = _rank(classes) < TAIL
        self._classes, self._distances = [classes[kept]], [distances[kept]]
        self._waiting = 0


def _rank(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each entry among those of its class, for classes in ascending order."""
    return np.arange(len(classes)) - np.searchsorted(classes, classes)


def _start(context: SweepContext) -> _Tails:
    return _Tails(context.results[CORRECT_LOGITS.name]["means"])


LOGIT_TAILS = Statistic(
    f"correct-logit-tails-{TAIL}", _start, reads=("logits",), after=(CORRECT_LOGITS,), labelled=True
)
"""`distances`, float64, shape [C, 20]: the largest ||z - mean z||_2 of each class, descending; -1 where there are fewer."""
