from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import weibull_min

from analysis.algebra.weibull import fit_weibull


def all_held(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return fit_weibull(values, np.ones(values.shape, bool))


def test_fits_are_as_likely_as_scipys() -> None:
    """Or more likely: its simplex search stops early."""
    rng = np.random.default_rng(0)
    values = np.stack([1 + rng.exponential(scale, 20) for scale in (0.01, 0.3, 1, 5, 40)])
    values -= values.min(axis=1, keepdims=True) - 1
    shapes, scales = all_held(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its search passes through shapes that overflow
        theirs = [weibull_min.fit(row, floc=0) for row in values]
    for row, shape, scale, (c, _, s) in zip(values, shapes, scales, theirs, strict=True):
        ours = weibull_min.logpdf(row, shape, scale=scale).sum()
        assert ours >= weibull_min.logpdf(row, c, scale=s).sum() - 1e-9
        assert_allclose((shape, scale), (c, s), rtol=1e-3)


@pytest.mark.parametrize("width", [1e-9, 1e-3, 1.0, 1e3, 1e12])
def test_the_likelihood_is_stationary(width: float) -> None:
    """Its derivatives by shape and scale are 0, from nearly equal values to widely spread ones."""
    values = 1 + width * np.random.default_rng(1).uniform(size=(6, 12))
    shapes, scales = all_held(values)
    relative = values / scales[:, None]
    powers = relative ** shapes[:, None]
    assert_allclose(powers.mean(axis=1), 1, rtol=1e-6)
    by_shape = 1 / shapes + np.log(relative).mean(axis=1) - (powers * np.log(relative)).mean(axis=1)
    assert_allclose(by_shape * shapes, 0, atol=1e-6)


def test_what_is_not_held_does_not_count() -> None:
    """A row with gaps has the fit of the row without them."""
    values = 1 + np.random.default_rng(2).exponential(size=(3, 9))
    held = np.arange(9) % 3 != 0
    gaps = np.where(held, values, 0.0)
    assert_allclose(fit_weibull(gaps, np.tile(held, (3, 1))), all_held(values[:, held]), rtol=1e-12)


def test_the_scale_moves_with_the_values() -> None:
    """And the shape does not."""
    values = 1 + np.random.default_rng(3).exponential(size=(4, 20))
    shapes, scales = all_held(values)
    assert_allclose(all_held(1e200 * values), (shapes, 1e200 * scales), rtol=1e-9)
