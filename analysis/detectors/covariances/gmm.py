"""Density under the likeliest of the classes' own Gaussians, each with a covariance of its own (GMM).

Directions in which features vary within classes by rounding alone are left out, as those of the Mahalanobis distances are.

A class is gathered until its last sample has come, and then let go, so that classes in sequence need memory for one
or two. Of classes that come all at once, those are gathered that fit in memory, and the others in sweeps of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from analysis.algebra.class_scatter import ClassStatistics, class_statistics, empty_statistics, merged
from analysis.algebra.gaussian import varying_directions
from analysis.detectors.detector import Detector
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.rows.checks import finite_rows, same_dimensions
from analysis.statistics.class_statistics import CLASS_STATISTICS
from analysis.statistics.statistic import Statistic, SweepContext
from analysis.statistics.sweep import LANES
from featurestore.errors import NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations, Block
    from analysis.statistics.statistic import Arrays

JITTERS = (0.0, *(10.0**exponent for exponent in range(-15, 0)))
_ROWS_AT_ONCE = 2048
_CONDENSED_FROM = 1 << 20
# A score in each of the lanes.
_HELD = 8 * LANES


def class_densities(queries: Activations, *, jitter: float) -> Statistic:
    """Maximum over the classes of log N(V'h; V'mu_c, V'S_c V), S_c with divisor n_c - 1: array `score`, shape [n].

    V are the directions in which features vary within classes by more than rounding.

    Args:
        queries: n samples to score.
        jitter: The largest that may be added to a diagonal.
    """
    nothing = {"score": np.full(len(queries), -np.inf), "left": np.empty(0, np.int64)}
    return _continued(queries, jitter, nothing)


def _continued(queries: Activations, jitter: float, found: Arrays) -> Statistic:
    def again(arrays: Arrays) -> Statistic | None:
        return _continued(queries, jitter, arrays) if len(arrays["left"]) else None

    def start(context: SweepContext) -> _Densities:
        return _Densities(queries, context, found, jitter)

    return Statistic(
        f"class-densities-{jitter}", start, after=(CLASS_STATISTICS,), labelled=True, again=again, held=_HELD
    )


@dataclass(slots=True)
class _Class:
    """The samples of one class so far: rows as stored, and the statistics of what took more memory than these do."""

    dim: int
    rows: list[NDArray[Any]] = field(default_factory=list)
    sample: list[NDArray[np.int64]] = field(default_factory=list)
    condensed: ClassStatistics | None = None

    @property
    def count(self) -> int:
        return sum(map(len, self.sample)) + (self.condensed.num_samples if self.condensed else 0)

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.rows) + (self.condensed.within.nbytes if self.condensed else 0)

    def add(self, other: _Class) -> None:
        self.rows += other.rows
        self.sample += other.sample
        if other.condensed:
            self.condensed = merged(self.condensed, other.condensed) if self.condensed else other.condensed
        if sum(part.nbytes for part in self.rows) > max(8 * self.dim**2, _CONDENSED_FROM):
            self.condensed, self.rows, self.sample = self.statistics(), [], []

    def statistics(self) -> ClassStatistics:
        own = empty_statistics(1, self.dim)
        if self.rows:
            # In order of the samples, so that the rounding is the same whatever the order they came in.
            order = np.argsort(np.concatenate(self.sample))
            own = class_statistics(np.concatenate(self.rows)[order], np.zeros(len(order), np.int64), 1)
        return merged(self.condensed, own) if self.condensed else own


class _Densities:
    """Scores under the classes that are complete, and the samples of those that are not."""

    __slots__ = ("_budget", "_counts", "_directions", "_dropped", "_jitter", "_open", "_queries", "_scores", "_wanted")

    def __init__(self, queries: Activations, context: SweepContext, found: Arrays, jitter: float) -> None:
        self._queries = queries
        self._jitter = jitter
        self._scores = found["score"].copy()
        gathered = context.results[CLASS_STATISTICS.name]
        self._counts: NDArray[np.int64] = gathered["counts"]
        if (self._counts == 1).any():
            number = int(np.argmax(self._counts == 1))
            raise NumericalError(f"Class {number} has one sample, and so no covariance; leave out gmm, or that class.")
        self._directions: NDArray[np.float64] = queries.memo.get(
            ("varying", context),
            lambda: varying_directions(ClassStatistics.from_arrays(gathered), context.dtype),
        )
        left = found["left"] if len(found["left"]) else np.flatnonzero(self._counts)
        self._wanted = np.isin(np.arange(len(self._counts)), left)
        self._dropped = np.zeros(len(self._counts), bool)
        self._open: dict[int, _Class] = {}
        # Several accumulators are alive at once: those being filled, those waiting, and what they are merged into.
        self._budget = context.memory // 4

    def update(self, block: Block) -> None:
        features = block.activations.feature
        same_dimensions(self._queries.feature, features.shape[1])
        finite_rows("Features", features)
        labels = block.label
        for number in np.unique(labels[self._wanted[labels] & ~self._dropped[labels]]):
            rows = np.flatnonzero(labels == number)
            self._add(int(number), _Class(features.shape[1], [features[rows]], [block.sample[rows]]))
        self._keep_to_budget()

    def merge(self, other: _Densities) -> None:
        self._scores = np.maximum(self._scores, other._scores)
        self._dropped |= other._dropped
        self._open = {number: part for number, part in self._open.items() if not self._dropped[number]}
        for number, part in other._open.items():
            if not self._dropped[number]:
                self._add(number, part)
        self._keep_to_budget()

    def finish(self) -> dict[str, NDArray[Any]]:
        return {"score": self._scores, "left": np.flatnonzero(self._dropped)}

    def _add(self, number: int, part: _Class) -> None:
        found = self._open.setdefault(number, _Class(part.dim))
        found.add(part)
        if found.count == self._counts[number]:
            del self._open[number]
            self._score(number, found.statistics())

    def _keep_to_budget(self) -> None:
        """Leave classes, the last ones first, to another sweep; one is always kept, so that every sweep finds some."""
        held = sum(part.nbytes for part in self._open.values())
        while held > self._budget and len(self._open) > 1:
            last = max(self._open)
            held -= self._open.pop(last).nbytes
            self._dropped[last] = True

    def _score(self, number: int, statistics: ClassStatistics) -> None:
        covariance = self._along(self._along(statistics.within).T) / (statistics.num_samples - 1)
        lower = _factor(covariance, number, self._jitter)
        log_volume = np.log(np.diag(lower)).sum() + len(lower) / 2 * np.log(2 * np.pi)
        features = self._queries.feature
        for start in range(0, len(features), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            away = self._along(features[part].astype(np.float64) - statistics.means[0]).T
            white = scipy.linalg.solve_triangular(lower, away, lower=True, check_finite=False, overwrite_b=True)
            density = -np.einsum("dn,dn->n", white, white) / 2 - log_volume
            self._scores[part] = np.maximum(self._scores[part], density)

    def _along(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rows in coordinates of the directions that count; as they are if all of them do."""
        dim, count = self._directions.shape
        return rows if count == dim else rows @ self._directions


def _factor(covariance: NDArray[np.float64], number: int, largest: float) -> NDArray[np.float64]:
    """Cholesky factor of a covariance plus the first jitter that makes it positive definite."""
    for jitter in (one for one in JITTERS if one <= largest):
        try:
            return np.asarray(np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))), np.float64)
        except np.linalg.LinAlgError:
            continue
    raise NumericalError(
        f"The covariance of class {number} is singular, and adding up to {largest:g} to its diagonal does not mend "
        "it: scale the features, or leave out gmm."
    )


GMM: Detector[None] = Detector(
    name="gmm",
    title="GMM",
    formula=(
        "max_c log N(V'h; V'mu_c, V'S_c V + e I), e the first of 0, 1e-15, .. 1e-1 that makes it positive definite, "
        "V: the directions in which features vary within classes by more than rounding"
    ),
    source="Mukhoti et al. 2021, arXiv 2102.11582",
    compare=class_densities,
    fitted_on="fit features and labels",
    needs=(CLASS_STATISTICS,),
    hyperparameters=(
        Hyperparameter(
            *("jitter", JITTERS[-1], 0.0, JITTERS[-1], "the largest e that may be added to a covariance's diagonal"),
            stored="largest_jitter",
        ),
    ),
    on_request=True,
    version=2,
)
