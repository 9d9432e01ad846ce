"""Where scores stand among the scores of ID samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.rows.checks import score_vector
from featurestore.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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
