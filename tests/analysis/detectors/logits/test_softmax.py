from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import approx_fprime
from scipy.special import log_softmax, logsumexp, softmax

from analysis.detectors import get, score_checked
from analysis.rows.activations import Activations
from tests.analysis.headed import headed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

NAMES = ["entropy", "gen", "mcm", "gradnorm"]
a_property = settings(deadline=None, max_examples=30)
logit_rows = st.lists(st.lists(st.integers(-320, 320).map(lambda k: k / 16), min_size=5, max_size=5), min_size=1)


def scores_of(name: str, logits: Float64, features: Float64 | None = None) -> Float64:
    rows = np.ones((len(logits), 3)) if features is None else features
    return score_checked(get(name), None, Activations(rows, logits))


def probabilities(row: Float64) -> list[float]:
    exponentials = [math.exp(z - max(row)) for z in row]
    return [one / math.fsum(exponentials) for one in exponentials]


def entropy(row: Float64, _feature: Float64) -> float:
    return math.fsum(p * math.log(p) for p in probabilities(row) if p > 0)


def gen(row: Float64, _feature: Float64) -> float:
    p = probabilities(row)
    rest = [math.fsum(p[:c] + p[c + 1 :]) for c in range(len(p))]
    largest = sorted(range(len(p)), key=lambda c: -p[c])[:100]
    return -math.fsum((p[c] * rest[c]) ** 0.1 for c in largest)


def mcm(row: Float64, _feature: Float64) -> float:
    return max(probabilities(row))


def gradnorm(row: Float64, feature: Float64) -> float:
    return sum(abs(len(row) * p - 1) for p in probabilities(row)) * sum(abs(h) for h in feature)


ORACLES = {"entropy": entropy, "gen": gen, "mcm": mcm, "gradnorm": gradnorm}


@pytest.mark.parametrize("name", NAMES)
@a_property
@given(rows=logit_rows)
def test_scores_equal_the_formula(name: str, rows: list[list[float]]) -> None:
    """One row and one class at a time."""
    logits, features = np.array(rows), np.random.default_rng(0).normal(size=(len(rows), 3))
    slow = [ORACLES[name](row, feature) for row, feature in zip(logits, features, strict=True)]
    assert_allclose(scores_of(name, logits, features), slow, rtol=1e-12, atol=1e-14)


def test_gen_takes_the_hundred_largest() -> None:
    """Of 150 classes fifty do not count."""
    logits = np.random.default_rng(1).normal(size=(20, 150)) * 3
    assert_allclose(scores_of("gen", logits), [gen(row, row) for row in logits], rtol=1e-12)
    lower = np.where(logits < np.sort(logits)[:, [50]], -1e4, logits)
    assert (scores_of("gen", lower) != scores_of("gen", logits)).all()  # only through the normaliser
    assert_allclose(scores_of("gen", lower), [gen(row, row) for row in lower], rtol=1e-12)


def test_gen_tells_confident_samples_apart() -> None:
    """1 - p of the largest is the sum of the others: at a gap of 60 it is 1e-26, which 1 - p would round to 0."""
    scores = scores_of("gen", np.array([[gap, 0.0] for gap in (20.0, 40.0, 60.0, 80.0)]))
    assert (np.diff(scores) > 0).all()
    assert_allclose(scores[2], -2 * (math.exp(-60)) ** 0.1, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@a_property
@given(rows=logit_rows, shift=st.integers(-1000, 1000).map(float))
def test_a_common_shift_changes_nothing(name: str, rows: list[list[float]], shift: float) -> None:
    """They are functions of the softmax (logits and shift are exact in binary)."""
    logits = np.array(rows)
    assert_array_equal(scores_of(name, logits + shift), scores_of(name, logits))


@pytest.mark.parametrize("name", NAMES)
def test_extreme_logits_stay_finite(name: str) -> None:
    """A certain sample and a wholly uncertain one have the limits of the formula."""
    certain, uncertain = scores_of(name, np.array([[1e4, 0.0, -1e4], [5.0, 5.0, 5.0]]))
    expected: dict[str, Any] = {
        "entropy": (0, -math.log(3)),
        "gen": (0, -3 * (2 / 9) ** 0.1),
        "mcm": (1, 1 / 3),
        "gradnorm": (12, 0),
    }
    assert_allclose((certain, uncertain), expected[name], atol=1e-12)


def test_mcm_is_msp_on_logits() -> None:
    """At temperature 1."""
    queries = headed().queries
    assert_array_equal(score_checked(get("mcm"), None, queries), score_checked(get("msp"), None, queries))


@pytest.mark.parametrize("normalizes", [False, True])
def test_gradnorm_is_the_norm_of_the_gradient(normalizes: bool) -> None:
    """Of the uniform cross-entropy by the head's weights, against finite differences; unit features where it is fed those."""
    case = headed(2, dim=4, classes=3, dtype="float64", nonnegative=False, normalizes=normalizes)
    head = case.fit.head
    assert head is not None
    scores = score_checked(get("gradnorm"), None, case.queries)
    for row in range(10):
        fed = case.queries.head_input64[row]
        gradient = approx_fprime(
            head.weight.ravel(),
            lambda weight, fed=fed: -log_softmax(weight.reshape(3, 4) @ fed + head.bias).sum(),
            1e-7,
        )
        assert_allclose(scores[row], np.abs(gradient).sum(), rtol=1e-5)


def test_entropy_keeps_its_digits_beside_a_large_offset() -> None:
    """Logits about a million have the entropy of their differences."""
    logits = np.array([[3.0, 1.0, 0.5], [0.0, 0.25, 0.0]])
    p = np.exp(logits - logsumexp(logits, axis=1, keepdims=True))
    assert_allclose(scores_of("entropy", logits + 2.0**20), (p * np.log(p)).sum(axis=1), rtol=1e-13)


BY_SCIPY = {
    "msp": lambda z: softmax(z, axis=1).max(axis=1),
    "max-logit": lambda z: z.max(axis=1),
    "energy": lambda z: logsumexp(z, axis=1),
}


@pytest.mark.parametrize("name", BY_SCIPY)
@a_property
@given(rows=logit_rows)
def test_scores_equal_scipy(name: str, rows: list[list[float]]) -> None:
    """The shared normaliser gives SciPy's softmax and logsumexp."""
    assert_allclose(scores_of(name, np.array(rows)), BY_SCIPY[name](np.array(rows)), rtol=1e-13, atol=1e-13)


@a_property
@given(rows=logit_rows, shift=st.integers(-1000, 1000).map(float))
def test_a_common_shift_of_all_logits(rows: list[list[float]], shift: float) -> None:
    """MSP does not see it; MaxLogit and energy move by exactly as much (logits and shift are exact in binary)."""
    logits = np.array(rows)
    assert_array_equal(scores_of("msp", logits + shift), scores_of("msp", logits))
    assert_array_equal(scores_of("max-logit", logits + shift), scores_of("max-logit", logits) + shift)
    assert_allclose(scores_of("energy", logits + shift), scores_of("energy", logits) + shift, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", BY_SCIPY)
def test_class_order_does_not_matter(name: str) -> None:
    """Permuting the classes permutes nothing in the score."""
    logits = np.random.default_rng(0).normal(size=(20, 6))
    assert_allclose(scores_of(name, logits[:, ::-1]), scores_of(name, logits), rtol=1e-15)


@pytest.mark.parametrize("name", BY_SCIPY)
def test_higher_means_more_confident(name: str) -> None:
    """Raising the top logit raises every score."""
    logits = np.tile([3.0, 1.0, 0.0], (5, 1))
    logits[:, 0] += np.arange(5)
    assert (np.diff(scores_of(name, logits)) > 0).all()


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e4, 1e300])
def test_extreme_logits_do_not_overflow(scale: float) -> None:
    """exp never overflows."""
    logits = scale * np.array([[1.0, -1.0], [0.0, 0.0]])
    assert_allclose(scores_of("msp", logits), softmax(logits, axis=1).max(axis=1))
    assert_allclose(scores_of("energy", logits), logsumexp(logits, axis=1))


def test_msp_tells_confident_samples_apart_beyond_float32() -> None:
    """At a gap of 20 float32 would say 1 for both."""
    near, far = scores_of("msp", np.array([[20.0, 0.0], [21.0, 0.0]], np.float16).astype(float))
    assert near < far < 1
