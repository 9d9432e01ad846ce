"""The threshold that accepts a share of the ID scores, which every FPR, chart and judgement goes by; and ranks among them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import scipy

from analysis.rows.checks import score_vector
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def threshold_at(id_scores: ArrayLike, tpr: ArrayLike) -> NDArray[np.float64]:
    """The quantile 1 - tpr of ID scores, interpolated linearly; a score of at least this is accepted.

    Source: Bitterwolf et al. 2023 (NINCO), arXiv 2306.00826.

    Args:
        id_scores: Float, shape [n], or [m, n] for m lists of scores at once.
        tpr: Shares of them to accept, any shape [...].

    Returns:
        Float64, shape [...] or [..., m].

    Raises:
        InputError: A share is not between 0 and 1.
    """
    shares = np.asarray(tpr, np.float64)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise InputError(f"A true positive rate lies between 0 and 1; got {shares}.")
    # 1 - 0.95 is 4e-17 above 0.05, enough to move a threshold that is itself an ID score past OOD scores equal to it.
    return np.asarray(np.quantile(np.asarray(id_scores, np.float64), np.round(1.0 - shares, 12), axis=-1))


def threshold_interval(id_scores: ArrayLike, tpr: float, confidence: float = 0.95) -> tuple[float, float]:
    """Where the threshold of all images may lie, of which the ID scores are a sample: between two of these, by rank.

    The number of n independent scores below their distribution's quantile 1 - tpr is binomial. So the interval from the l-th
    to the u-th smallest score covers that quantile with at least the confidence, whatever the distribution, if fewer than l are
    below it, and u or more, with a probability of (1 - confidence) / 2 at most each. Where there is no such score, as in a
    small sample, that end is infinite.

    Source: Conover 1999, "Practical Nonparametric Statistics", 3.2: confidence interval of a quantile.

    Args:
        id_scores: Scores of the ID test samples, shape [n].
        tpr: Share of them to accept.
        confidence: Least probability of covering the quantile.

    Returns:
        Both ends.

    Raises:
        InputError: There is no score, or a share is not between 0 and 1.
        NumericalError: A score is NaN or infinite.

    Example:
        >>> threshold_interval(range(1, 1001), 0.95)
        (37.0, 65.0)
    """
    ordered = np.sort(score_vector("ID scores", id_scores))
    if not (0 <= tpr <= 1 and 0 < confidence < 1):
        raise InputError(f"A true positive rate and a confidence lie between 0 and 1; got {tpr} and {confidence}.")
    return ordered_interval(ordered, tpr, confidence)


def ordered_interval(ordered: NDArray[np.float64], tpr: float, confidence: float = 0.95) -> tuple[float, float]:
    """What `threshold_interval` says of ID scores that are checked, and in ascending order."""
    lower, upper = _interval_ranks(len(ordered), tpr, confidence)
    low = ordered[lower - 1] if lower else -np.inf
    return float(low), float(ordered[upper - 1] if upper <= len(ordered) else np.inf)


@lru_cache(maxsize=256)
def _interval_ranks(count: int, tpr: float, confidence: float) -> tuple[int, int]:
    """The ranks of both ends, from 1 on; 0 and count + 1 where there is no such score."""
    tail = (1 - confidence) / 2
    # at_most[k] is the probability that at most k scores lie below the quantile.
    at_most = scipy.special.bdtr(np.arange(count + 1, dtype=np.float64), count, np.round(1.0 - tpr, 12))
    return int(np.searchsorted(at_most, tail, side="right")), int(np.searchsorted(at_most, 1 - tail, side="left")) + 1


def id_rank(scores: ArrayLike, sorted_id_scores: ArrayLike) -> NDArray[np.float64]:
    """Share of ID scores below each score, ties counted half; AUROC is 1 minus its mean over OOD samples.

    Args:
        scores: Scores to be ranked, shape [n].
        sorted_id_scores: Scores of the ID test samples in ascending order, shape [n_id].

    Returns:
        Shares in [0, 1], float64, shape [n].

    Raises:
        InputError: A list is empty, or the ID scores are not sorted.
        NumericalError: A score is NaN or infinite.

    Example:
        >>> id_rank([0.0, 2.0, 9.0], [1.0, 2.0])
        array([0.  , 0.75, 1.  ])
    """
    ordered = score_vector("ID scores", sorted_id_scores)
    if (ordered[1:] < ordered[:-1]).any():
        raise InputError("ID scores must be sorted in ascending order before samples are ranked among them.")
    own = score_vector("Scores", scores)
    doubled = np.searchsorted(ordered, own, side="left") + np.searchsorted(ordered, own, side="right")
    return doubled / (2 * len(ordered))
