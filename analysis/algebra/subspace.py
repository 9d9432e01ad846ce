"""Norms of projections onto a subspace, by way of the smaller of its basis and that of its complement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.rows.checks import same_dimensions

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
