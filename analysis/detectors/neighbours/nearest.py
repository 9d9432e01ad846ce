"""Distances of queries to their K-th nearest fit sample: found by float32 products, and then measured in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.checks import same_dimensions
from analysis.statistics.statistic import Statistic, SweepContext
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations, Block

    Float32 = NDArray[np.float32]

_SPARE = 64
_PRODUCTS_AT_ONCE = 1 << 21
_PAIRS_AT_ONCE = 4096


def check_size(neighbours: int, bank: int, name: str) -> None:
    """Raise if a bank is too small to have so many neighbours.

    Raises:
        InputError: It is; names both numbers.
    """
    if bank < neighbours:
        raise InputError(
            f"{name} goes by the distance to the K = {neighbours} nearest samples, and its bank has only {bank}: "
            f"take {bank} or fewer, as with `--detector {name}:k={bank}`, or extract a larger fit dataset."
        )


def nearest(queries: Activations, *, k: int, name: str) -> Statistic:
    """Minus the squared distance of unit features to the K-th nearest: array `score`, shape [n].

    The first sweep multiplies in float32 and keeps the K + 64 largest cosines of each query; the second measures, in
    float64, the distances to those that the rounding of float32 cannot tell from the K-th. So the answer is that of
    float64, unless more than 64 samples beyond the K-th are that near to it; then it is within that rounding.

    Args:
        queries: n samples to score.
        k: K.
        name: Name of the detector without constants.
    """
    unit = queries.normalised64
    # Shared by all accumulators of this process: what one of them cannot use, none can.
    smallest = np.full(len(queries), -np.inf, np.float32)

    def candidates(context: SweepContext) -> _Candidates:
        check_size(k, context.rows, name)
        return _Candidates(queries, k, smallest)

    first = Statistic(f"nearest-{k}-candidates", candidates)
    return Statistic(
        f"nearest-{k}-distances", lambda context: _Measured(unit, context.results[first.name]), after=(first,)
    )


class _Candidates:
    """The K + 64 largest cosines of each query so far, the samples that they are of, and room for a few more.

    Only what exceeds the smallest of as many that anyone holds is looked at, and a query's list is sorted out when its room is used up.
    """

    __slots__ = ("_cosines", "_filled", "_kept", "_neighbours", "_queries", "_sample", "_smallest")

    def __init__(self, queries: Activations, neighbours: int, smallest: Float32) -> None:
        self._queries = queries
        self._neighbours = neighbours
        self._kept = neighbours + _SPARE
        shape = (len(queries), self._kept + self._kept // 4)
        self._cosines = np.full(shape, -np.inf, np.float32)
        self._sample = np.full(shape, -1, np.int64)
        self._filled = np.full(len(queries), self._kept)
        self._smallest = smallest

    def update(self, block: Block) -> None:
        if not len(block):
            return
        same_dimensions(self._queries.feature, block.activations.feature.shape[1])
        queries, rows = _unit32(self._queries), _unit32(block.activations)
        at_once = max(1, _PRODUCTS_AT_ONCE // len(rows))
        for start in range(0, len(queries), at_once):
            self._take(start, queries[start : start + at_once] @ rows.T, block.sample)

    def merge(self, other: _Candidates) -> None:
        at_once = max(1, _PRODUCTS_AT_ONCE // self._cosines.shape[1])
        for start in range(0, len(self._filled), at_once):
            part = np.arange(start, min(start + at_once, len(self._filled)))
            self._sort_out(part, other._cosines[part], other._sample[part])

    def finish(self) -> dict[str, NDArray[Any]]:
        # Rounding: unit vectors to float32, products of D terms; twice, for the K-th and for the one beside it.
        margin = np.float32(2 * (self._queries.feature.shape[1] + 3) * 2.0**-24)
        width = self._cosines.shape[1]
        kth = np.partition(self._cosines, width - self._neighbours, axis=1)[:, width - self._neighbours, None]
        query, column = np.nonzero((self._cosines >= kth - margin) & (self._cosines <= kth + margin))
        nearer = np.count_nonzero(self._cosines > kth + margin, axis=1)
        return {"query": query, "sample": self._sample[query, column], "rank": self._neighbours - nearer}

    def _take(self, start: int, products: Float32, sample: NDArray[np.int64]) -> None:
        stop = start + len(products)
        found = np.flatnonzero(products > self._smallest[start:stop, None])
        if not len(found):
            return
        query, column = np.divmod(found, products.shape[1])
        counts = np.bincount(query, minlength=len(products))
        fits = self._filled[start:stop] + counts <= self._cosines.shape[1]
        # The place of each among those of its query.
        place = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
        chosen = fits[query]
        rows, columns = start + query[chosen], column[chosen]
        slots = self._filled[rows] + place[chosen]
        self._cosines[rows, slots] = products[rows - start, columns]
        self._sample[rows, slots] = sample[columns]
        self._filled[start:stop] += np.where(fits, counts, 0)
        full = np.flatnonzero(~fits)
        if len(full):
            self._sort_out(start + full, products[full], np.broadcast_to(sample, (len(full), len(sample))))

    def _sort_out(self, rows: NDArray[np.int64], cosines: Float32, sample: NDArray[np.int64]) -> None:
        """Keep the largest of what some queries have and of what comes to it."""
        together = np.concatenate([self._cosines[rows], cosines], axis=1)
        samples = np.concatenate([self._sample[rows], sample], axis=1)
        largest = np.argpartition(together, together.shape[1] - self._kept, axis=1)[:, -self._kept :]
        kept = np.take_along_axis(together, largest, axis=1)
        self._cosines[rows, : self._kept] = kept
        self._cosines[rows, self._kept :] = -np.inf
        self._sample[rows, : self._kept] = np.take_along_axis(samples, largest, axis=1)
        self._filled[rows] = self._kept
        self._smallest[rows] = np.maximum(self._smallest[rows], kept.min(axis=1))


class _Measured:
    """Squared distances of pairs of a query and a fit sample, in float64."""

    __slots__ = ("_distances", "_query", "_rank", "_sample", "_unit")

    def __init__(self, unit: NDArray[np.float64], found: Any) -> None:
        order = np.argsort(found["sample"], kind="stable")
        self._unit = unit
        self._query, self._sample, self._rank = found["query"][order], found["sample"][order], found["rank"]
        self._distances = np.full(len(order), np.nan)

    def update(self, block: Block) -> None:
        order = np.argsort(block.sample, kind="stable")
        samples = block.sample[order]
        # Pairs are in order of their samples, so that those of a block lie together.
        first, last = np.searchsorted(self._sample, [samples[0], samples[-1] + 1]) if len(samples) else (0, 0)
        for start in range(first, last, _PAIRS_AT_ONCE):
            pairs = np.arange(start, min(start + _PAIRS_AT_ONCE, last))
            place = np.searchsorted(samples, self._sample[pairs])
            here = samples[place] == self._sample[pairs]
            pairs, rows = pairs[here], order[place[here]]
            apart = self._unit[self._query[pairs]] - block.activations.normalised64[rows]
            self._distances[pairs] = np.einsum("pd,pd->p", apart, apart)

    def merge(self, other: _Measured) -> None:
        self._distances = np.where(np.isnan(self._distances), other._distances, self._distances)

    def finish(self) -> dict[str, NDArray[Any]]:
        order = np.lexsort((self._distances, self._query))
        first = np.searchsorted(self._query[order], np.arange(len(self._unit)))
        return {"score": -self._distances[order][first + self._rank - 1]}


def _unit32(activations: Activations) -> Float32:
    return activations.memo.get("unit32", lambda: activations.normalised64.astype(np.float32))
