"""Samples of each class; a sweep for it reads labels alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.rows.checks import class_labels
from analysis.statistics.statistic import Statistic, SweepContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Block


class _Counts:
    __slots__ = ("_counts",)

    def __init__(self, context: SweepContext) -> None:
        self._counts = np.zeros(context.classes, np.int64)

    def update(self, block: Block) -> None:
        labels = class_labels(block.label, len(block), len(self._counts))
        self._counts += np.bincount(labels, minlength=len(self._counts))

    def merge(self, other: _Counts) -> None:
        self._counts += other._counts

    def finish(self) -> dict[str, NDArray[Any]]:
        return {"counts": self._counts}


CLASS_COUNTS = Statistic("class-counts", _Counts, reads=(), labelled=True)
"""Samples of each class: `counts`, int64, shape [C]."""
