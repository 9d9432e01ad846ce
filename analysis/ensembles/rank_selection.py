"""Combining models: the mean of their ID ranks, which models to take, and what that gains on classes not used to choose.

Ranks, not scores, are averaged: an `id_rank` is the share of ID test samples below a score, so that models and detectors of
any scale weigh the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.metrics import threshold_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ranks:
    """The ID ranks of one OOD set and the ID test set, by several models.

    Attributes:
        id: float [models, ID samples].
        ood: float [models, OOD samples].
        classes: Class of each OOD sample, int [OOD samples].
    """

    id: NDArray[np.floating]
    ood: NDArray[np.floating]
    classes: NDArray[np.int64]

    def of_classes(self, chosen: NDArray[np.bool_]) -> Ranks:
        """The same ID samples, and the OOD samples of some classes.

        Args:
            chosen: bool [classes].
        """
        kept = chosen[self.classes]
        return Ranks(self.id, self.ood[:, kept], np.unique(self.classes[kept], return_inverse=True)[1])


def fpr(of_id: NDArray[np.floating], of_ood: NDArray[np.floating], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """FPR at 95 % TPR, the unweighted mean over classes, of several combinations at once.

    Args:
        of_id: Combined ranks of ID samples, float [combinations, ID samples].
        of_ood: The same of OOD samples, float [combinations, OOD samples].
        classes: Class of each OOD sample, int [OOD samples], each number below the largest used.

    Returns:
        float64 [combinations].
    """
    accepted = of_ood >= threshold_at(of_id, 0.95)[:, None]
    members = np.zeros((len(classes), int(classes.max()) + 1))
    members[np.arange(len(classes)), classes] = 1.0 / np.bincount(classes)[classes]
    shares: NDArray[np.float64] = (accepted @ members).mean(axis=1)
    return shares


def weighted(ranks: Ranks, weights: NDArray[np.float64]) -> float:
    """FPR of a weighted mean of ranks.

    Args:
        ranks: The ranks.
        weights: float [models].
    """
    of_id, of_ood = weights @ ranks.id, weights @ ranks.ood
    return float(fpr(of_id[None], of_ood[None], ranks.classes)[0])


def mean_of(ranks: Ranks, chosen: Sequence[int]) -> float:
    """FPR of the plain mean of the ranks of some models."""
    models = list(chosen)
    of_id, of_ood = ranks.id[models].mean(axis=0), ranks.ood[models].mean(axis=0)
    return float(fpr(of_id[None], of_ood[None], ranks.classes)[0])


def forward_selection(ranks: Ranks, largest: int) -> list[int]:
    """Models in the order in which a greedy search takes them: each the one that lowers the FPR of the mean the most.

    Args:
        ranks: What the search may see.
        largest: How many to take; fewer if there are fewer models.

    Returns:
        Positions of the models; ties go to the lower mean OOD rank, then to the first.
    """
    models = ranks.id.shape[0]
    sum_id, sum_ood = np.zeros(ranks.id.shape[1]), np.zeros(ranks.ood.shape[1])
    separation = ranks.ood.mean(axis=1)
    order: list[int] = []
    while len(order) < min(largest, models):
        left = [model for model in range(models) if model not in order]
        found = [
            float(fpr((sum_id + ranks.id[m])[None], (sum_ood + ranks.ood[m])[None], ranks.classes)[0]) for m in left
        ]
        best = min(range(len(left)), key=lambda index: (found[index], separation[left[index]], left[index]))
        order.append(left[best])
        sum_id, sum_ood = sum_id + ranks.id[left[best]], sum_ood + ranks.ood[left[best]]
    return order


def separation_weights(ranks: Ranks) -> NDArray[np.float64]:
    """Weights in proportion to what each model's AUROC has above one half; equal if none has.

    AUROC is one minus the mean rank of OOD samples, here averaged over classes.

    Returns:
        float64 [models], sum 1.
    """
    of_class = [ranks.ood[:, ranks.classes == c].mean(axis=1) for c in np.unique(ranks.classes)]
    above = np.clip(0.5 - np.mean(of_class, axis=0), 0, None)
    return above / above.sum() if above.sum() > 0 else np.full(len(above), 1 / len(above))


def halves(classes: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Split the classes in two, every second one; choose on one half and judge on the other, then the other way round.

    Yields:
        Which classes to choose on, and which to judge on, bool [classes] each; nothing if there is a single class.
    """
    count = int(classes.max()) + 1
    even = np.arange(count) % 2 == 0
    if count > 1:
        yield even, ~even
        yield ~even, even
