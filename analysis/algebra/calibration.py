"""The temperature that fits logits to labels best, from what `analysis.statistics.temperature` gathers."""

from __future__ import annotations

from math import factorial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

LOWEST, HIGHEST = 0.01, 100.0
"""Between these lies the temperature: on separable data the best one is 0, on labels drawn at random infinity."""

INVERSE_TEMPERATURES = 2.0 ** np.array([-7, -5, -3, -2, -1, 0, 1, 2, 3, 5, 7])
"""The grid: ascending powers of 2, of which the first and the last lie beyond the bounds."""


def guess_inverse_temperature(grid: Arrays) -> float:
    """The inverse temperature, within the bounds, that maximises the likelihood as interpolated from the grid.

    Args:
        grid: `values` and `slopes` at `INVERSE_TEMPERATURES`, and the number of `rows` they are sums over.
    """
    from scipy.interpolate import KroghInterpolator  # slow to import, and every detector is
    from scipy.optimize import brentq

    rising = np.flatnonzero(grid["slopes"] > 0)
    if len(rising) == 0:
        return 1 / LOWEST
    above = int(rising[0])
    if above == 0:
        return 1 / HIGHEST
    # Two neighbours on either side, in the logarithm of b, on which the likelihood varies evenly.
    near = np.clip(np.arange(above - 2, above + 2), 0, len(INVERSE_TEMPERATURES) - 1)
    near = np.unique(near)
    nodes, scale = np.log(INVERSE_TEMPERATURES[near]), float(grid["rows"])
    values = np.column_stack([grid["values"][near], grid["slopes"][near] * INVERSE_TEMPERATURES[near]]) / scale
    curve = KroghInterpolator(np.repeat(nodes, 2), values.ravel())
    ends = np.log(INVERSE_TEMPERATURES[above - 1 : above + 1])
    best = brentq(lambda at: float(curve.derivative(at, 1)), *ends)
    return float(np.clip(np.exp(best), 1 / HIGHEST, 1 / LOWEST))


def best_inverse_temperature(taylor: Arrays) -> tuple[float, float]:
    """The inverse temperature, within the bounds, at which the derivative of the likelihood is 0, by its Taylor series.

    Args:
        taylor: `derivatives` of orders 1, 2, ... at `inverse_temperature`.

    Returns:
        The inverse temperature, and the relative error that the series may leave in it.
    """
    from scipy.optimize import brentq

    guess, derivatives = float(taylor["inverse_temperature"]), taylor["derivatives"] / float(taylor["rows"])
    terms = np.array([derivative / factorial(order) for order, derivative in enumerate(derivatives)])
    slope = np.polynomial.Polynomial(terms)
    # Twice as far as where its tangent vanishes, unless a bound is nearer.
    far = -2 * terms[0] / terms[1] if terms[1] > 0 else 0.0
    far = float(np.clip(far, 1 / HIGHEST - guess, 1 / LOWEST - guess))
    step = brentq(slope, 0.0, far, xtol=1e-15 * guess) if slope(0.0) * slope(far) < 0 else far
    best = guess + step
    left_out = abs(terms[-1] * step ** (len(terms) - 1))
    return best, left_out / (terms[1] * best) if terms[1] > 0 else 0.0
