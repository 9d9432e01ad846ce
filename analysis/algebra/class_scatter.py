"""Class means and scatter of features: what they are, those of one block, and how those of disjoint samples are merged.

They are merged by the pairwise update of Chan, Golub & LeVeque (1979), in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from analysis.rows.checks import class_labels, finite_rows, float_matrix
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ClassMeans:
    """Means of labelled features.

    Attributes:
        counts: Samples per class, int64, shape [C].
        means: Mean feature per class, float64, shape [C, D]; zero for classes without samples.
    """

    counts: NDArray[np.int64]
    means: NDArray[np.float64]

    @property
    def num_samples(self) -> int:
        """N, the samples of all classes together."""
        return int(self.counts.sum())

    @property
    def dim(self) -> int:
        """D, the feature dimension."""
        return int(self.means.shape[1])

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean feature of all samples, shape [D]; zero without samples."""
        return self.counts @ self.means / max(self.num_samples, 1)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that determine these statistics, by name, to be stored."""
        return {"counts": self.counts, "means": self.means}


@dataclass(frozen=True, slots=True, eq=False)
class ClassStatistics(ClassMeans):
    """Sufficient statistics of labelled features for every Gaussian detector.

    Attributes:
        within: Sum over samples of (h - mu_y)(h - mu_y)', not divided by N, float64, shape [D, D].
    """

    within: NDArray[np.float64]

    @property
    def between(self) -> NDArray[np.float64]:
        """Sum over classes of n_c (mu_c - mu)(mu_c - mu)', shape [D, D]."""
        return scatter_of(self.counts, self.means - self.mean)

    @property
    def total(self) -> NDArray[np.float64]:
        """Sum over samples of (h - mu)(h - mu)' = within + between, shape [D, D]."""
        return self.within + self.between

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that determine these statistics, by name, to be stored."""
        return {**ClassMeans.to_arrays(self), "within": self.within}

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


def require_samples(statistics: ClassMeans) -> int:
    """Return N, the samples of all classes together.

    Raises:
        InputError: There is none.
    """
    if statistics.num_samples == 0:
        raise InputError("Class statistics without samples cannot be fitted; extract the fit dataset first.")
    return statistics.num_samples


def empty_statistics(num_classes: int, dim: int) -> ClassStatistics:
    """Return the statistics of no samples: merged with others, they change nothing."""
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
        centres = class_sums(rows, labels, num_classes) / np.maximum(counts, 1)[:, None]
        rows -= centres[labels]
        within = rows.T @ rows
    if not np.isfinite(within).all():
        raise too_large()
    return ClassStatistics(counts, np.where(counts[:, None] > 0, centres + shift, 0.0), within)


def merged_means(first: ClassMeans, second: ClassMeans) -> ClassMeans:
    """Combine the means of two disjoint sets of samples: per class, mu = mu_1 + n_2/n (mu_2 - mu_1).

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
    return ClassMeans(counts, first.means + share[:, None] * (second.means - first.means))


def merged(first: ClassStatistics, second: ClassStatistics) -> ClassStatistics:
    """Combine the statistics of two disjoint sets of samples.

    Per class means are as above, and within = within_1 + within_2 + n_1 n_2/n (mu_2 - mu_1)(mu_2 - mu_1)'.

    Raises:
        InputError: The two have other classes or dimensions.
    """
    both = merged_means(first, second)
    weights = first.counts * (second.counts / np.maximum(both.counts, 1))
    within = first.within + second.within + scatter_of(weights, second.means - first.means)
    return ClassStatistics(both.counts, both.means, within)


def too_large() -> NumericalError:
    """The error of features whose squares overflow."""
    return NumericalError(
        "The features of this block are too large to square in float64; scale them, or check the extraction."
    )


def class_sums(rows: NDArray[np.float64], labels: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    """Sum the rows of each class: [n, D] to [C, D], as a product with the sparse one-hot matrix of the labels."""
    samples = np.arange(len(rows))
    one_hot = scipy.sparse.csr_array((np.ones(len(rows)), (labels, samples)), shape=(num_classes, len(rows)))
    return np.asarray(one_hot @ rows)


def scatter_of(weights: NDArray[Any], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum w_i r_i r_i' over the rows with positive weight: [n], [n, D] to [D, D]."""
    used = np.flatnonzero(weights)
    scaled: NDArray[np.float64] = np.sqrt(weights[used, None]) * rows[used]
    return scaled.T @ scaled
