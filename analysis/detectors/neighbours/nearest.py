"""Distances of queries to their K-th nearest fit sample: found by float32 products, and then measured in float64."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.activations import normalise
from analysis.rows.checks import same_dimensions
from analysis.statistics.statistic import Statistic, SweepContext
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations, Block

    Float32 = NDArray[np.float32]

_SPARE = 64
_QUERIES_AT_ONCE = 512
_PAIRS_AT_ONCE = 4096
# Of each query: how far its list is filled, its smallest cosine, and the pairs whose distance is measured.
_HELD = 512
_MAKING = Lock()


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
    lists = _Lists(queries, k)

    def candidates(context: SweepContext) -> _Candidates:
        check_size(k, context.rows, name)
        return _Candidates(lists.of(context))

    def measured(context: SweepContext) -> _Measured:
        return _Measured(queries.feature, context.results[first.name])

    first = Statistic(f"nearest-{k}-candidates", candidates)
    held = 4 * queries.feature.shape[1] + 12 * _width(k) + _HELD
    return Statistic(f"nearest-{k}-distances", measured, after=(first,), held=held)


class _Lists:
    """The list that all lanes of a sweep in this process fill together."""

    __slots__ = ("_context", "_found", "_neighbours", "_queries")

    def __init__(self, queries: Activations, neighbours: int) -> None:
        self._queries, self._neighbours = queries, neighbours
        self._context: SweepContext | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _Lists, (self._queries, self._neighbours)

    def of(self, context: SweepContext) -> _Nearest:
        with _MAKING:
            if self._context is not context:
                self._context, self._found = context, _Nearest(self._queries, self._neighbours)
            return self._found


class _Nearest:
    """The K + 64 largest cosines of each query so far, the samples that they are of, and room for a few more.

    Only what exceeds the smallest that is kept is looked at, and a query's list is sorted out when its room is used up.
    """

    __slots__ = ("_cosines", "_filled", "_kept", "_locks", "_neighbours", "_queries", "_sample", "_smallest", "_unit")

    def __init__(self, queries: Activations, neighbours: int) -> None:
        self._queries, self._neighbours, self._kept = queries, neighbours, neighbours + _SPARE
        self._unit = queries.memo.get("unit32", lambda: _unit32(queries))
        shape = (len(queries), _width(neighbours))
        self._cosines = np.full(shape, -np.inf, np.float32)
        self._sample = np.full(shape, -1, np.int64)
        self._filled = np.full(len(queries), self._kept)
        self._smallest = np.full(len(queries), -np.inf, np.float32)
        self._locks = [Lock() for _ in range(0, len(queries), _QUERIES_AT_ONCE)]

    def add(self, rows: Activations, sample: NDArray[np.int64]) -> None:
        """Compare some rows of the fit set with all queries."""
        same_dimensions(self._queries.feature, rows.feature.shape[1])
        fitted = rows.memo.get("unit32", lambda: rows.normalised64.astype(np.float32))
        for number, lock in enumerate(self._locks):
            start = number * _QUERIES_AT_ONCE
            products = self._unit[start : start + _QUERIES_AT_ONCE] @ fitted.T
            with lock:
                self._take(start, products, sample)

    def found(self) -> _Found:
        """The lists as they are."""
        return _Found(self._neighbours, self._unit.shape[1], self._cosines, self._sample)

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
        kept, samples = _largest(self._kept, (self._cosines[rows], cosines), (self._sample[rows], sample))
        self._cosines[rows, : self._kept] = kept
        self._cosines[rows, self._kept :] = -np.inf
        self._sample[rows, : self._kept] = samples
        self._filled[rows] = self._kept
        self._smallest[rows] = kept.min(axis=1)


class _Candidates:
    """What the rows of one lane add to the lists."""

    __slots__ = ("_nearest",)

    def __init__(self, nearest: _Nearest) -> None:
        self._nearest = nearest

    def __reduce__(self) -> tuple[Any, ...]:
        # Out of another process come lists of its own, without the queries.
        found = self._nearest.found()
        return _Found, (found.neighbours, found.dim, found.cosines, found.sample)

    def update(self, block: Block) -> None:
        if len(block):
            self._nearest.add(block.activations, block.sample)

    def merge(self, other: _Candidates) -> None:
        """All lanes have filled the same lists."""

    def finish(self) -> dict[str, NDArray[Any]]:
        return self._nearest.found().finish()


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Lists of cosines, -inf where there is none, and of the samples that they are of, shape [n, more than K + 64]."""

    neighbours: int
    dim: int
    cosines: Float32
    sample: NDArray[np.int64]

    def merge(self, other: _Found) -> None:
        width = self.cosines.shape[1]
        for start in range(0, len(self.cosines), _QUERIES_AT_ONCE):
            part = slice(start, start + _QUERIES_AT_ONCE)
            both = (self.cosines[part], other.cosines[part]), (self.sample[part], other.sample[part])
            self.cosines[part], self.sample[part] = _largest(width, *both)

    def finish(self) -> dict[str, NDArray[Any]]:
        """The samples that may be the K-th nearest of a query, and the rank of that among them."""
        # Rounding: unit vectors to float32, products of D terms; twice, for the K-th and for the one beside it.
        margin = np.float32(2 * (self.dim + 3) * 2.0**-24)
        place = self.cosines.shape[1] - self.neighbours
        none = np.empty(0, np.int64)
        pairs = [(none, none, none)]
        for start in range(0, len(self.cosines), _QUERIES_AT_ONCE):
            cosines = self.cosines[start : start + _QUERIES_AT_ONCE]
            kth = np.partition(cosines, place, axis=1)[:, place, None]
            query, column = np.nonzero((cosines >= kth - margin) & (cosines <= kth + margin))
            nearer = np.count_nonzero(cosines > kth + margin, axis=1)
            pairs.append((start + query, self.sample[start + query, column], self.neighbours - nearer))
        query, sample, rank = map(np.concatenate, zip(*pairs, strict=True))
        return {"query": query, "sample": sample, "rank": rank}


def _largest(
    count: int, cosines: tuple[Float32, ...], samples: tuple[NDArray[np.int64], ...]
) -> tuple[Float32, NDArray[np.int64]]:
    """The largest cosines of each query, and the samples that they are of."""
    together = np.concatenate(cosines, axis=1)
    places = np.argpartition(together, together.shape[1] - count, axis=1)[:, -count:]
    sample = np.take_along_axis(np.concatenate(samples, axis=1), places, axis=1)
    return np.take_along_axis(together, places, axis=1), sample


class _Measured:
    """Squared distances of pairs of a query and a fit sample, in float64."""

    __slots__ = ("_distances", "_queries", "_query", "_rank", "_sample")

    def __init__(self, queries: NDArray[Any], found: Any) -> None:
        order = np.argsort(found["sample"], kind="stable")
        self._queries = queries
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
            apart = normalise(self._queries[self._query[pairs]]) - block.activations.normalised64[rows]
            self._distances[pairs] = np.einsum("pd,pd->p", apart, apart)

    def merge(self, other: _Measured) -> None:
        self._distances = np.where(np.isnan(self._distances), other._distances, self._distances)

    def finish(self) -> dict[str, NDArray[Any]]:
        order = np.lexsort((self._distances, self._query))
        first = np.searchsorted(self._query[order], np.arange(len(self._rank)))
        return {"score": -self._distances[order][first + self._rank - 1]}


def _unit32(activations: Activations) -> Float32:
    """Unit features, rounded: a few rows at a time, so that few are in float64 at once."""
    unit = np.empty(activations.feature.shape, np.float32)
    for start in range(0, len(unit), _PAIRS_AT_ONCE):
        unit[start : start + _PAIRS_AT_ONCE] = normalise(activations.feature[start : start + _PAIRS_AT_ONCE])
    return unit


def _width(neighbours: int) -> int:
    """Cosines in a list."""
    return (neighbours + _SPARE) + (neighbours + _SPARE) // 4
