"""Subspaces, and residual spaces: what the principal axes of the features leave, about the point where a head's logits vanish.

Source of these: Wang et al. 2022, arXiv 2203.10807, sections 4.1 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy

from analysis.algebra.class_scatter import ClassStatistics, require_samples
from analysis.rows.checks import same_dimensions
from featurestore.errors import InputError, MissingError, NumericalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    from analysis.rows.head import Head

_CUT = 1.2e-7
# Below this share of the squared length, the difference of two squared lengths has lost too many digits.
_CANCELS = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """A linear subspace of D dimensions.

    Attributes:
        basis: Orthonormal columns that span it, or its complement if that takes fewer, float64, shape [D, m], m <= D/2.
        complement: 1 where they span the complement, else 0.
    """

    basis: NDArray[np.float64]
    complement: int


def subspace(vectors: NDArray[np.float64], start: int, stop: int) -> Subspace:
    """The span of the orthonormal columns `start` to `stop` of a square matrix, shape [D, D]."""
    inside = np.arange(len(vectors))
    chosen = (inside >= start) & (inside < stop)
    complement = 2 * int(chosen.sum()) > len(vectors)
    return Subspace(np.ascontiguousarray(vectors[:, ~chosen if complement else chosen]), int(complement))


def norms_inside(space: Subspace, rows: NDArray[np.float64], squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean norms of the projections of rows onto a subspace.

    Args:
        space: A subspace of D dimensions.
        rows: Float64, shape [n, D].
        squared: Their squared norms, float64, shape [n].

    Returns:
        Norms, float64, shape [n].

    Raises:
        InputError: The rows have other dimensions than the subspace.
    """
    same_dimensions(rows, len(space.basis))
    along = rows @ space.basis
    spanned = np.einsum("nm,nm->n", along, along)
    if not space.complement:
        return np.asarray(np.sqrt(spanned))
    inside = squared - spanned
    # Where little is left of the square, the projection itself is computed: its rounding is relative to the row's
    # length, not to the square of it.
    cancelled = inside < _CANCELS * squared
    left = rows[cancelled] - along[cancelled] @ space.basis.T
    inside[cancelled] = np.einsum("nd,nd->n", left, left)
    return np.asarray(np.sqrt(inside))


@dataclass(frozen=True, slots=True, eq=False)
class ResidualSpace:
    """Coordinates in which h is judged by what its principal axes leave of it.

    Attributes:
        origin: u, float64, shape [D].
        space: The span of R, the axes beyond the principal ones.
    """

    origin: NDArray[np.float64]
    space: Subspace


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Principal axes of features about a head's origin.

    Attributes:
        origin: u, float64, shape [D].
        vectors: Axes as columns, by ascending variation, float64, shape [D, D].
        mean_square: Mean of ||h - u||^2.
    """

    origin: NDArray[np.float64]
    vectors: NDArray[np.float64]
    mean_square: float


def head_origin(head: Head) -> NDArray[np.float64]:
    """The point that the head maps to zero, as nearly as may be: u = -W^+ b, shape [D].

    A head whose weights sum to zero over the classes, as weight decay leaves them under a softmax, has one singular value
    of rounding alone; singular values up to 1.2e-7 of the largest, the precision of float32, are left out of W^+.
    """
    left, values, right = scipy.linalg.svd(head.weight, full_matrices=False)
    kept = values > _CUT * values.max(initial=0.0)
    along = (left[:, kept].T @ head.bias) / values[kept]
    return np.asarray(-(right[kept].T @ along))


def axes(arrays: Mapping[str, NDArray[Any]], head: Head | None) -> Axes:
    """Principal axes of the features that class statistics are of, about u: total + N (mu - u)(mu - u)'.

    Args:
        arrays: Class statistics of what the head is fed, as the sweep returned them.
        head: The head.

    Raises:
        MissingError: There is no head.
        InputError: The statistics hold no samples, or have other dimensions than the head.
    """
    if head is None:
        raise MissingError("The model has no linear head: the residual space lies about its origin.")
    # The key is an array that the value keeps alive, so that another fit dataset never meets these axes.
    within = arrays["within"]
    _, found = head.memo.get(("axes", id(within)), lambda: (within, _axes(ClassStatistics.from_arrays(arrays), head)))
    return found


def residual_space(axes: Axes, dim: int) -> ResidualSpace:
    """What remains beyond `dim` principal axes."""
    return ResidualSpace(axes.origin, subspace(axes.vectors, 0, len(axes.vectors) - dim))


def residual_norms(fit: ResidualSpace, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Norms of what the principal axes leave: ||R'(h - u)||_2, shape [n]."""
    same_dimensions(features, len(fit.origin))
    rows = features - fit.origin
    return norms_inside(fit.space, rows, np.einsum("nd,nd->n", rows, rows))


def ninco_dimensions(dim: int) -> int:
    """Principal dimensions in NINCO's convention: 1000 of 2048 and more, 512 of 768 and more, else half."""
    return 1000 if dim >= 2048 else 512 if dim >= 768 else dim // 2


def bounded_dimensions(wanted: int, dim: int) -> int:
    """The principal dimensions asked for, or half of the features' D where those would leave none."""
    return wanted if wanted < dim else dim // 2


def require_residual(mean_norm: float, axes: Axes, dim: int) -> None:
    """Raise if the fit features lie in their principal axes but for rounding.

    Raises:
        NumericalError: They do.
    """
    if mean_norm <= 1e-10 * np.sqrt(axes.mean_square):
        raise NumericalError(
            f"The fit features lie in {dim} principal dimensions, so that no residual is left to measure; "
            "fit on more samples than that."
        )


def _axes(statistics: ClassStatistics, head: Head) -> Axes:
    samples = require_samples(statistics)
    if head.weight.shape[1] != statistics.dim:
        raise InputError(
            f"The head takes {head.weight.shape[1]} dimensions and the features have {statistics.dim}; "
            "they come from different models."
        )
    origin = head_origin(head)
    away = statistics.mean - origin
    scatter = statistics.total + samples * np.outer(away, away)
    _, vectors = scipy.linalg.eigh(scatter, driver="evd")
    return Axes(origin, vectors, float(np.trace(scatter)) / samples)
