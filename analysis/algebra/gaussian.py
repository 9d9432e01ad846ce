"""Gaussians with one covariance: pseudo-inverse, whitening and squared Mahalanobis distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from analysis.algebra.class_scatter import require_samples
from analysis.rows.checks import same_dimensions
from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.algebra.class_scatter import ClassStatistics

ROWS_AT_ONCE = 4096
"""Rows per product, so that the [rows, classes] product stays near 32 MB for 1,000 classes."""


@dataclass(frozen=True, slots=True, eq=False)
class GaussianFit:
    """Centres that share one covariance S, in coordinates where S^+ is the identity.

    Attributes:
        shift: Origin of the whitened coordinates, the mean of all samples, float64, shape [D].
        whitening: V / sqrt(lambda) over the kept, ascending eigenpairs of S, so that S^+ = A A', float64, shape [D, rank].
        centres: Whitened centres, one per class with samples, float64, shape [K, rank].
        rank: Number of kept eigenvalues, those that are more than rounding.
        condition: Largest over smallest kept eigenvalue.
    """

    shift: NDArray[np.float64]
    whitening: NDArray[np.float64]
    centres: NDArray[np.float64]
    rank: int
    condition: float


def fit_gaussian(statistics: ClassStatistics, dtype: str = "float64") -> GaussianFit:
    """Fit class means with a tied covariance: S = within / N.

    Source: Lee et al. 2018, arXiv 1807.03888, equation 1; divisor N and pseudo-inverse as in NINCO and OpenOOD.

    Args:
        statistics: Class statistics of the fit dataset.
        dtype: Precision in which its features were stored.

    Returns:
        One centre per class with samples.

    Raises:
        InputError: The statistics hold no samples.
        NumericalError: No feature varies within a class by more than rounding.
    """
    values, directions = _varying(statistics, dtype)
    whitening = directions / np.sqrt(values)
    shift = statistics.mean
    centres = (statistics.means[statistics.counts > 0] - shift) @ whitening
    return GaussianFit(shift, whitening, centres, len(values), float(values[-1] / values[0]))


def fit_background(statistics: ClassStatistics, classes: GaussianFit) -> GaussianFit:
    """Fit one Gaussian to all samples, ignoring classes, in the directions that the classes' Gaussians keep: S0 = total / N.

    Which directions are more than rounding is decided once, by the covariance within classes: a direction that one of two
    covariances keeps and the other leaves out would count as it likes in the difference of their distances.

    Source: Ren et al. 2021, arXiv 2106.09022, section 2.

    Args:
        statistics: Class statistics of the fit dataset.
        classes: What `fit_gaussian` returned of them.

    Returns:
        One centre, at the origin of the whitened coordinates; the rank is that of `classes`.
    """
    counts = statistics.counts[statistics.counts > 0]
    away = classes.centres * np.sqrt(counts / statistics.num_samples)[:, None]
    # Where S is the identity, S0 is that and the scatter of the centres.
    values, vectors = scipy.linalg.eigh(away.T @ away, driver="evd")
    whitening = classes.whitening @ (vectors / np.sqrt(1 + np.maximum(values, 0)))
    # Inverse eigenvalues of S0.
    inverse = scipy.linalg.eigvalsh(whitening.T @ whitening)
    rank = classes.rank
    return GaussianFit(classes.shift, whitening, np.zeros((1, rank)), rank, float(inverse[-1] / inverse[0]))


def varying_directions(statistics: ClassStatistics, dtype: str = "float64") -> NDArray[np.float64]:
    """The directions in which features vary within classes by more than rounding: orthonormal columns, shape [D, rank].

    Args:
        statistics: Class statistics of the fit dataset.
        dtype: Precision in which its features were stored.

    Raises:
        InputError: The statistics hold no samples.
        NumericalError: No feature varies within a class by more than rounding.
    """
    return _varying(statistics, dtype)[1]


def squared_distance(fit: GaussianFit, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared Mahalanobis distance to the nearest centre: min_c (h - mu_c)' S^+ (h - mu_c).

    Args:
        fit: A Gaussian of D dimensions.
        features: Float64, shape [n, D].

    Returns:
        Distances, float64, shape [n].

    Raises:
        InputError: The features have other dimensions than the fit.
    """
    same_dimensions(features, len(fit.shift))
    distance = np.empty(len(features))
    half_norm = np.einsum("kr,kr->k", fit.centres, fit.centres) / 2
    for start in range(0, len(features), ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        white = (features[block] - fit.shift) @ fit.whitening
        distance[block] = _to_nearest(white, fit.centres, half_norm)
    return distance


def rounding_variance(statistics: ClassStatistics, dtype: str) -> NDArray[np.float64]:
    """The most variance that rounding puts into each feature: (eps^2 + D eps_32^2) E[h^2] / 12.

    Rounding to the stored precision moves a number uniformly by up to half of its last digit, which is at most eps |h|, or
    the smallest number. Before that, networks compute in float32, where a normalisation over D features was seen to leave
    9 to 41 times the variance of one rounding for D from 24 to 768, which is below D times.

    Args:
        statistics: Class statistics of some samples.
        dtype: The precision in which their features were stored; float64 stands for features that are exact.

    Returns:
        Variances, float64, shape [D].
    """
    precision = np.finfo(dtype)
    computed = 0.0 if precision.dtype == np.float64 else statistics.dim * float(np.finfo(np.float32).eps) ** 2
    squares = np.diag(statistics.within) + statistics.counts @ statistics.means**2
    mean_square = squares / max(statistics.num_samples, 1)
    stored = float(precision.eps) ** 2
    return np.asarray(((stored + computed) * mean_square + float(precision.smallest_subnormal) ** 2) / 12)


def solver_rounding(dim: int, scale: float) -> float:
    """What rounding in the sums and the solver may leave of an eigenvalue of zero.

    Where features are constant, duplicate or collinear, that is a few eps of the largest eigenvalue, and no variation to
    divide by. It grows with D as in `scipy.linalg.pinvh`, but leaves room for "a few" when D is small.

    Args:
        dim: D, the matrix's dimension.
        scale: The largest eigenvalue of what the matrix was made from.
    """
    return float(max(dim, 64) * np.finfo(np.float64).eps * scale)


def _to_nearest(
    white: NDArray[np.float64], centres: NDArray[np.float64], half_norm: NDArray[np.float64]
) -> NDArray[np.float64]:
    # ||y - m||^2 = ||y||^2 - 2 (y'm - ||m||^2 / 2) cancels when y is much nearer to m than to the origin, so that the
    # product only picks the centre and the distance to it is taken directly. Centres between which rounding could
    # mistake the nearer one are equally near to within that rounding.
    nearest = np.argmax(white @ centres.T - half_norm, axis=1)
    difference = white - centres[nearest]
    squared: NDArray[np.float64] = np.einsum("nr,nr->n", difference, difference)
    return squared


def _varying(statistics: ClassStatistics, dtype: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the kept, ascending eigenvalues of S = within / N, shape [rank], and their eigenvectors, shape [D, rank].

    A fit set whose classes have collapsed onto their means has a covariance of nothing but noise, which would pass any cut
    relative to itself: what counts is the largest eigenvalue of the covariance of all samples. And after a LayerNorm of
    weight w, the sum of h / w is the same for all samples: along 1 / w, features vary by rounding alone.
    """
    samples = require_samples(statistics)
    scale = _largest_eigenvalue(statistics.total) / samples
    values, vectors = scipy.linalg.eigh(statistics.within / samples, driver="evd")
    kept = values > np.maximum(solver_rounding(len(values), scale), rounding_variance(statistics, dtype) @ vectors**2)
    if not kept.any():
        raise NumericalError(
            "No feature varies within a class by more than rounding, so that there is no covariance to measure distances by; "
            "check that the features and labels of the fit dataset are what they should be, or extract with --dtype float32."
        )
    return values[kept], vectors[:, kept]


def _largest_eigenvalue(matrix: NDArray[np.float64]) -> float:
    last = len(matrix) - 1
    return float(scipy.linalg.eigvalsh(matrix, subset_by_index=(last, last))[0])
