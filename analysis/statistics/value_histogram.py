"""How often each value occurs among all entries of what the head is fed, and quantiles of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.checks import finite_rows
from analysis.statistics.statistic import VALIDATION, Statistic, SweepContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block
    from analysis.statistics.statistic import Arrays

# Float32 keeps its upper 20 bits: sign, exponent and 11 bits of the mantissa, one more than float16 has.
_DROPPED = 12
_BINS16, _BINS32 = 1 << 16, 1 << (32 - _DROPPED)


class _Histogram:
    """Counts bit patterns: float16 whole, anything else by the upper bits of its float32."""

    __slots__ = ("_halves", "_singles", "_unit")

    def __init__(self, _context: SweepContext, *, unit: bool) -> None:
        self._unit = unit
        self._halves = np.zeros(_BINS16, np.int64)
        self._singles = np.zeros(0, np.int64)

    def update(self, block: Block) -> None:
        rows = block.activations.normalised64 if self._unit else block.activations.feature
        if rows.dtype == np.float16:
            patterns = np.ascontiguousarray(rows).view(np.uint16).ravel()
            counts = np.bincount(patterns, minlength=_BINS16)
            _require_finite(rows, counts, 0x7C00)
            self._halves += counts
            return
        with np.errstate(over="ignore"):
            singles = np.ascontiguousarray(rows, dtype=np.float32)
        counts = np.bincount(singles.view(np.uint32).ravel() >> np.uint32(_DROPPED), minlength=_BINS32)
        _require_finite(singles, counts, 0x7F800)
        self._singles = self._singles + counts if len(self._singles) else counts

    def merge(self, other: _Histogram) -> None:
        self._halves += other._halves
        if len(other._singles):
            self._singles = self._singles + other._singles if len(self._singles) else other._singles

    def finish(self) -> dict[str, NDArray[Any]]:
        halves, singles = np.flatnonzero(self._halves), np.flatnonzero(self._singles)
        patterns = singles.astype(np.uint32) << np.uint32(_DROPPED)
        # A bin of zeros stands for zero, any other for its middle.
        patterns[patterns << np.uint32(1) != 0] |= np.uint32(1 << (_DROPPED - 1))
        values = np.concatenate(
            [halves.astype(np.uint16).view(np.float16), patterns.view(np.float32)], dtype=np.float64
        )
        counts = np.concatenate([self._halves[halves], self._singles[singles]])
        order = np.argsort(values, kind="stable")
        return {"values": values[order], "counts": counts[order]}


def quantile(histogram: Arrays, share: float) -> float:
    """A quantile of all entries, interpolated between neighbours as `numpy.quantile` does by default.

    Args:
        histogram: `HEAD_VALUES` or `VALIDATION_HEAD_VALUES`.
        share: Which, in [0, 1].

    Returns:
        The quantile: exact where features are stored in float16 and the head does not normalise; else within a
        relative 2^-12 of the exact one.
    """
    last = np.cumsum(histogram["counts"])
    position = share * float(last[-1] - 1)
    below = int(position)
    at = np.searchsorted(last, [below, min(below + 1, int(last[-1]) - 1)], side="right")
    lower, upper = histogram["values"][at]
    return float(np.quantile([lower, upper], position - below))


def _require_finite(rows: NDArray[Any], counts: NDArray[np.int64], infinity: int) -> None:
    sign = len(counts) // 2
    if counts[infinity:sign].any() or counts[sign + infinity :].any():
        finite_rows("Features", rows)


_UNIT_VALUES = Statistic("value-histogram-normalised", partial(_Histogram, unit=True))

HEAD_VALUES = Statistic("value-histogram", partial(_Histogram, unit=False), for_unit_features=_UNIT_VALUES)
"""`values`, float64, ascending, shape [K], and `counts`, int64, shape [K], of the entries of h, or of h / ||h||_2."""

VALIDATION_HEAD_VALUES = replace(
    HEAD_VALUES,
    name="value-histogram-val",
    source=VALIDATION,
    for_unit_features=replace(_UNIT_VALUES, name="value-histogram-normalised-val", source=VALIDATION),
)
"""The same of the validation rows."""
