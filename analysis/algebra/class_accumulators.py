"""Class means and scatter of features, in one pass over blocks, mergeable in any order.

Rows are centred at a mean of their own class, so neither a large offset nor tight clusters cancel: the within-class scatter
keeps its own precision, not that of the total.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.algebra.class_scatter import (
    ClassMeans,
    ClassStatistics,
    class_sums,
    empty_statistics,
    merged,
    merged_means,
    scatter_of,
    too_large,
)
from analysis.rows.checks import class_labels, finite_rows, float_matrix
from featurestore.errors import InputError

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

# Rows of one class in a row, on average, from which on it pays to treat each such run by itself.
_LONG_RUN = 32


class ClassMeansAccumulator:
    """Class means of a stream of blocks, to the last bit those of `ClassStatisticsAccumulator`, without the scatter.

    Args:
        num_classes: C; labels lie in 0 .. C - 1.
        dim: D, the feature dimension.
    """

    __slots__ = ("_buffer", "_centres", "_counts", "_means", "_scatter", "_sums")

    def __init__(self, num_classes: int, dim: int) -> None:
        if num_classes < 1 or dim < 1:
            raise InputError(f"Class statistics need a class and a dimension; got {num_classes} classes of {dim}.")
        self._counts = np.zeros(num_classes, np.int64)
        self._centres = np.zeros((num_classes, dim))
        # Of h - centre.
        self._sums = np.zeros((num_classes, dim))
        self._scatter = np.zeros((1, 1))
        self._buffer = np.empty((0, dim))
        self._means = ClassMeans(np.zeros(num_classes, np.int64), np.zeros((num_classes, dim)))

    def update(self, features: NDArray[Any], labels: NDArray[Any]) -> None:
        """Add one block.

        Args:
            features: Float16, float32 or float64, shape [n, D].
            labels: Class indices, any integer dtype, shape [n].

        Raises:
            InputError: Shapes, dtypes or labels do not fit; the accumulator is left as it was.
            NumericalError: A feature is NaN or infinite, or too large to square in float64; likewise.
        """
        float_matrix("Features", features)
        num_classes, dim = self._centres.shape
        if features.shape[1] != dim:
            raise InputError(f"Features have {features.shape[1]} dimensions; expected {dim}.")
        labels = class_labels(labels, len(features), num_classes)
        counts = np.bincount(labels, minlength=num_classes)
        new = (self._counts == 0) & (counts > 0)
        if new.any():
            self._centres[new] = _finite_means(features, labels, new)
        starts = np.flatnonzero(np.diff(labels, prepend=-1))
        # Class by class, as image folders list them, or in any order.
        runs = list(pairwise([*starts, len(labels)])) if len(starts) <= len(labels) // _LONG_RUN else None
        rows = self._centred(features, labels, runs)
        with np.errstate(over="ignore", invalid="ignore"):
            products = self._products(rows)
            if not np.isfinite(np.trace(products)):
                finite_rows("Features", features)
                raise too_large()
        self._scatter += products
        if runs is None:
            self._sums += class_sums(rows, labels, num_classes)
        else:
            for start, stop in runs:
                self._sums[labels[start]] += rows[start:stop].sum(axis=0)
        self._counts += counts

    def merge(self, other: Self) -> None:
        """Add everything that another accumulator has seen.

        Raises:
            InputError: The other one has other classes or dimensions.
        """
        self._means = merged_means(self._means, other.finish())

    def finish(self) -> ClassMeans:
        """Return the means of all blocks so far."""
        return merged_means(self._means, ClassMeans(self._counts.copy(), self._centres + self._left_over))

    @property
    def _left_over(self) -> NDArray[np.float64]:
        """What the centres leave of the means."""
        return self._sums / np.maximum(self._counts, 1)[:, None]

    def _products(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of the squares of rows less their centres, shape [1, 1]."""
        return np.full((1, 1), np.einsum("nd,nd->", rows, rows))

    def _centred(
        self, features: NDArray[Any], labels: NDArray[np.int64], runs: list[tuple[int, int]] | None
    ) -> NDArray[np.float64]:
        if len(self._buffer) < len(features):
            self._buffer = np.empty(features.shape)
        rows = self._buffer[: len(features)]
        with np.errstate(over="ignore", invalid="ignore"):
            if runs is None:
                # Labels are in range; with mode "raise" numpy would fill a buffer first.
                np.take(self._centres, labels, axis=0, out=rows, mode="clip")
                np.subtract(features, rows, out=rows)
            else:
                for start, stop in runs:
                    np.subtract(features[start:stop], self._centres[labels[start]], out=rows[start:stop])
        return rows


class ClassStatisticsAccumulator(ClassMeansAccumulator):
    """Class statistics of a stream of blocks, in float64 and in memory that does not grow with the stream.

    The rows of a class are centred at a provisional mean, that of the first block in which the class occurs. What this
    leaves of its true mean is taken out once, at the end, and is never larger than n_c times the scatter it leaves, so
    that no more than log10(n_c) of the digits can cancel; each block then costs little but its product with itself.

    Args:
        num_classes: C; labels lie in 0 .. C - 1.
        dim: D, the feature dimension.
    """

    __slots__ = ("_merged",)

    def __init__(self, num_classes: int, dim: int) -> None:
        super().__init__(num_classes, dim)
        self._scatter = np.zeros((dim, dim))
        self._merged = empty_statistics(num_classes, dim)

    def merge(self, other: Self) -> None:
        """Add everything that another accumulator has seen.

        Raises:
            InputError: The other one has other classes or dimensions.
        """
        self._merged = merged(self._merged, other.finish())

    def finish(self) -> ClassStatistics:
        """Return the statistics of all blocks so far."""
        left_over = self._left_over
        within = self._scatter - scatter_of(self._counts, left_over)
        # Rounding leaves a feature that is constant within classes a little below zero.
        np.fill_diagonal(within, np.maximum(np.diag(within), 0.0))
        own = ClassStatistics(self._counts.copy(), self._centres + left_over, within)
        return merged(self._merged, own)

    def _products(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scatter of rows about their centres, shape [D, D]."""
        # A matrix times its own transpose: BLAS computes one triangle, and other threads go on meanwhile.
        return np.asarray(rows.T @ rows)


def _finite_means(features: NDArray[Any], labels: NDArray[np.int64], wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The means of some classes in float64, shape [wanted classes, D]; zero where not finite: what ails the rows is found later."""
    rows = np.flatnonzero(wanted[labels])
    number = np.cumsum(wanted) - 1
    with np.errstate(over="ignore", invalid="ignore"):
        sums = class_sums(features[rows].astype(np.float64), number[labels[rows]], int(number[-1]) + 1)
        means = sums / np.bincount(number[labels[rows]])[:, None]
    return np.where(np.isfinite(means), means, 0.0)
