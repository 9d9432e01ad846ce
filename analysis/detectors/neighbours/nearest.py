"""Distances of queries to their K-th nearest fit sample: found by float32 products, and then measured in float64."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.detectors.neighbours.bank import near_kth, of_rank
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
    """Raise if a bank has fewer rows than the neighbours asked for.

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
    held = 4 * queries.feature.shape[1] + 8 * _width(k) + _HELD
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

    Only what exceeds the smallest that is kept is looked at, and a query's list is sorted out when its room is used up. A
    cosine and its sample are one number, so that a list is sorted out by numpy's partition of integers.
    """

    __slots__ = ("_filled", "_kept", "_lists", "_locks", "_neighbours", "_queries", "_smallest", "_unit")

    def __init__(self, queries: Activations, neighbours: int) -> None:
        self._queries, self._neighbours, self._kept = queries, neighbours, neighbours + _SPARE
        self._unit = queries.memo.get("unit32", lambda: _unit32(queries))
        self._lists = np.full((len(queries), _width(neighbours)), _NONE)
        self._filled = np.full(len(queries), self._kept)
        self._smallest = np.full(len(queries), -np.inf, np.float32)
        self._locks = [Lock() for _ in range(0, len(queries), _QUERIES_AT_ONCE)]

    def add(self, rows: Activations, sample: NDArray[np.int64]) -> None:
        """Compare some rows of the fit set with all queries."""
        same_dimensions(self._queries.feature, rows.feature.shape[1])
        fitted = rows.memo.get("unit32", lambda: rows.normalised64.astype(np.float32))
        for number, lock in enumerate(self._locks):
            part = slice(number * _QUERIES_AT_ONCE, min((number + 1) * _QUERIES_AT_ONCE, len(self._unit)))
            products = self._unit[part] @ fitted.T
            with lock:
                self._take(np.arange(part.start, part.stop), products, sample)

    def found(self) -> _Found:
        """The lists as they stand."""
        return _Found(self._neighbours, self._unit.shape[1], self._lists)

    def _take(self, queries: NDArray[np.intp], products: Float32, sample: NDArray[np.int64]) -> None:
        full = self._append(queries, products, sample)
        if len(full):
            # Sorted out by itself, a list has a larger smallest, and mostly room for what exceeds that.
            queries, products = queries[full], products[full]
            self._sort_out(queries, self._lists[queries])
            full = self._append(queries, products, sample)
        if len(full):
            queries, products = queries[full], products[full]
            everything = _together(products, np.broadcast_to(sample, products.shape))
            self._sort_out(queries, np.concatenate([self._lists[queries], everything], axis=1))

    def _append(self, queries: NDArray[np.intp], products: Float32, sample: NDArray[np.int64]) -> NDArray[np.intp]:
        """Put what exceeds the smallest into the lists of some queries; returns the places of those without room for it."""
        width, columns = self._lists.shape[1], products.shape[1]
        found = np.flatnonzero(products > self._smallest[queries, None])
        ends = np.searchsorted(found, np.arange(len(queries) + 1) * columns)
        counts, filled = np.diff(ends), self._filled[queries]
        fits = filled + counts <= width
        self._filled[queries] = np.where(fits, filled + counts, filled)
        # From places in the products to samples, and to places in the lists.
        to_column = np.repeat(np.arange(len(queries)) * columns, counts)
        to_place = np.repeat(queries * width + filled - ends[:-1], counts)
        place = np.arange(len(found))
        if not fits.all():
            chosen = np.repeat(fits, counts)
            found, place, to_column, to_place = found[chosen], place[chosen], to_column[chosen], to_place[chosen]
        cosines = products.reshape(-1)[found]
        self._lists.reshape(-1)[place + to_place] = _together(cosines, sample[found - to_column])
        return np.flatnonzero(~fits)

    def _sort_out(self, queries: NDArray[np.intp], candidates: NDArray[np.int64]) -> None:
        """Keep the largest of some candidates of each of some queries, which are overwritten."""
        kept = _largest(candidates, self._kept)
        self._lists[queries, : self._kept] = kept
        self._lists[queries, self._kept :] = _NONE
        self._filled[queries] = self._kept
        self._smallest[queries] = _cosines(kept.min(axis=1))


class _Candidates:
    """What the rows of one lane add to the lists."""

    __slots__ = ("_nearest",)

    def __init__(self, nearest: _Nearest) -> None:
        self._nearest = nearest

    def __reduce__(self) -> tuple[Any, ...]:
        # Out of another process come lists of its own, without the queries.
        found = self._nearest.found()
        return _Found, (found.neighbours, found.dim, found.lists)

    def update(self, block: Block) -> None:
        if len(block):
            self._nearest.add(block.activations, block.sample)

    def merge(self, other: _Candidates) -> None:
        """All lanes have filled the same lists."""

    def finish(self) -> dict[str, NDArray[Any]]:
        return self._nearest.found().finish()


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Lists of cosines and of the samples that they are of, as `_together` has them, shape [n, more than K + 64]."""

    neighbours: int
    dim: int
    lists: NDArray[np.int64]

    def merge(self, other: _Found) -> None:
        for start in range(0, len(self.lists), _QUERIES_AT_ONCE):
            part = slice(start, start + _QUERIES_AT_ONCE)
            both = np.concatenate([self.lists[part], other.lists[part]], axis=1)
            self.lists[part] = _largest(both, self.lists.shape[1])

    def finish(self) -> dict[str, NDArray[Any]]:
        """The samples that may be the K-th nearest of a query, and the rank of that among them."""
        none = np.empty(0, np.int64)
        pairs = [(none, none, none)]
        for start in range(0, len(self.lists), _QUERIES_AT_ONCE):
            lists = self.lists[start : start + _QUERIES_AT_ONCE]
            query, column, nearer = near_kth(_cosines(lists), self.neighbours, self.dim)
            pairs.append((start + query, lists[query, column] & _SAMPLE, self.neighbours - nearer))
        query, sample, rank = map(np.concatenate, zip(*pairs, strict=True))
        return {"query": query, "sample": sample, "rank": rank}


def _together(cosines: Float32, samples: NDArray[np.int64]) -> NDArray[np.int64]:
    """A cosine and its sample as one number, which is the larger the larger the cosine is: 32 bits of each."""
    if len(samples) and samples.max() > _SAMPLE:
        raise InputError(f"Neighbours are found among samples numbered below 2^32, and one is {samples.max()}.")
    bits = cosines.view(np.int32)
    # The bits of negative numbers grow the other way.
    return ((bits ^ ((bits >> 31) & _MAGNITUDE)).astype(np.int64) << 32) | samples


def _cosines(together: NDArray[np.int64]) -> Float32:
    """The cosines of such numbers."""
    bits = (together >> 32).astype(np.int32)
    return (bits ^ ((bits >> 31) & _MAGNITUDE)).view(np.float32)


_SAMPLE, _MAGNITUDE = 0xFFFFFFFF, np.int32(0x7FFFFFFF)
_NONE = _together(np.array([-np.inf], np.float32), np.array([0]))[0]


def _largest(candidates: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The largest of each row, in no order; the rows are overwritten."""
    candidates.partition(candidates.shape[1] - count, axis=1)
    return candidates[:, -count:]


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
        return {"score": -of_rank(self._distances, self._query, self._rank)}


def _unit32(activations: Activations) -> Float32:
    """Unit features, rounded: a few rows at a time, so that few are in float64 at once."""
    unit = np.empty(activations.feature.shape, np.float32)
    for start in range(0, len(unit), _PAIRS_AT_ONCE):
        unit[start : start + _PAIRS_AT_ONCE] = normalise(activations.feature[start : start + _PAIRS_AT_ONCE])
    return unit


def _width(neighbours: int) -> int:
    """Cosines in a list."""
    return (neighbours + _SPARE) + (neighbours + _SPARE) // 2
