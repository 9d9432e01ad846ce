"""Class statistics of features as they are, of scaled features, and of what the head is fed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from analysis.algebra.class_accumulators import ClassMeansAccumulator, ClassStatisticsAccumulator
from analysis.statistics.statistic import VALIDATION, Statistic, SweepContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block


class _Gathered:
    """Adapts an accumulator of class statistics, or of class means alone, to blocks."""

    __slots__ = ("_accumulator", "_beta")

    def __init__(
        self,
        context: SweepContext,
        *,
        beta: float,
        accumulator: type[ClassMeansAccumulator] = ClassStatisticsAccumulator,
    ) -> None:
        self._accumulator = accumulator(context.classes, context.dim)
        self._beta = beta

    def update(self, block: Block) -> None:
        self._accumulator.update(block.activations.scaled(self._beta), block.label)

    def merge(self, other: _Gathered) -> None:
        self._accumulator.merge(other._accumulator)

    def finish(self) -> dict[str, NDArray[Any]]:
        return self._accumulator.finish().to_arrays()


CLASS_STATISTICS = Statistic("class-statistics", partial(_Gathered, beta=0.0), labelled=True, version=2)
"""`analysis.algebra.class_scatter.ClassStatistics` of h."""

UNIT_CLASS_STATISTICS = Statistic("class-statistics-normalised", partial(_Gathered, beta=1.0), labelled=True, version=2)
"""`analysis.algebra.class_scatter.ClassStatistics` of h / ||h||_2."""

HEAD_CLASS_STATISTICS = replace(CLASS_STATISTICS, for_unit_features=UNIT_CLASS_STATISTICS)
"""`analysis.algebra.class_scatter.ClassStatistics` of what the head is fed: h, or h / ||h||_2 where the head normalises."""

_means = partial(_Gathered, accumulator=ClassMeansAccumulator)

CLASS_MEANS = Statistic("class-means", partial(_means, beta=0.0), labelled=True, within=CLASS_STATISTICS)
"""`analysis.algebra.class_scatter.ClassMeans` of h."""

HEAD_CLASS_MEANS = replace(
    CLASS_MEANS,
    for_unit_features=Statistic("class-means-normalised", partial(_means, beta=1.0), labelled=True),
    within=HEAD_CLASS_STATISTICS,
)
"""The same of what the head is fed."""

VALIDATION_CLASS_STATISTICS = replace(
    CLASS_STATISTICS,
    name="class-statistics-val",
    source=VALIDATION,
    for_unit_features=replace(UNIT_CLASS_STATISTICS, name="class-statistics-normalised-val", source=VALIDATION),
)
"""The same of the validation rows."""


def scaled_class_statistics(beta: float) -> Statistic:
    """`analysis.algebra.class_scatter.ClassStatistics` of h / ||h||_2^beta; at 0 and 1 those above."""
    if beta in (0, 1):
        return UNIT_CLASS_STATISTICS if beta else CLASS_STATISTICS
    return Statistic(f"class-statistics-beta-{beta!r}", partial(_Gathered, beta=beta), labelled=True)
