"""Combinations of scores against their slow twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from analysis.ensembles.combining import fitted_weights, scale_of, tunes, tuning_classes
from analysis.rows.lake_rows import in_tenth
from featurestore.errors import InputError, NumericalError


def naive_loss(weights: np.ndarray, bias: float, id_z: np.ndarray, ood_z: np.ndarray) -> float:
    """The sum that the weights make smallest, term by term, in units of each member's root mean square."""
    total = 0.0005 * sum(w * w for w in weights)
    for rows, sign in ((id_z, -1), (ood_z, 1)):
        for row in rows:
            margin = sign * (sum(w * z for w, z in zip(weights, row, strict=True)) + bias)
            total += 0.5 / len(rows) * (max(margin, 0) + math.log1p(math.exp(-abs(margin))))
    return total


def naive_weights(id_z: np.ndarray, ood_z: np.ndarray) -> np.ndarray:
    """SciPy's search without derivatives."""
    size = np.sqrt(((id_z**2).mean(axis=0) + (ood_z**2).mean(axis=0)) / 2)
    found = minimize(
        lambda at: naive_loss(at[:-1], at[-1], id_z / size, ood_z / size),
        np.zeros(len(size) + 1),
        method="Powell",
        bounds=[(0, 50)] * len(size) + [(-50, 50)],
        options={"xtol": 1e-8, "ftol": 1e-14},
    )
    weights = found.x[:-1] / size
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_those_of_the_naive_search(seed: int) -> None:
    """One member tells a little, one much, one nothing, one the opposite of what it should."""
    generator = np.random.default_rng(seed)
    id_z = generator.normal(size=(40, 4))
    ood_z = generator.normal(size=(30, 4)) * (1, 5, 1, 1) - (0.5, 4, 0, -1)
    found = fitted_weights(id_z, ood_z)
    np.testing.assert_allclose(found, naive_weights(id_z, ood_z), atol=2e-4)
    assert found[3] == 0
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)


def test_weights_stay_finite_where_the_members_tell_all_apart() -> None:
    """Nothing runs off to infinity, and equal members get equal weights."""
    id_z, ood_z = np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([[-1e9, -1e9], [-3.0, -3.0]])
    np.testing.assert_allclose(fitted_weights(id_z, ood_z), [0.5, 0.5])


def test_what_cannot_be_fitted_says_why() -> None:
    """No sample of a kind; members that only mislead; constant scores; one class."""
    with pytest.raises(InputError, match="none of one kind"):
        fitted_weights(np.ones((0, 2)), np.ones((3, 2)))
    with pytest.raises(NumericalError, match="no weights to choose"):
        fitted_weights(np.array([[-1.0], [-2.0]]), np.array([[1.0], [2.0]]))
    with pytest.raises(NumericalError, match="The 3 ID scores of b/y do not differ"):
        scale_of(np.array([[0.0, 0.1], [1.0, 0.1], [2.0, 0.1]]), ["a/x", "b/y"])
    with pytest.raises(InputError, match="one class only"):
        tuning_classes(["ant", "ant"])


def test_z_scores_have_mean_zero_and_deviation_one() -> None:
    """Of the samples that they are measured on, whatever the members' units."""
    scores = np.random.default_rng(0).normal(size=(50, 3)) * (1e-9, 1, 1e9) + (0, 1e3, -1e9)
    z = scale_of(scores, "abc").z_scores(scores)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-6)


@given(st.lists(st.text("abc", max_size=3), min_size=2, unique=True))
def test_half_of_the_classes_tune_whatever_their_order(names: list[str]) -> None:
    """The same half for every order and multiplicity."""
    chosen = tuning_classes(names)
    assert len(chosen) == len(names) // 2
    assert set(chosen) < set(names)
    assert tuning_classes([*reversed(names), *names]) == chosen


def test_the_tenth_that_tunes_weights_is_not_the_one_that_validates_detectors() -> None:
    """About a tenth, and about a tenth of that in common."""
    samples = np.arange(50_000)
    assert 4_700 < tunes(samples).sum() < 5_300
    assert (tunes(samples) & in_tenth(samples)).sum() < 700
