"""How long residuals are beside the largest logits, over the fit dataset."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.algebra.residual_space import axes, residual_norms, residual_space
from analysis.statistics.class_statistics import CLASS_STATISTICS, UNIT_CLASS_STATISTICS
from analysis.statistics.statistic import Statistic, SweepContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from analysis.rows.activations import Block


class _Scale:
    """Sums of max z and of ||R'(h - u)||."""

    __slots__ = ("_count", "_fit", "_sums")

    def __init__(self, context: SweepContext, about: Statistic, dimensions: Callable[[int], int]) -> None:
        found = axes(context.results[about.name], context.head)
        self._fit = residual_space(found, dimensions(context.dim))
        self._count = 0
        self._sums = np.zeros(2)

    def update(self, block: Block) -> None:
        activations = block.activations
        self._count += len(block)
        self._sums += [activations.max_logit.sum(), residual_norms(self._fit, activations.head_input64).sum()]

    def merge(self, other: _Scale) -> None:
        self._count += other._count
        self._sums += other._sums

    def finish(self) -> dict[str, NDArray[Any]]:
        max_logit, residual = self._sums / max(self._count, 1)
        return {"max_logit": np.asarray(max_logit), "residual": np.asarray(residual)}


def residual_scale(name: str, dimensions: Callable[[int], int]) -> Statistic:
    """Mean max z and mean ||R'(h - u)|| of what the head is fed: arrays `max_logit` and `residual`, shape [].

    Args:
        name: Name of the statistic; it says whose number of principal dimensions.
        dimensions: That number, for features of D dimensions.
    """
    unit = _about(f"{name}-normalised", UNIT_CLASS_STATISTICS, dimensions)
    return replace(_about(name, CLASS_STATISTICS, dimensions), for_unit_features=unit)


def _about(name: str, statistics: Statistic, dimensions: Callable[[int], int]) -> Statistic:
    start = partial(_Scale, about=statistics, dimensions=dimensions)
    return Statistic(name, start, reads=("feature", "logits"), after=(statistics,))
