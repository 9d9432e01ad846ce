"""What determines the temperature at which logits are calibrated best, in two sweeps.

With s = z - max z, the negative log-likelihood at the inverse temperature b is the sum over samples of
log sum_c exp(b s_c) - b s_y, a convex function of b. The first sweep gathers it and its derivative on a grid that brackets
the optimum; the second its Taylor series about a guess near the optimum.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.algebra.calibration import INVERSE_TEMPERATURES, guess_inverse_temperature
from analysis.statistics.statistic import VALIDATION, Statistic, SweepContext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from analysis.rows.activations import Block

_ORDER = 6
_ROWS_AT_ONCE = 64
# Squares of smaller float32, and exponentials of lower numbers, are subnormal, and slow.
_SMALLEST = np.float32(1e-18)
_LOWEST = -690.0


class _Grid:
    """Likelihood and derivative at `INVERSE_TEMPERATURES`, as float32 knows them: one exponential, squared again and again."""

    __slots__ = ("_rows", "_slopes", "_values")

    def __init__(self, _context: SweepContext) -> None:
        self._values = np.zeros(len(INVERSE_TEMPERATURES))
        self._slopes = np.zeros(len(INVERSE_TEMPERATURES))
        self._rows = 0

    def update(self, block: Block) -> None:
        predicted = block.activations.predicted
        others = np.empty((len(INVERSE_TEMPERATURES), len(block)))
        slopes = np.empty_like(others)
        sums = np.ones(block.activations.shifted_logits.shape[1], np.float32)
        for rows, part in _parts(block, INVERSE_TEMPERATURES[0]):
            shifted = part.astype(np.float32)
            powers = np.exp(shifted * np.float32(INVERSE_TEMPERATURES[0]))
            # The largest, 1, would hide the others' sum.
            powers[np.arange(len(powers)), predicted[rows]] = 0.0
            inverse = INVERSE_TEMPERATURES[0]
            for at, wanted in enumerate(INVERSE_TEMPERATURES):
                while inverse < wanted:
                    powers += _SMALLEST
                    np.square(powers, out=powers)
                    inverse *= 2
                others[at, rows] = powers @ sums
                slopes[at, rows] = np.vecdot(powers, shifted)
        own = _own(block)
        self._values += np.log1p(others).sum(axis=1) - INVERSE_TEMPERATURES * own.sum()
        self._slopes += (slopes / (1.0 + others) - own).sum(axis=1)
        self._rows += len(block)

    def merge(self, other: _Grid) -> None:
        self._values += other._values
        self._slopes += other._slopes
        self._rows += other._rows

    def finish(self) -> dict[str, NDArray[Any]]:
        return {"values": self._values, "slopes": self._slopes, "rows": np.array(self._rows)}


class _Taylor:
    """Derivatives of the likelihood at one inverse temperature: sums of cumulants of s under softmax(b s)."""

    __slots__ = ("_cumulants", "_inverse", "_own", "_rows")

    def __init__(self, context: SweepContext, grid: Statistic) -> None:
        self._inverse = guess_inverse_temperature(context.results[grid.name])
        self._cumulants = np.zeros(_ORDER)
        self._own = 0.0
        self._rows = 0

    def update(self, block: Block) -> None:
        moments = np.empty((_ORDER, len(block)))
        sums = np.ones(block.activations.shifted_logits.shape[1])
        for rows, shifted in _parts(block, self._inverse):
            weights = shifted * self._inverse
            np.exp(weights, out=weights)
            total = weights @ sums
            for order in range(_ORDER):
                weights *= shifted
                moments[order, rows] = weights @ sums / total
        self._cumulants += [cumulant.sum() for cumulant in _cumulants(moments)]
        self._own += _own(block).sum()
        self._rows += len(block)

    def merge(self, other: _Taylor) -> None:
        self._cumulants += other._cumulants
        self._own += other._own
        self._rows += other._rows

    def finish(self) -> dict[str, NDArray[Any]]:
        derivatives = self._cumulants.copy()
        derivatives[0] -= self._own
        inverse, rows = np.array(self._inverse), np.array(self._rows)
        return {"inverse_temperature": inverse, "derivatives": derivatives, "rows": rows}


def _parts(block: Block, inverse: float) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Shifted logits of a few rows at a time: what is derived of them stays in the processor's cache.

    Those that count for nothing at the inverse temperature, or at larger ones, are raised to where exp is not subnormal.
    """
    shifted = block.activations.shifted_logits
    for start in range(0, len(block), _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, len(block)))
        yield rows, np.maximum(shifted[rows], _LOWEST / inverse)


def _own(block: Block) -> NDArray[np.float64]:
    """Shifted logits of the labels, shape [n]."""
    return block.activations.shifted_logits[np.arange(len(block)), block.label]


def _cumulants(moments: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Cumulants of distributions from their moments, of orders 1, 2, ... along the first axis."""
    found: list[NDArray[np.float64]] = []
    for order, moment in enumerate(moments):
        lower = sum(comb(order, k) * found[k] * moments[order - 1 - k] for k in range(order))
        found.append(moment - lower)
    return found


TEMPERATURE_GRID = Statistic("temperature-grid", _Grid, reads=("logits",), labelled=True)
"""`values` and `slopes`, shape [11]: the negative log-likelihood and its derivative by b on the grid; `rows`, shape []."""

TEMPERATURE_TAYLOR = Statistic(
    "temperature-taylor",
    partial(_Taylor, grid=TEMPERATURE_GRID),
    reads=("logits",),
    after=(TEMPERATURE_GRID,),
    labelled=True,
)
"""`derivatives` of orders 1 to 6 by b, shape [6], at `inverse_temperature`, shape []; `rows`, shape []."""

VALIDATION_TEMPERATURE_GRID = replace(TEMPERATURE_GRID, name="temperature-grid-val", source=VALIDATION)
"""The grid of the validation rows."""

VALIDATION_TEMPERATURE_TAYLOR = replace(
    TEMPERATURE_TAYLOR,
    name="temperature-taylor-val",
    start=partial(_Taylor, grid=VALIDATION_TEMPERATURE_GRID),
    after=(VALIDATION_TEMPERATURE_GRID,),
    source=VALIDATION,
)
"""The derivatives of the validation rows."""
