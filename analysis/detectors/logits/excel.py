"""The largest logit, and how usual the order of the other classes is among fit samples of the same prediction (ExCeL)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.detectors.detector import Detector, FitInputs
from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.logits.rank_counts import rank_counts, ranked_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations
    from analysis.statistics.statistic import Statistic


@dataclass(frozen=True, slots=True, eq=False)
class RankFit:
    """How often each class comes at each rank, beside chance, by predicted class.

    Attributes:
        levels: Numbers of levels by predicted class, rank from the second on, and class there, int8, shape [C, R - 1, C]:
            0 for classes that never come there, 1 for less often than by chance, 2 for more often, 3 for far more often.
    """

    levels: NDArray[np.int8]


def needs(*, ranks: int | None) -> tuple[Statistic, ...]:
    """Counts of classes at ranks."""
    return (rank_counts(ranks),)


def fit(inputs: FitInputs, *, ranks: int | None, upper: float) -> RankFit:
    """Compare the frequency of each class at each rank with 1 / C, and with u / C."""
    counts = inputs.need(rank_counts(ranks))["counts"]
    levels = (counts > 0).astype(np.int8)
    for seen, level in zip(counts, levels, strict=True):
        # As shares of whole numbers, compared without rounding; one class at a time, in integers that hold the products.
        samples = seen.sum(axis=1, keepdims=True, dtype=np.int64)
        multiples = seen.astype(np.int64) * len(counts)
        level[multiples > samples] = 2
        level[multiples > upper * samples] = 3
    return RankFit(levels)


def score(
    fit: RankFit, activations: Activations, *, ranks: int | None, alpha: float, reward: float
) -> NDArray[np.float64]:
    """Return (1 - a) max z + a sum_{r > 1} L(y, r, class at rank r), shape [n]."""
    ranked = ranked_classes(activations, ranks)
    classes = activations.shifted_logits.shape[1]
    values = np.array([-reward, -1.0, 1.0, reward]) / classes
    levels = fit.levels[ranked[:, :1], np.arange(ranked.shape[1] - 1), ranked[:, 1:]]
    return np.asarray((1 - alpha) * activations.max_logit + alpha * values[levels].sum(axis=1))


EXCEL = Detector(
    name="excel",
    title="ExCeL",
    formula=(
        "(1 - a) max z + a sum_{r > 1} L(y, r, class at rank r), y = argmax z; C L = r if P > u / C, 1 if P > 1 / C, -1 if "
        "P > 0, else -r; P = share of the class at that rank of z among the fit samples predicted as y"
    ),
    source="Karunanayake, Seneviratne & Chawla 2023, arXiv 2311.14754",
    score=score,
    fit=fit,
    fitted_on="fit logits",
    needs=needs,
    needs_logits=True,
    needs_features=False,
    on_request=True,
    hyperparameters=(
        Hyperparameter("ranks", None, 2, math.inf, "how many ranks count", rule="as many as there are classes"),
        Hyperparameter("alpha", 0.8, 0.0, 1.0, "a: what the order of the classes counts"),
        Hyperparameter("upper", 5.0, 1.0, math.inf, "u: from which multiple of chance on a class is far more frequent"),
        Hyperparameter(
            "reward", 10.0, 0.0, math.inf, "r: what such a class counts, and what one that never comes there costs"
        ),
    ),
)
