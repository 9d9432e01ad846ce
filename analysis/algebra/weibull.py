"""Maximum-likelihood fits of Weibull distributions, many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ITERATIONS = 200


def fit_weibull(
    values: NDArray[np.float64], held: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit 1 - exp(-(x / scale)^shape), at location 0, to each row.

    The shape k is the only zero of the increasing function sum x^k log x / sum x^k - 1/k - mean log x, found by Newton's
    method within a bracket that shrinks.

    Args:
        values: x, positive where held, at least two different ones per row, shape [K, T].
        held: Which of them count, bool, shape [K, T].

    Returns:
        Shapes and scales, float64, shape [K].
    """
    largest = np.where(held, values, 0.0).max(axis=1, keepdims=True)
    # Relative to the largest, powers lie in [0, 1] whatever the shape.
    logs = np.log(np.where(held, values, largest) / largest)
    count = held.sum(axis=1)
    mean = logs.sum(axis=1) / count
    low = -1 / mean
    high = 2 * low
    while (short := _slope(high, logs, held, mean)[0] < 0).any():
        high = np.where(short, 2 * high, high)
    shape = low
    for _ in range(_ITERATIONS):
        slope, curvature = _slope(shape, logs, held, mean)
        low, high = np.where(slope <= 0, shape, low), np.where(slope >= 0, shape, high)
        better = shape - slope / curvature
        better = np.where((better >= low) & (better <= high), better, (low + high) / 2)
        done = np.abs(better - shape) <= 1e-15 * shape
        shape = better
        if done.all():
            break
    power = np.where(held, np.exp(shape[:, None] * logs), 0.0).sum(axis=1) / count
    return shape, largest[:, 0] * power ** (1 / shape)


def _slope(
    shape: NDArray[np.float64], logs: NDArray[np.float64], held: NDArray[np.bool_], mean: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The function whose zero is the shape, and its derivative, shape [K]."""
    powers = np.where(held, np.exp(shape[:, None] * logs), 0.0)
    total = powers.sum(axis=1)
    first = (powers * logs).sum(axis=1) / total
    second = (powers * logs**2).sum(axis=1) / total
    return first - 1 / shape - mean, second - first**2 + 1 / shape**2
