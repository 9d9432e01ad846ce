"""Norms of features: how many, their mean and their squared deviations, by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.statistics.statistic import Statistic, SweepContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block


class _Norms:
    """Count, mean and sum of squared deviations of each class, updated in pairs (Chan, Golub & LeVeque 1979)."""

    __slots__ = ("_counts", "_means", "_squares")

    def __init__(self, context: SweepContext) -> None:
        self._counts = np.zeros(context.classes, np.int64)
        self._means = np.zeros(context.classes)
        self._squares = np.zeros(context.classes)

    def update(self, block: Block) -> None:
        norms = np.linalg.norm(block.activations.feature64, axis=1)
        counts = np.bincount(block.label, minlength=len(self._counts))
        means = np.bincount(block.label, norms, len(counts)) / np.maximum(counts, 1)
        deviations = (norms - means[block.label]) ** 2
        squares: NDArray[Any] = np.bincount(block.label, deviations, len(counts))
        self._add(counts, means, squares)

    def merge(self, other: _Norms) -> None:
        self._add(other._counts, other._means, other._squares)

    def finish(self) -> dict[str, NDArray[Any]]:
        return {"counts": self._counts, "means": self._means, "squares": self._squares}

    def _add(self, counts: NDArray[np.int64], means: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        total = self._counts + counts
        share = counts / np.maximum(total, 1)
        apart = means - self._means
        self._means = self._means + share * apart
        self._squares = self._squares + squares + self._counts * share * apart**2
        self._counts = total


FEATURE_NORMS = Statistic("feature-norms", _Norms, labelled=True)
"""Arrays `counts` (int64), `means` and `squares` (sum of squared deviations) of ||h||_2 by class, shape [C]."""
