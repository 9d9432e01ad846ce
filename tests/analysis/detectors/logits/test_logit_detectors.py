from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp, softmax

from analysis.detectors import get, score_checked
from analysis.rows.activations import Activations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

a_property = settings(deadline=None, max_examples=40)
logit_rows = st.lists(st.lists(st.integers(-600, 600).map(lambda k: k / 16), min_size=4, max_size=4), min_size=1)
ORACLES = {
    "msp": lambda z: softmax(z, axis=1).max(axis=1),
    "max-logit": lambda z: z.max(axis=1),
    "energy": lambda z: logsumexp(z, axis=1),
}


def scores_of(name: str, logits: Float64) -> Float64:
    return score_checked(get(name), None, Activations(np.zeros((len(logits), 1)), logits))


@pytest.mark.parametrize("name", ORACLES)
@a_property
@given(rows=logit_rows)
def test_scores_equal_scipy(name: str, rows: list[list[float]]) -> None:
    """The shared normaliser gives SciPy's softmax and logsumexp."""
    assert_allclose(scores_of(name, np.array(rows)), ORACLES[name](np.array(rows)), rtol=1e-13, atol=1e-13)


@a_property
@given(rows=logit_rows, shift=st.integers(-1000, 1000).map(float))
def test_a_common_shift_of_all_logits(rows: list[list[float]], shift: float) -> None:
    """MSP does not see it; MaxLogit and energy move by exactly as much (logits and shift are exact in binary)."""
    logits = np.array(rows)
    assert_array_equal(scores_of("msp", logits + shift), scores_of("msp", logits))
    assert_array_equal(scores_of("max-logit", logits + shift), scores_of("max-logit", logits) + shift)
    assert_allclose(scores_of("energy", logits + shift), scores_of("energy", logits) + shift, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ORACLES)
def test_class_order_does_not_matter(name: str) -> None:
    """Permuting the classes permutes nothing in the score."""
    logits = np.random.default_rng(0).normal(size=(20, 6))
    assert_allclose(scores_of(name, logits[:, ::-1]), scores_of(name, logits), rtol=1e-15)


@pytest.mark.parametrize("name", ORACLES)
def test_higher_means_more_confident(name: str) -> None:
    """Raising the top logit raises every score."""
    logits = np.tile([3.0, 1.0, 0.0], (5, 1))
    logits[:, 0] += np.arange(5)
    assert (np.diff(scores_of(name, logits)) > 0).all()


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e4, 1e300])
def test_extreme_logits_stay_finite(scale: float) -> None:
    """exp never overflows."""
    logits = scale * np.array([[1.0, -1.0], [0.0, 0.0]])
    assert_allclose(scores_of("msp", logits), softmax(logits, axis=1).max(axis=1))
    assert_allclose(scores_of("energy", logits), logsumexp(logits, axis=1))


def test_msp_tells_confident_samples_apart_beyond_float32() -> None:
    """At a gap of 20 float32 would say 1 for both."""
    near, far = scores_of("msp", np.array([[20.0, 0.0], [21.0, 0.0]], np.float16).astype(float))
    assert near < far < 1
