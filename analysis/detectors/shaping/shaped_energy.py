"""Energy of logits that are computed anew: from features that a detector has reshaped, or with weights that it has thinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.rows.activations import log_sum_exp

if TYPE_CHECKING:
    from numpy.typing import NDArray


def energy_of(
    features: NDArray[np.float64], weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return log sum_c exp(w_c h + b_c).

    Args:
        features: h, float64, shape [n, D].
        weight: w, float64, shape [C, D].
        bias: b, float64, shape [C].

    Returns:
        Float64, shape [n].
    """
    logits = features @ weight.T
    logits += bias
    return log_sum_exp(logits)


def kept(dim: int, percentile: float) -> int:
    """How many of `dim` entries are kept when a percentile of them is dropped: dim - round(dim * percentile / 100), at least 1."""
    return max(dim - round(dim * percentile / 100), 1)


def largest_entries(rows: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """Which entries are the `count` largest of their row; of equal ones, those with the lowest index.

    Args:
        rows: Float64, shape [n, D].
        count: In 1 .. D.

    Returns:
        Bool, shape [n, D], with `count` of each row true.
    """
    smallest = np.partition(rows, -count, axis=1)[:, [-count]]
    chosen = rows >= smallest
    tied = np.flatnonzero(np.count_nonzero(chosen, axis=1) > count)
    if len(tied):
        above, equal = rows[tied] > smallest[tied], rows[tied] == smallest[tied]
        room = count - np.count_nonzero(above, axis=1)
        chosen[tied] = above | (equal & (np.cumsum(equal, axis=1) <= room[:, None]))
    return chosen


def largest_sum(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Sum of the `count` largest entries of each row, shape [n]."""
    return np.asarray(np.partition(rows, -count, axis=1)[:, -count:].sum(axis=1))
