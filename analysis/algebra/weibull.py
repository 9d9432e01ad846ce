"""Maximum-likelihood fits of Weibull distributions, many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def fit_weibull(
    values: NDArray[np.float64], held: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit 1 - exp(-(x / scale)^shape), at location 0, to each row.

    The shape k is the only zero of the increasing function sum x^k log x / sum x^k - 1/k - mean log x, which at
    -1 / mean log x, of x relative to the largest, is not above 0.

    Args:
        values: x, positive where held, at least two different ones per row, shape [K, T].
        held: Which of them count, bool, shape [K, T].

    Returns:
        Shapes and scales, float64, shape [K].
    """
    from scipy.optimize import elementwise  # slow to import, and every detector is

    largest = np.where(held, values, 0.0).max(axis=1, keepdims=True)
    # Relative to the largest, powers lie in [0, 1] whatever the shape.
    logs = np.log(np.where(held, values, largest) / largest)
    count = held.sum(axis=1)
    mean = logs.sum(axis=1) / count

    def slope(shape: NDArray[np.float64], row: NDArray[np.int64]) -> NDArray[np.float64]:
        powers = np.where(held[row], np.exp(shape[:, None] * logs[row]), 0.0)
        return np.asarray((powers * logs[row]).sum(axis=1) / powers.sum(axis=1) - 1 / shape - mean[row])

    rows = np.arange(len(values))
    low = -1 / mean
    high = 2 * low
    while (short := slope(high, rows) < 0).any():
        high = np.where(short, 2 * high, high)
    shape = np.asarray(elementwise.find_root(slope, (low, high), args=(rows,)).x)
    power = np.where(held, np.exp(shape[:, None] * logs), 0.0).sum(axis=1) / count
    return shape, largest[:, 0] * power ** (1 / shape)
