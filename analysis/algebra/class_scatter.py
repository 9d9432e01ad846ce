"""Class means and scatter of features, in one pass over blocks, mergeable in any order.

Rows are centred at a mean of their own class, and partial results are merged by the pairwise update of Chan, Golub &
LeVeque (1979), so neither a large offset nor tight clusters cancel: the within-class scatter keeps its own precision,
not that of the total.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from analysis.rows.checks import class_labels, finite_rows, float_matrix
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


# Rows of one class in a row, on average, from which on it pays to treat each such run by itself.
_LONG_RUN = 32


@dataclass(frozen=True, slots=True, eq=False)
class ClassStatistics:
    """Sufficient statistics of labelled features for every Gaussian detector.

    Attributes:
        counts: Samples per class, int64, shape [C].
        means: Mean feature per class, float64, shape [C, D]; zero for classes without samples.
        within: Sum over samples of (h - mu_y)(h - mu_y)', not divided by N, float64, shape [D, D].
    """

    counts: NDArray[np.int64]
    means: NDArray[np.float64]
    within: NDArray[np.float64]

    @property
    def num_samples(self) -> int:
        """N, the samples of all classes together."""
        return int(self.counts.sum())

    @property
    def dim(self) -> int:
        """D, the feature dimension."""
        return len(self.within)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean feature of all samples, shape [D]; zero without samples."""
        return self.counts @ self.means / max(self.num_samples, 1)

    @property
    def between(self) -> NDArray[np.float64]:
        """Sum over classes of n_c (mu_c - mu)(mu_c - mu)', shape [D, D]."""
        return _scatter(self.counts, self.means - self.mean)

    @property
    def total(self) -> NDArray[np.float64]:
        """Sum over samples of (h - mu)(h - mu)' = within + between, shape [D, D]."""
        return self.within + self.between

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that determine these statistics, by name, to be stored."""
        return {"counts": self.counts, "means": self.means, "within": self.within}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ClassStatistics:
        """Rebuild statistics from what `to_arrays` returned.

        Raises:
            InputError: An array is absent, or the shapes do not fit together.
        """
        absent = {"counts", "means", "within"} - set(arrays)
        if absent:
            raise InputError(f"Stored class statistics lack {', '.join(sorted(absent))}; fit this model again.")
        counts = np.asarray(arrays["counts"], dtype=np.int64)
        means = np.asarray(arrays["means"], dtype=np.float64)
        within = np.asarray(arrays["within"], dtype=np.float64)
        if means.ndim != 2 or counts.shape != means.shape[:1] or within.shape != 2 * means.shape[1:]:
            raise InputError(
                "Stored class statistics do not fit together: "
                f"counts {list(counts.shape)}, means {list(means.shape)}, within {list(within.shape)}; "
                "fit this model again."
            )
        return cls(counts, means, within)


class ClassStatisticsAccumulator:
    """Class statistics of a stream of blocks, in float64 and in memory that does not grow with the stream.

    The rows of a class are centred at a provisional mean, that of the first block in which the class occurs. What this
    leaves of its true mean is taken out once, at the end, and is never larger than n_c times the scatter it leaves, so
    that no more than log10(n_c) of the digits can cancel; each block then costs little but its product with itself.

    Args:
        num_classes: C; labels lie in 0 .. C - 1.
        dim: D, the feature dimension.
    """

    __slots__ = ("_buffer", "_centres", "_counts", "_merged", "_scatter", "_sums")

    def __init__(self, num_classes: int, dim: int) -> None:
        if num_classes < 1 or dim < 1:
            raise InputError(f"Class statistics need a class and a dimension; got {num_classes} classes of {dim}.")
        self._counts = np.zeros(num_classes, np.int64)
        self._centres = np.zeros((num_classes, dim))
        # Of h - centre.
        self._sums = np.zeros((num_classes, dim))
        self._scatter = np.zeros((dim, dim))
        self._buffer = np.empty((0, dim))
        self._merged = empty_statistics(num_classes, dim)

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
        for label in np.flatnonzero(new):
            self._centres[label] = _finite_mean(features[labels == label])
        starts = np.flatnonzero(np.diff(labels, prepend=-1))
        # Class by class, as image folders list them, or in any order.
        runs = list(pairwise([*starts, len(labels)])) if len(starts) <= len(labels) // _LONG_RUN else None
        rows = self._centred(features, labels, runs)
        with np.errstate(over="ignore", invalid="ignore"):
            # A matrix times its own transpose: BLAS computes one triangle, and other threads go on meanwhile.
            scatter = rows.T @ rows
            if not np.isfinite(np.trace(scatter)):
                finite_rows("Features", features)
                raise _too_large()
        self._scatter += scatter
        if runs is None:
            self._sums += _class_sums(rows, labels, num_classes)
        else:
            for start, stop in runs:
                self._sums[labels[start]] += rows[start:stop].sum(axis=0)
        self._counts += counts

    def merge(self, other: ClassStatisticsAccumulator) -> None:
        """Add everything that another accumulator has seen.

        Raises:
            InputError: The other one has other classes or dimensions.
        """
        self._merged = merged(self._merged, other.finish())

    def finish(self) -> ClassStatistics:
        """Return the statistics of all blocks so far."""
        left_over = self._sums / np.maximum(self._counts, 1)[:, None]
        within = self._scatter - _scatter(self._counts, left_over)
        # Rounding leaves a feature that is constant within classes a little below zero.
        np.fill_diagonal(within, np.maximum(np.diag(within), 0.0))
        own = ClassStatistics(self._counts.copy(), self._centres + left_over, within)
        return merged(self._merged, own)

    def _centred(
        self, features: NDArray[Any], labels: NDArray[np.int64], runs: list[tuple[int, int]] | None
    ) -> NDArray[np.float64]:
        if len(self._buffer) < len(features):
            self._buffer = np.empty(features.shape)
        rows = self._buffer[: len(features)]
        with np.errstate(over="ignore", invalid="ignore"):
            if runs is None:
                np.take(self._centres, labels, axis=0, out=rows)
                np.subtract(features, rows, out=rows)
            else:
                for start, stop in runs:
                    np.subtract(features[start:stop], self._centres[labels[start]], out=rows[start:stop])
        return rows


def require_samples(statistics: ClassStatistics) -> int:
    """Return N, the samples of all classes together.

    Raises:
        InputError: There is none.
    """
    if statistics.num_samples == 0:
        raise InputError("Class statistics without samples cannot be fitted; extract the fit dataset first.")
    return statistics.num_samples


def empty_statistics(num_classes: int, dim: int) -> ClassStatistics:
    """Return the statistics of no samples, which `merged` leaves everything else as it is."""
    return ClassStatistics(np.zeros(num_classes, np.int64), np.zeros((num_classes, dim)), np.zeros((dim, dim)))


def class_statistics(features: NDArray[Any], labels: NDArray[Any], num_classes: int) -> ClassStatistics:
    """Compute the class statistics of one block that fits in memory.

    Args:
        features: Any float dtype, shape [n, D].
        labels: Class indices, any integer dtype, shape [n].
        num_classes: C.

    Returns:
        Statistics over these n samples.

    Raises:
        InputError: Shapes, dtypes or labels do not fit.
        NumericalError: A feature is NaN or infinite, or too large to square in float64.
    """
    float_matrix("Features", features)
    finite_rows("Features", features)
    labels = class_labels(labels, len(features), num_classes)
    counts = np.bincount(labels, minlength=num_classes)
    if len(features) == 0:
        return empty_statistics(num_classes, features.shape[1])
    rows = features.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        # Class sums are taken near zero: beside a large offset they would lose the digits in which classes differ.
        shift = rows.mean(axis=0)
        rows -= shift
        centres = _class_sums(rows, labels, num_classes) / np.maximum(counts, 1)[:, None]
        rows -= centres[labels]
        within = rows.T @ rows
    if not np.isfinite(within).all():
        raise _too_large()
    return ClassStatistics(counts, np.where(counts[:, None] > 0, centres + shift, 0.0), within)


def merged(first: ClassStatistics, second: ClassStatistics) -> ClassStatistics:
    """Combine the statistics of two disjoint sets of samples.

    Per class: mu = mu_1 + n_2/n (mu_2 - mu_1) and within = within_1 + within_2 + n_1 n_2/n (mu_2 - mu_1)(mu_2 - mu_1)'.

    Raises:
        InputError: The two have other classes or dimensions.
    """
    if first.means.shape != second.means.shape:
        raise InputError(
            f"Class statistics of {list(first.means.shape)} and {list(second.means.shape)} (classes, dimensions) "
            "cannot be merged; they come from different models or class lists."
        )
    counts = first.counts + second.counts
    share = second.counts / np.maximum(counts, 1)
    apart = second.means - first.means
    means = first.means + share[:, None] * apart
    within = first.within + second.within + _scatter(first.counts * share, apart)
    return ClassStatistics(counts, means, within)


def _finite_mean(rows: NDArray[Any]) -> NDArray[np.float64]:
    """The mean of some rows in float64, shape [D]; zero where it is not finite: what ails the rows is found later."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = rows.mean(axis=0, dtype=np.float64)
    return np.where(np.isfinite(mean), mean, 0.0)


def _too_large() -> NumericalError:
    return NumericalError(
        "The features of this block are too large to square in float64; scale them, or check the extraction."
    )


def _class_sums(rows: NDArray[np.float64], labels: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    """Sum the rows of each class: [n, D] to [C, D], as a product with the sparse one-hot matrix of the labels."""
    samples = np.arange(len(rows))
    one_hot = sparse.csr_array((np.ones(len(rows)), (labels, samples)), shape=(num_classes, len(rows)))
    return np.asarray(one_hot @ rows)


def _scatter(weights: NDArray[Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum w_i r_i r_i' over the rows with positive weight: [n], [n, D] to [D, D]."""
    used = np.flatnonzero(weights)
    scaled: NDArray[np.float64] = np.sqrt(weights[used, None]) * rows[used]
    return scaled.T @ scaled
