from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime
from scipy.special import log_softmax, logsumexp, softmax

from analysis.detectors import get, score_checked
from analysis.rows.activations import Activations
from tests.analysis.modelled import headed

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

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


def gen(row: Float64, _feature: Float64, gamma: float = 0.1, count: int = 100) -> float:
    p = probabilities(row)
    rest = [math.fsum(p[:c] + p[c + 1 :]) for c in range(len(p))]
    largest = sorted(range(len(p)), key=lambda c: -p[c])[:count]
    return -math.fsum((p[c] * rest[c]) ** gamma for c in largest)


def doctor(row: Float64, _feature: Float64) -> float:
    p = probabilities(row)
    unsure = math.fsum(p[c] * math.fsum(p[:c] + p[c + 1 :]) for c in range(len(p)))
    return -unsure / math.fsum(one**2 for one in p)


def logit_gap(row: Float64, _feature: Float64) -> float:
    first, *others = sorted(row, reverse=True)
    return math.fsum(first - z for z in others[:88]) / len(others[:88])


def gradnorm(row: Float64, feature: Float64) -> float:
    return sum(abs(len(row) * p - 1) for p in probabilities(row)) * sum(abs(h) for h in feature)


ORACLES: dict[str, Callable[[Float64, Float64], float]] = {
    "doctor": doctor,
    "entropy": entropy,
    "gen": gen,
    "gen@gamma=0.5,largest=3": lambda row, feature: gen(row, feature, 0.5, 3),
    "gradnorm": gradnorm,
    "logit-gap": logit_gap,
    "mcm": lambda row, _feature: max(probabilities(row)),
    "msp": lambda row, _feature: softmax(row).max(),
    "max-logit": lambda row, _feature: max(row),
    "energy": lambda row, _feature: logsumexp(row),
}


@pytest.mark.parametrize("name", ORACLES)
@a_property
@given(rows=logit_rows)
def test_scores_equal_the_formula(name: str, rows: list[list[float]]) -> None:
    """One row at a time, by loops or by SciPy."""
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


def test_logit_gap_takes_the_next_largest() -> None:
    """Of 150 classes the largest and the 88 after it count, and of one class nothing does."""
    logits = np.random.default_rng(1).normal(size=(20, 150)) * 3
    assert_allclose(scores_of("logit-gap", logits), [logit_gap(row, row) for row in logits], rtol=1e-12)
    lower = np.where(logits < np.sort(logits)[:, [-89]], -1e4, logits)
    # Equal but for the order in which the numbers are added.
    assert_allclose(scores_of("logit-gap", lower), scores_of("logit-gap", logits), rtol=1e-14)
    assert scores_of("logit-gap", np.array([[3.0]])) == 0


@pytest.mark.parametrize(("name", "expected"), [("gen", -2 * math.exp(-60) ** 0.1), ("doctor", -2 * math.exp(-60))])
def test_confident_samples_are_told_apart(name: str, expected: float) -> None:
    """1 - p of the largest is the sum of the others: at a gap of 60 it is 1e-26, which 1 - p would round to 0."""
    scores = scores_of(name, np.array([[gap, 0.0] for gap in (20.0, 40.0, 60.0, 80.0)]))
    assert (np.diff(scores) > 0).all()
    assert_allclose(scores[2], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["doctor", "mcm"])
def test_a_temperature_divides_the_logits(name: str) -> None:
    """Scores at T are those of z / T at 1."""
    logits = np.random.default_rng(2).normal(size=(20, 7)) * 9
    rows = Activations(np.ones((20, 3)), logits)
    assert_allclose(score_checked(get(name).with_values(temperature=3), None, rows), scores_of(name, logits / 3))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("entropy", (0, -math.log(3))),
        ("gen", (0, -3 * (2 / 9) ** 0.1)),
        ("doctor", (0, -2)),
        ("logit-gap", (15_000, 0)),
        ("gradnorm", (12, 0)),
    ],
)
def test_extreme_logits_stay_finite(name: str, expected: tuple[float, float]) -> None:
    """A certain sample and a wholly uncertain one have the limits of the formula."""
    assert_allclose(scores_of(name, np.array([[1e4, 0.0, -1e4], [5.0, 5.0, 5.0]])), expected, atol=1e-12)


@pytest.mark.parametrize("normalizes", [False, True])
def test_gradnorm_is_the_norm_of_the_gradient(normalizes: bool) -> None:
    """Of the uniform cross-entropy by the head's weights, against finite differences; unit features where it is fed those."""
    case = headed(2, dim=4, classes=3, dtype="float64", nonnegative=False, normalizes=normalizes)
    head = case.rows.head
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
