"""The threshold that accepts a share of the ID scores, which every FPR, chart and judgement goes by; and ranks among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.rows.checks import score_vector
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def threshold_at(id_scores: ArrayLike, tpr: ArrayLike) -> NDArray[np.float64]:
    """The quantile 1 - tpr of ID scores, interpolated linearly; what is at least that is accepted.

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
