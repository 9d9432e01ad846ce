"""Selective prediction: what a model gets wrong of what it does not reject, where it rejects the samples of the lowest scores.

Equal scores are in no order: a number that depends on one is its mean over all orders in which they could come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analysis.metrics.threshold import id_rank, threshold_at
from analysis.rows.checks import score_vector
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Truths = NDArray[np.bool_]

PERCENTS = np.arange(1, 101)
"""The coverages at which risks are kept."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """How well scores tell the samples that a model gets right from those that it gets wrong.

    Attributes:
        accuracy: Share of right ones.
        aurc: Mean over k = 1, 2, …, n of the share of wrong ones among the k of highest score.
        eaurc: What that is above the least possible: where all right ones have higher scores than all wrong ones.
        augrc: Area under the share of all samples that are accepted and wrong, against the share that is accepted.
        misclassification_auroc: Probability that a right sample outscores a wrong one, ties half; None if there is none of either.
        misclassification_fpr95: Share of wrong ones accepted at the threshold that accepts 95 % of the right ones; None likewise.
        risks: Share of wrong ones among the 1 %, 2 %, …, 100 % of highest score, in whole samples, rounded up, shape [100].
    """

    accuracy: float
    aurc: float
    eaurc: float
    augrc: float
    misclassification_auroc: float | None
    misclassification_fpr95: float | None
    risks: Floats


def rejection(scores: ArrayLike, right: Truths) -> Rejection:
    """Judge scores by a model's mistakes.

    With E_k wrong ones expected among the k of highest score: AURC = 1/n sum_k E_k / k, and AUGRC, by trapezoids, is
    1/n^2 sum_k (E_k + E_{k-1}) / 2 = (1 - AUROC) acc (1 - acc) + (1 - acc)^2 / 2.

    Source: Geifman & El-Yaniv 2017 (arXiv 1705.08500), risk and coverage; Geifman, Uziel & El-Yaniv 2019 (arXiv 1805.08206),
    AURC and E-AURC, here with the exact least of n samples; Traub et al. 2024 (arXiv 2407.01032), AUGRC; Hendrycks & Gimpel
    2017 (arXiv 1610.02136), AUROC of misclassification.

    Args:
        scores: Scores of ID samples, higher where the model should be trusted, shape [n].
        right: Which of them the model gets right, shape [n].

    Raises:
        InputError: There is no score, or not one for each sample.
        NumericalError: A score is NaN or infinite.

    Example:
        >>> found = rejection([4.0, 3.0, 2.0, 1.0], np.array([True, True, False, True]))
        >>> round(found.aurc, 4), found.augrc, round(found.misclassification_auroc, 4)
        (0.1458, 0.09375, 0.6667)
    """
    values, errors = expected_errors(scores, right)
    n, wrong = len(values), round(float(errors[-1]))
    counts = np.arange(1, n + 1)
    aurc = float(np.mean(errors[1:] / counts))
    least = float(np.mean(np.maximum(counts - (n - wrong), 0) / counts))
    kept = -(-PERCENTS * n // 100)
    own, other = values[right], values[~right]
    told = bool(len(own)) and bool(len(other))
    return Rejection(
        accuracy=1 - wrong / n,
        aurc=aurc,
        eaurc=max(0.0, aurc - least),
        augrc=float((errors[1:] + errors[:-1]).sum()) / (2 * n**2),
        misclassification_auroc=float(id_rank(own, np.sort(other)).mean()) if told else None,
        misclassification_fpr95=float(np.mean(other >= threshold_at(own, 0.95))) if told else None,
        risks=errors[kept] / kept,
    )


def expected_errors(scores: ArrayLike, right: Truths) -> tuple[Floats, Floats]:
    """The checked scores, and the wrong samples expected among the k of highest score for k = 0, …, n, shape [n + 1].

    Among equal scores they are as frequent at each place, so that their number grows in a line from one score to the next.
    """
    values = score_vector("Scores", scores)
    if right.shape != values.shape:
        raise InputError(f"Every score needs a prediction; got {len(right)} predictions for {len(values)} scores.")
    order = np.argsort(-values)
    ordered, wrong = values[order], np.concatenate([[0], np.cumsum(~right[order])])
    ends = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1, [len(ordered)]])
    return values, np.interp(np.arange(len(wrong)), ends, wrong[ends])


def oscr(scores: ArrayLike, right: Truths, ood_scores: ArrayLike) -> float:
    """Area under the curve of ID samples accepted and right against OOD samples accepted, both as shares (OSCR).

    It is the probability that an ID sample is right and outscores an OOD sample, ties half: accuracy is its largest value.

    Source: Dhamija, Günther & Boult 2018 (arXiv 1811.04110), the open-set classification rate.

    Args:
        scores: Scores of ID samples, shape [n_id].
        right: Which of them the model gets right, shape [n_id].
        ood_scores: Scores of OOD samples, shape [n_ood].

    Raises:
        InputError: There is no score.
        NumericalError: A score is NaN or infinite.
    """
    own = np.sort(score_vector("ID scores", scores)[right])
    if not len(own):
        return 0.0
    return float(1 - id_rank(ood_scores, own).mean()) * len(own) / len(right)
