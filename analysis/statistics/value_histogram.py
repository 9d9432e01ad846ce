"""How often each value occurs among all entries of what the head is fed, and, by a second look, quantiles of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.checks import finite_rows
from analysis.statistics.statistic import FIT, VALIDATION, Statistic, SweepContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block
    from analysis.statistics.statistic import Arrays

# Float32 keeps its upper 20 bits: sign, exponent and 11 bits of the mantissa, one more than float16 has.
_DROPPED = 12
_BINS16, _BINS32 = 1 << 16, 1 << (32 - _DROPPED)
# Cells between one float32 and the next, for numbers of more digits.
_PARTS = 256


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


class _Quantile:
    """Counts the entries of the bins in which a quantile lies, in cells that tell them apart."""

    __slots__ = ("_bins", "_ranks", "_unit", "_weight")

    def __init__(self, context: SweepContext, histogram: str, share: float, *, unit: bool) -> None:
        patterns, counts = _bins_of(context.results[histogram])
        last = np.cumsum(counts)
        entries = int(last[-1])
        position = share * float(entries - 1)
        below = int(position)
        self._unit, self._weight = unit, position - below
        self._ranks = (below, min(below + 1, entries - 1))
        exact = not unit and np.finfo(context.dtype).bits <= np.finfo(np.float32).bits
        places = dict.fromkeys(np.searchsorted(last, self._ranks, side="right").tolist())
        self._bins = [_Bin.of(int(patterns[at]), int(last[at] - counts[at]), exact=exact) for at in places]

    def update(self, block: Block) -> None:
        rows = block.activations.normalised64 if self._unit else block.activations.feature
        with np.errstate(over="ignore"):
            singles = rows.astype(np.float32, copy=False)
        for one in self._bins:
            found = rows[(singles >= one.lowest) & (singles <= one.highest)].astype(np.float64)
            np.add.at(one.counts, ((found - one.start) / one.width).astype(np.int64), 1)

    def merge(self, other: _Quantile) -> None:
        for ours, theirs in zip(self._bins, other._bins, strict=True):
            np.add(ours.counts, theirs.counts, out=ours.counts)

    def finish(self) -> dict[str, NDArray[Any]]:
        ends = [next(one.value_at(rank) for one in reversed(self._bins) if rank >= one.before) for rank in self._ranks]
        return {"value": np.array(np.quantile(ends, self._weight))}


@dataclass(frozen=True, slots=True, eq=False)
class _Bin:
    """A bin of the histogram, cut into cells of equal width.

    Attributes:
        lowest: The least float32 of the bin.
        highest: The largest.
        before: Entries below the bin.
        start: Where the first cell begins.
        width: That of each cell.
        middle: Which part of a cell stands for it.
        counts: Entries of each cell, int64.
    """

    lowest: np.float32
    highest: np.float32
    before: int
    start: float
    width: float
    middle: float
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, number: int, before: int, *, exact: bool) -> _Bin:
        """Cut a bin into the float32 of it, or, for other numbers that round to these, into cells that are far narrower."""
        patterns = np.array([number << _DROPPED, (number << _DROPPED) | ((1 << _DROPPED) - 1)], np.uint32)
        ends = patterns.view(np.float32)
        # That of zero holds the numbers on both sides of it.
        low, high = (-ends[1], ends[1]) if number == 0 else (ends.min(), ends.max())
        ulp = float(np.spacing(np.abs(ends).min()))
        parts = 1 if exact else _PARTS
        cells = (round((float(high) - float(low)) / ulp) + 1) * parts
        middle = 0.5 if exact else 0.0
        # A number halfway between the last float32 and the next one may round to either.
        return cls(low, high, before, float(low) - ulp / 2, ulp / parts, middle, np.zeros(cells + 1, np.int64))

    def value_at(self, rank: int) -> float:
        cell = int(np.searchsorted(np.cumsum(self.counts), rank - self.before, side="right"))
        return self.start + (cell + self.middle) * self.width


def _bins_of(histogram: Arrays) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """The bins of a histogram, ascending by value, each once, and their entries."""
    bins = histogram["values"].astype(np.float32).view(np.uint32) >> np.uint32(_DROPPED)
    bins[bins == _BINS32 // 2] = 0
    first = np.flatnonzero(np.diff(bins, prepend=bins[:1] + np.uint32(1)))
    return bins[first], np.add.reduceat(histogram["counts"], first)


def _require_finite(rows: NDArray[Any], counts: NDArray[np.int64], infinity: int) -> None:
    sign = len(counts) // 2
    if counts[infinity:sign].any() or counts[sign + infinity :].any():
        finite_rows("Features", rows)


_UNIT_VALUES = Statistic("value-histogram-normalised", partial(_Histogram, unit=True))

HEAD_VALUES = Statistic("value-histogram", partial(_Histogram, unit=False), for_unit_features=_UNIT_VALUES)
"""`values`, float64, ascending, shape [K], and `counts`, int64, shape [K], of the entries of h, or of h / ||h||_2.

Values are those of float16, or the middles of bins of a relative width of 2^-11.
"""

VALIDATION_HEAD_VALUES = replace(
    HEAD_VALUES,
    name="value-histogram-val",
    source=VALIDATION,
    for_unit_features=replace(_UNIT_VALUES, name="value-histogram-normalised-val", source=VALIDATION),
)
"""The same of the validation rows."""


def head_quantile(share: float, source: str = FIT) -> Statistic:
    """A quantile of all entries of what the head is fed, as `numpy.quantile` interpolates it: `value`, float64, shape [].

    It is exact where features are stored as float32 or float16 and the head does not normalise; else it is within a relative
    2^-31, 5e-10, of the exact one. The histogram says in which bins it lies, and a second sweep, which the quantiles of
    one histogram share, looks into these.

    Args:
        share: Which, in [0, 1].
        source: `FIT` or `VALIDATION`.
    """
    histogram = VALIDATION_HEAD_VALUES if source == VALIDATION else HEAD_VALUES

    def quantile_of(values: Statistic, *, unit: bool) -> Statistic:
        name = f"{values.name.replace('histogram', 'quantile')}-{share!r}"
        start = partial(_Quantile, histogram=values.name, share=share, unit=unit)
        return Statistic(name, start, after=(values,), source=source)

    of_unit = quantile_of(histogram.of(normalizes=True), unit=True)
    return replace(quantile_of(histogram, unit=False), for_unit_features=of_unit)
