"""Products with fit samples in memory: all of them in float64, or the largest, which are found in float32 and measured in float64."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.rows.checks import same_dimensions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.rows.activations import Activations

    Float32 = NDArray[np.float32]

_PAIRS_AT_ONCE = 4096
_BYTES_AT_ONCE = 1 << 26


def chunks(rows: int, bank: int) -> list[slice]:
    """Stretches of rows whose float64 products with a bank take 64 MB each."""
    at_once = max(1, _BYTES_AT_ONCE // (8 * max(bank, 1)))
    return [slice(start, start + at_once) for start in range(0, rows, at_once)]


def products(bank: NDArray[np.float64], activations: Activations) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield some rows at a time, and the products of their unit features with all of a bank."""
    same_dimensions(activations.feature, bank.shape[1])
    for rows in chunks(len(activations), len(bank)):
        yield rows, activations.normalised64[rows] @ bank.T


def rounding(dim: int) -> np.float32:
    """By how much two products of unit vectors of so many dimensions may come in the wrong order in float32."""
    # Vectors to float32, and the sums of D terms; twice, for both products.
    return np.float32(2 * (dim + 3) * 2.0**-24)


def near_kth(products: Float32, k: int, dim: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The pairs whose product may be the K-th largest of its query.

    Args:
        products: Products of unit vectors, shape [n, at least K].
        k: K.
        dim: Their dimension.

    Returns:
        Query and column of each pair, queries in ascending order, shape [pairs] each; and how many products of each query are
        larger than those, shape [n].
    """
    kth, margin = _kth(products, k), rounding(dim)
    query, column = np.nonzero((products >= kth - margin) & (products <= kth + margin))
    return query, column, np.count_nonzero(products > kth + margin, axis=1)


def of_rank(distances: NDArray[np.float64], query: NDArray[np.intp], rank: NDArray[np.intp]) -> NDArray[np.float64]:
    """Of each query the distance that so many are not above, shape [n].

    Args:
        distances: Distances of pairs, shape [pairs].
        query: Which query each is of, shape [pairs].
        rank: From 1, shape [n].
    """
    order = np.lexsort((distances, query))
    first = np.searchsorted(query[order], np.arange(len(rank)))
    return np.asarray(distances[order][first + rank - 1])


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """Vectors to multiply with, in float64 and in float32.

    Attributes:
        rows: Float64, shape [k, D].
        longest: Length of the longest of them, at least the least positive number.
        rows32: The same, divided by it, shape [k, D].
    """

    rows: NDArray[np.float64]
    longest: float
    rows32: Float32

    @staticmethod
    def of(rows: NDArray[np.float64]) -> Bank:
        """The bank of some vectors."""
        lengths = np.sqrt(np.einsum("kd,kd->k", rows, rows))
        longest = max(float(lengths.max(initial=0.0)), float(np.finfo(np.float64).tiny))
        return Bank(rows, longest, (rows / longest).astype(np.float32))

    def __len__(self) -> int:
        return len(self.rows)

    def kth_distance(self, activations: Activations, k: int) -> NDArray[np.float64]:
        """Squared distance of unit features to the K-th nearest of a bank of unit vectors, float64, shape [n]."""
        found = np.empty(len(activations))
        for rows, unit, products in self._products(activations):
            query, column, nearer = near_kth(products, k, unit.shape[1])
            apart = np.empty(len(query))
            for part in _parts(len(query)):
                # 2 - 2 cos would cancel where the neighbour is near.
                between = unit[query[part]] - self.rows[column[part]]
                apart[part] = np.einsum("pd,pd->p", between, between)
            found[rows] = of_rank(apart, query, k - nearer)
        return found

    def mean_of_largest(self, activations: Activations, k: int) -> NDArray[np.float64]:
        """Mean of the K largest products of unit features with the bank, float64, shape [n]."""
        found = np.empty(len(activations))
        for rows, unit, products in self._products(activations):
            query, column = np.nonzero(products >= _kth(products, k) - rounding(unit.shape[1]))
            exact = np.empty(len(query))
            for part in _parts(len(query)):
                exact[part] = np.einsum("pd,pd->p", unit[query[part]], self.rows[column[part]])
            order = np.lexsort((-exact, query))
            first = np.searchsorted(query, np.arange(len(unit)))
            found[rows] = exact[order][first[:, None] + np.arange(k)].mean(axis=1)
        return found

    def _products(self, activations: Activations) -> Iterator[tuple[slice, NDArray[np.float64], Float32]]:
        """Some rows at a time: which, their unit features, and the products of these with the bank's scaled vectors."""
        same_dimensions(activations.feature, self.rows.shape[1])
        for rows in chunks(len(activations), len(self)):
            unit = activations.normalised64[rows]
            yield rows, unit, unit.astype(np.float32) @ self.rows32.T


def _kth(products: Float32, k: int) -> Float32:
    place = products.shape[1] - k
    return np.asarray(np.partition(products, place, axis=1)[:, place, None])


def _parts(pairs: int) -> Iterator[slice]:
    return (slice(start, start + _PAIRS_AT_ONCE) for start in range(0, pairs, _PAIRS_AT_ONCE))
