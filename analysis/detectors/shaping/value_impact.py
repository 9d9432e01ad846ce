"""What the entries of the feature give to the largest logit, by their value, over the fit dataset."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.statistics.statistic import Statistic, SweepContext
from analysis.statistics.value_histogram import head_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block
    from analysis.statistics.statistic import Arrays


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals of one width, side by side.

    Attributes:
        lowest: Where the first begins.
        highest: Where the last ends, which it does not contain.
        count: K, how many there are.
    """

    lowest: float
    highest: float
    count: int

    def numbers(self, values: NDArray[np.float64]) -> NDArray[np.intp]:
        """Which interval each value lies in, from 1 on; 0 for those in none, shape as the values'."""
        width = (self.highest - self.lowest) / self.count
        inside = (values >= self.lowest) & (values < self.highest)
        found = np.zeros(values.shape, np.intp)
        # Rounding must not carry a value beyond the last.
        found[inside] = np.minimum((values[inside] - self.lowest) / width, self.count - 1).astype(np.intp) + 1
        return found


class _Impact:
    """Sums of w_yd h_d by the interval of h_d."""

    __slots__ = ("_intervals", "_sums")

    def __init__(self, context: SweepContext, ends: tuple[Statistic, Statistic], count: int) -> None:
        lowest, highest = (float(context.results[end.name]["value"]) for end in ends)
        self._intervals = Intervals(lowest, highest, count)
        self._sums = np.zeros(count + 1)

    def update(self, block: Block) -> None:
        activations = block.activations
        features = activations.head_input64
        given = activations.need_head().weight[activations.predicted] * features
        numbers = self._intervals.numbers(features)
        self._sums += np.bincount(numbers.ravel(), given.ravel(), len(self._sums))

    def merge(self, other: _Impact) -> None:
        self._sums += other._sums

    def finish(self) -> dict[str, NDArray[Any]]:
        ends = np.array([self._intervals.lowest, self._intervals.highest])
        return {"range": ends, "impact": self._sums[1:]}


@cache
def value_impact(count: int, tail: float) -> Statistic:
    """Sums over the fit samples of w_yd x_d, y the predicted class and x what the head is fed, by the interval of x_d.

    Args:
        count: K, the number of intervals.
        tail: They reach from this quantile of all entries of x to 1 - it.

    Returns:
        The statistic: `range`, float64, shape [2], where the first begins and the last ends; `impact`, float64, shape [K].
    """
    return replace(_of(count, tail, normalizes=False), for_unit_features=_of(count, tail, normalizes=True))


def _of(count: int, tail: float, *, normalizes: bool) -> Statistic:
    lowest, highest = (head_quantile(share).of(normalizes=normalizes) for share in (tail, 1 - tail))
    name = f"value-impact-{count}-{tail:g}" + "-normalised" * normalizes
    start = partial(_Impact, ends=(lowest, highest), count=count)
    return Statistic(name, start, reads=("feature", "logits"), after=(lowest, highest))


def intervals_of(found: Arrays) -> Intervals:
    """The intervals of a statistic of `value_impact`."""
    lowest, highest = found["range"]
    return Intervals(float(lowest), float(highest), len(found["impact"]))
