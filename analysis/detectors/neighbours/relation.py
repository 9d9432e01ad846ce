"""Neural relation graph: how strongly a sample relates to all fit samples, by direction and by what the model says of both."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from analysis.detectors.detector import Detector
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.rows.activations import Activations, normalise
from analysis.rows.checks import same_dimensions
from analysis.statistics.statistic import Statistic
from analysis.statistics.sweep import LANES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block

# Probabilities below this are left out of the first look at a pair, which can then be short by at most twice as much.
_SMALL = 0.005
_DENSE = 0.02
_PRODUCTS_AT_ONCE = 1 << 20
_PAIRS_AT_ONCE = 2048
_QUERIES_AT_ONCE = 4096
_MAKING = Lock()


def relations(queries: Activations, *, power: float, threshold: float) -> Statistic:
    """Sum over the fit samples of k = relu(cos(h, h_t)) <p, p_t>, to a power, where k exceeds a threshold: array `score`, shape [n].

    As no cosine exceeds 1, only pairs with <p, p_t> beyond the threshold count. These are few, and are found by a
    product of the larger probabilities alone; both factors are then computed in full, in float64.

    Args:
        queries: n samples to score, with logits.
        power: The exponent.
        threshold: Smaller relations, and equal ones, are left out; 0.01 or more.
    """
    dim, classes = queries.feature.shape[1], 0 if queries.logits is None else queries.logits.shape[1]
    # Unit features and probabilities in float64; large probabilities, of which there are few; a sum in each of the lanes.
    held = 8 * (dim + classes) + 16 * round(1 / _SMALL) + 8 * LANES
    return Statistic(
        f"relations-{power}-{threshold}",
        lambda _: _Relations(queries, power, threshold),
        reads=("feature", "logits"),
        held=held,
    )


class _Relations:
    """The sum for each query."""

    __slots__ = ("_large", "_power", "_probabilities", "_queries", "_sums", "_threshold", "_unit")

    def __init__(self, queries: Activations, power: float, threshold: float) -> None:
        self._queries = queries
        self._power = power
        self._threshold = threshold
        with _MAKING:
            self._unit = queries.memo.get("unit", lambda: normalise(queries.feature))
            self._probabilities = queries.memo.get("softmax", lambda: _softmax(queries))
            self._large = queries.memo.get("large-probabilities", lambda: _large(self._probabilities))
        self._sums = np.zeros(len(queries))

    def update(self, block: Block) -> None:
        same_dimensions(self._queries.feature, block.activations.feature.shape[1])
        large = _large(block.activations.probabilities).T
        for start in range(0, len(self._sums), _QUERIES_AT_ONCE):
            likely = (self._large[start : start + _QUERIES_AT_ONCE] @ large).tocoo()
            chosen = likely.data > self._threshold - 2 * _SMALL
            query, row = start + likely.row[chosen].astype(np.int64), likely.col[chosen].astype(np.int64)
            queries, rows = np.unique(query), np.unique(row)
            if len(query) > _DENSE * len(queries) * len(rows):
                self._all_pairs(queries, rows, block.activations)
            else:
                self._some_pairs(query, row, block.activations)

    def _raised(self, related: NDArray[np.float64]) -> NDArray[np.float64]:
        # Those that count are positive.
        return related if self._power == 1 else np.maximum(related, 0.0) ** self._power

    def merge(self, other: _Relations) -> None:
        self._sums += other._sums

    def finish(self) -> dict[str, NDArray[Any]]:
        return {"score": self._sums}

    def _all_pairs(self, queries: NDArray[np.int64], rows: NDArray[np.int64], fitted: Activations) -> None:
        unit, probabilities = fitted.normalised64[rows].T, fitted.probabilities[rows].T
        at_once = max(1, _PRODUCTS_AT_ONCE // max(len(rows), 1))
        for start in range(0, len(queries), at_once):
            part = queries[start : start + at_once]
            related = self._unit[part] @ unit
            related *= self._probabilities[part] @ probabilities
            self._sums[part] += np.where(related > self._threshold, self._raised(related), 0.0).sum(axis=1)

    def _some_pairs(self, query: NDArray[np.int64], row: NDArray[np.int64], fitted: Activations) -> None:
        for start in range(0, len(query), _PAIRS_AT_ONCE):
            i, j = query[start : start + _PAIRS_AT_ONCE], row[start : start + _PAIRS_AT_ONCE]
            related = np.einsum("pd,pd->p", self._unit[i], fitted.normalised64[j])
            related *= np.einsum("pc,pc->p", self._probabilities[i], fitted.probabilities[j])
            kept = related > self._threshold
            self._sums += np.bincount(i[kept], weights=self._raised(related[kept]), minlength=len(self._sums))


def _large(probabilities: NDArray[np.float64]) -> scipy.sparse.csr_array:
    """The probabilities that are not small, as a sparse matrix of shape [n, C]."""
    row, column = np.nonzero(probabilities >= _SMALL)
    return scipy.sparse.csr_array((probabilities[row, column], (row, column)), shape=probabilities.shape)


def _softmax(queries: Activations) -> NDArray[np.float64]:
    """Probabilities of many queries: a few at a time, so that little of what they come from is there at once."""
    found = np.empty((len(queries), queries.logits.shape[1] if queries.logits is not None else 0))
    for start in range(0, len(found), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        found[part] = queries.part(part).probabilities
    return found


RELATION: Detector[None] = Detector(
    name="relation",
    title="Relation",
    formula="sum_t k_t^power where k_t > threshold, k_t = relu(cos(h, h_t)) <p, p_t>, p = softmax(z)",
    source="Kim et al. 2023, arXiv 2301.12321",
    compare=relations,
    fitted_on="fit features and logits",
    needs_logits=True,
    hyperparameters=(
        Hyperparameter("power", 1.0, 0.0, 64.0, "the exponent of each relation"),
        Hyperparameter("threshold", 0.03, 0.01, 1.0, "relations up to this are left out"),
    ),
    on_request=True,
)
