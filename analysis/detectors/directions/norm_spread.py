"""Mean and standard deviation of a length, over the fit dataset: of the 1-norm of the feature, or of its residual."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.algebra.residual_space import axes, residual_norms, residual_space
from analysis.statistics.class_statistics import CLASS_STATISTICS, UNIT_CLASS_STATISTICS
from analysis.statistics.statistic import Statistic, SweepContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from analysis.algebra.residual_space import ResidualSpace
    from analysis.rows.activations import Activations, Block

    Lengths = Callable[[Activations], NDArray[np.float64]]


class _Spread:
    """Count, mean and sum of squares about the mean, merged as Chan, Golub & LeVeque 1983 do."""

    __slots__ = ("_count", "_dim", "_lengths", "_mean", "_squares")

    def __init__(self, lengths: Lengths, dim: int) -> None:
        self._lengths, self._dim = lengths, dim
        self._count, self._mean, self._squares = 0, 0.0, 0.0

    def update(self, block: Block) -> None:
        lengths = self._lengths(block.activations)
        if len(lengths):
            mean = float(lengths.mean())
            self._add(len(lengths), mean, float(((lengths - mean) ** 2).sum()))

    def merge(self, other: _Spread) -> None:
        self._add(other._count, other._mean, other._squares)

    def finish(self) -> dict[str, NDArray[Any]]:
        deviation = np.sqrt(self._squares / max(self._count, 1))
        found = {"mean": self._mean, "deviation": deviation, "dim": self._dim}
        return {name: np.asarray(value) for name, value in found.items()}

    def _add(self, count: int, mean: float, squares: float) -> None:
        total = self._count + count
        apart = mean - self._mean
        if total:
            self._mean += apart * count / total
            self._squares += squares + apart**2 * self._count * count / total
        self._count = total


def _start_norms(context: SweepContext) -> _Spread:
    return _Spread(attrgetter("l1_norms"), context.dim)


def _start_residuals(context: SweepContext, *, about: Statistic, dimensions: Callable[[int], int]) -> _Spread:
    space = residual_space(axes(context.results[about.name], context.head), dimensions(context.dim))
    return _Spread(partial(_residuals, space=space), context.dim)


def _residuals(activations: Activations, space: ResidualSpace) -> NDArray[np.float64]:
    return residual_norms(space, activations.head_input64)


def _about(name: str, statistics: Statistic, dimensions: Callable[[int], int]) -> Statistic:
    return Statistic(name, partial(_start_residuals, about=statistics, dimensions=dimensions), after=(statistics,))


def residual_spread(name: str, dimensions: Callable[[int], int]) -> Statistic:
    """Mean and standard deviation of ||R'(x - u)||_2 of what the head is fed: arrays `mean`, `deviation` and `dim`, shape [].

    Args:
        name: Name of the statistic; it says how many principal dimensions.
        dimensions: That number, for features of D dimensions.
    """
    unit = _about(f"{name}-normalised", UNIT_CLASS_STATISTICS, dimensions)
    return replace(_about(name, CLASS_STATISTICS, dimensions), for_unit_features=unit)


L1_SPREAD = Statistic("l1-spread", _start_norms, for_unit_features=Statistic("l1-spread-normalised", _start_norms))
"""Mean and standard deviation of ||x||_1 of what the head is fed, x: arrays `mean`, `deviation` and `dim`, D, shape []."""
