"""How often each class comes at each rank of the logits, by predicted class, over the fit dataset."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.statistics.statistic import Statistic, SweepContext
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations, Block


def ranked_classes(activations: Activations, ranks: int | None) -> NDArray[np.intp]:
    """Classes by descending logit, the first of equal ones first.

    Args:
        activations: n samples of C classes.
        ranks: How many; None takes all, and so does a number above C.

    Returns:
        Shape [n, min(ranks, C)]; the first column is the predicted class.
    """
    descending = np.argsort(-activations.shifted_logits, axis=1, kind="stable")
    return descending[:, : ranks or descending.shape[1]]


class _RankCounts:
    """Counts of classes at the ranks from the second on."""

    __slots__ = ("_counts", "_ranks")

    def __init__(self, context: SweepContext, ranks: int | None) -> None:
        classes = context.classes
        self._ranks = min(ranks or classes, classes)
        each = classes * classes * np.dtype(np.int32).itemsize
        if (self._ranks - 1) * each > context.memory:
            fitting = context.memory // each + 1
            raise InputError(
                f"Which of {classes} classes comes at which of {self._ranks} ranks takes {(self._ranks - 1) * each >> 20} MiB "
                f"to count, more than the {context.memory >> 20} MiB that fits may take; "
                + (
                    f"take up to {fitting} ranks: --detector excel:ranks={fitting}."
                    if fitting > 1
                    else "leave excel out."
                )
            )
        self._counts = np.zeros((classes, self._ranks - 1, classes), np.int32)

    def update(self, block: Block) -> None:
        ranked = ranked_classes(block.activations, self._ranks)
        ranks = np.arange(self._ranks - 1)[None, :]
        np.add.at(self._counts, (ranked[:, :1], ranks, ranked[:, 1:]), 1)

    def merge(self, other: _RankCounts) -> None:
        self._counts += other._counts

    def finish(self) -> dict[str, NDArray[Any]]:
        return {"counts": self._counts}


@cache
def rank_counts(ranks: int | None) -> Statistic:
    """Samples by predicted class, rank of their logits from the second on, and class at that rank.

    Args:
        ranks: R, how many ranks; None counts all.

    Returns:
        The statistic: `counts`, integers, shape [C, min(R, C) - 1, C].
    """
    return Statistic(f"rank-counts-{ranks or 'all'}", partial(_RankCounts, ranks=ranks), reads=("logits",))
