"""The threshold that accepts a share of the ID scores: what every FPR, chart and judgement goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
