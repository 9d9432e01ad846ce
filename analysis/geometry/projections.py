"""Moments of features along the leading directions within classes: how Gaussian the classes are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from analysis.algebra.class_scatter import ClassStatistics
from analysis.algebra.gaussian import rounding_variance, solver_rounding
from analysis.statistics.class_statistics import CLASS_STATISTICS
from analysis.statistics.statistic import Statistic, SweepContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block

DIRECTIONS = 32
"""Leading eigenvectors of the within-class covariance; where there are fewer, all along which more than rounding varies."""


class _Moments:
    """Sums of the powers 2 and 4 of (h - mu_y)'v, in units of v's standard deviation."""

    __slots__ = ("_axes", "_means", "_powers", "_rows")

    def __init__(self, context: SweepContext) -> None:
        statistics = ClassStatistics.from_arrays(context.results[CLASS_STATISTICS.name])
        covariance = statistics.within / max(statistics.num_samples, 1)
        first = max(0, statistics.dim - DIRECTIONS)
        values, vectors = scipy.linalg.eigh(covariance, subset_by_index=(first, statistics.dim - 1))
        computed = solver_rounding(statistics.dim, max(values[-1], 0.0))
        varies = values > np.maximum(computed, rounding_variance(statistics, context.dtype) @ vectors**2)
        self._axes = vectors[:, varies] / np.sqrt(values[varies])
        self._means = statistics.means @ self._axes
        self._powers = np.zeros((2, self._axes.shape[1]))
        self._rows = 0

    def update(self, block: Block) -> None:
        along = block.activations.feature64 @ self._axes - self._means[block.label]
        squares = along * along
        self._powers += squares.sum(axis=0), (squares * squares).sum(axis=0)
        self._rows += len(block)

    def merge(self, other: _Moments) -> None:
        self._powers += other._powers
        self._rows += other._rows

    def finish(self) -> dict[str, NDArray[Any]]:
        if not self._rows or not self._axes.shape[1]:
            return {"kurtosis": np.zeros(1)}
        second, fourth = self._powers / self._rows
        return {"kurtosis": fourth / second**2 - 3}


WITHIN_KURTOSIS = Statistic("within-class-kurtosis", _Moments, after=(CLASS_STATISTICS,), labelled=True, version=2)
"""Array `kurtosis`: excess kurtosis of the features along each leading direction within classes; 0 for a Gaussian."""
