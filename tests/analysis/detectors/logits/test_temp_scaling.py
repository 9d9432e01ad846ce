from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from analysis.rows.activations import Activations
from tests.analysis.gathered import fitted, fitted_and_warned, scored
from tests.analysis.modelled import headed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]
    Labels = NDArray[np.int64]

NAMES = ["temp-scaling", "temp-scaling.openood"]


def some_logits(seed: int, classes: int, scale: float, margin: float, rows: int = 600) -> tuple[Float64, Labels]:
    """Noise of a scale, on which the label's logit is raised by an exponential variable."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    logits = scale * rng.normal(size=(rows, classes))
    logits[np.arange(rows), labels] += margin * rng.exponential(size=rows)
    return logits, labels


def likelihood(logits: Float64, labels: Labels, temperature: float) -> float:
    scaled = logits / temperature
    return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(labels)), labels]).mean())


def slope(logits: Float64, labels: Labels, inverse: float) -> float:
    """Derivative of the likelihood by 1/T, and its scale."""
    mean = (softmax(inverse * logits, axis=1) * logits).sum(axis=1)
    return float((mean - logits[np.arange(len(labels)), labels]).mean())


def temperature_of(logits: Float64, labels: Labels, name: str = "temp-scaling", **how: int) -> float:
    rows = Activations(np.zeros((len(logits), 1)), logits)
    return float(fitted(name, rows, labels, classes=logits.shape[1], **how).temperature)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("classes", "scale", "margin"),
    [(2, 1, 1), (10, 3, 20), (10, 0.05, 0.1), (10, 40, 100), (300, 1, 5), (300, 2, 10), (300, 2, 600)],
)
def test_the_temperature_is_the_optimum(name: str, classes: int, scale: float, margin: float) -> None:
    """SciPy's bounded minimisation of the whole likelihood agrees as far as it can, and the slope at 1/T is 0."""
    logits, labels = some_logits(classes, classes, scale, margin)
    found = temperature_of(logits, labels, name)
    best = minimize_scalar(
        lambda inverse: likelihood(logits, labels, 1 / inverse),
        bounds=(0.01, 100),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert_allclose(1 / found, best.x, rtol=1e-5)
    assert likelihood(logits, labels, found) <= best.fun * (1 + 1e-14)
    # A relative step of 1e-9 to either side turns the slope's sign.
    assert slope(logits, labels, (1 - 1e-9) / found) < 0 < slope(logits, labels, (1 + 1e-9) / found)


def test_scores_are_the_scaled_softmax() -> None:
    """The largest probability at the temperature."""
    case = headed(4)
    temperature = fitted("temp-scaling", case.rows, case.labels).temperature
    expected = softmax(case.queries.logits64 / temperature, axis=1).max(axis=1)
    assert_allclose(scored("temp-scaling", case.rows, case.labels, case.queries), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("logits", "labels", "bound"),
    [
        ([[9.0, 0.0], [0.0, 7.0], [5.0, 1.0]], [0, 1, 0], 0.01),  # separable
        ([[1e5, 0.0], [0.0, 1e5]], [0, 1], 0.01),  # separable, with a likelihood of exactly 1 everywhere
        ([[0.001, 0.0], [0.0, 0.001], [0.001, 0.0]], [0, 1, 1], 0.01),  # best below the bound
        ([[9.0, 0.0], [0.0, 7.0]], [1, 0], 100.0),  # always wrong
        ([[1e5, 0.0], [0.0, 1e5]], [1, 0], 100.0),  # wrong by far
    ],
)
def test_a_bound_is_kept_and_said(logits: list[list[float]], labels: list[int], bound: float) -> None:
    """Where no temperature is best, it stays at the bound, and the user is told."""
    rows = Activations(np.zeros((len(logits), 1)), np.array(logits))
    fit, (warned,) = fitted_and_warned("temp-scaling", rows, np.array(labels))
    assert fit.temperature == bound
    assert "at its bound" in warned


def test_an_optimum_within_the_bounds_warns_of_nothing() -> None:
    """Not even where hardly a sample is misclassified."""
    logits, labels = some_logits(5, 50, 1, 1000, rows=2000)
    assert 0.99 < (logits.argmax(axis=1) == labels).mean() < 1
    fit, warned = fitted_and_warned("temp-scaling", Activations(np.zeros((2000, 1)), logits), labels)
    assert 0.01 < fit.temperature < 100
    assert warned == []
