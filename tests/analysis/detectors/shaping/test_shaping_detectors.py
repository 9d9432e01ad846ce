from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp

from analysis.detectors import get, score_checked
from analysis.detectors.shaping.shaped_energy import kept, largest_entries
from analysis.rows.activations import Activations
from analysis.rows.head import Head
from featurestore.errors import InputError
from tests.analysis.gathered import fitted, scored
from tests.analysis.modelled import headed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.modelled import Modelled

    Float64 = NDArray[np.float64]


def fed(rows: Activations) -> Float64:
    """What the head is fed."""
    features = rows.feature.astype(float)
    if rows.head is not None and rows.head.normalizes:
        features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return features


def top(row: Float64, percentile: float) -> list[int]:
    """The entries that are kept, equal ones from the lowest index on."""
    count = len(row) - round(len(row) * percentile / 100)
    return sorted(range(len(row)), key=lambda d: (-row[d], d))[:count]


def clipped(row: Float64, _fit: Float64, low: float, high: float) -> list[float]:
    return [min(max(h, low), high) for h in row]


def react(row: Float64, fit: Float64, share: float) -> list[float]:
    return clipped(row, fit, -math.inf, float(np.quantile(fit, share)))


def vra(row: Float64, fit: Float64, low: float = 0.1, high: float = 0.9) -> list[float]:
    return clipped(row, fit, *np.quantile(fit, [low, high]))


def authors_vra(row: Float64, fit: Float64) -> list[float]:
    low, high = np.quantile(fit, [0.1, 0.9])
    return [0 if h < low else min(h, high) for h in row]


def ash_b(row: Float64, _fit: Float64, percentile: float) -> list[float]:
    chosen = top(row, percentile)
    return [math.fsum(row) / len(chosen) if d in chosen else 0 for d in range(len(row))]


def ash_s(row: Float64, _fit: Float64, percentile: float = 90) -> list[float]:
    chosen = top(row, percentile)
    factor = math.exp(math.fsum(row) / math.fsum(row[d] for d in chosen))
    return [h * factor if d in chosen else 0 for d, h in enumerate(row)]


def scale(row: Float64, _fit: Float64, percentile: float = 85) -> list[float]:
    factor = math.exp(math.fsum(row) / math.fsum(row[d] for d in top(row, percentile)))
    return [h * factor for h in row]


SHAPES: dict[str, Any] = {
    "react": lambda row, fit: react(row, fit, 0.99),
    "react.openood": lambda row, fit: react(row, fit, 0.9),
    "vra": vra,
    "vra.openood": vra,
    "vra.authors": authors_vra,
    "ash-b": lambda row, fit: ash_b(row, fit, 65),
    "ash-b.openood": lambda row, fit: ash_b(row, fit, 90),
    "ash-s": ash_s,
    "scale": scale,
    "react@quantile=0.6": lambda row, fit: react(row, fit, 0.6),
    "vra@low=0.3,high=0.7": lambda row, fit: vra(row, fit, 0.3, 0.7),
    "ash-b@percentile=30": lambda row, fit: ash_b(row, fit, 30),
    "ash-s@percentile=40": lambda row, fit: ash_s(row, fit, 40),
    "scale@percentile=40": lambda row, fit: scale(row, fit, 40),
}
DICE = {"dice": 90, "dice@percentile=25": 25}
NAMES = [*SHAPES, *DICE]


def naive_scores(name: str, case: Modelled) -> Float64:
    """One row at a time, with a mask over all weights for DICE."""
    head, fit = case.rows.head, fed(case.rows)
    assert head is not None
    weight = head.weight.copy()
    if name in DICE:
        contributions = weight * fit.mean(axis=0)
        weight[contributions <= np.percentile(contributions, DICE[name])] = 0
    shape = SHAPES.get(name, lambda row, _fit: row)
    return np.array([logsumexp(weight @ np.array(shape(row, fit)) + head.bias) for row in fed(case.queries)])


@pytest.mark.parametrize(("normalizes", "nonnegative"), [(False, True), (True, True), (False, False)])
@pytest.mark.parametrize("name", NAMES)
def test_scores_equal_the_formula(name: str, normalizes: bool, nonnegative: bool) -> None:
    """On features as they are, also signed, and on unit features where the head is fed those."""
    case = headed(1, dim=24, normalizes=normalizes, nonnegative=nonnegative)
    assert_allclose(scored(name, case.rows, case.labels, case.queries), naive_scores(name, case), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_head_is_needed_and_must_fit(name: str) -> None:
    """Without one, or with one for other features, there is no score."""
    case = headed(5)
    fit, detector = fitted(name, case.rows, case.labels), get(name)
    assert detector.needs_head
    with pytest.raises(InputError, match="without a linear head"):
        score_checked(detector, fit, Activations(case.queries.feature))
    other = Activations(case.queries.feature, head=Head(np.ones((5, 9)), np.zeros(5)))
    with pytest.raises(InputError, match="fed 9 dimensions; these features have 12"):
        score_checked(detector, fit, other)


def test_ties_go_to_the_lowest_index() -> None:
    """As after a ReLU, where the zeros are equal."""
    rows = np.array([[0.0, 2, 0, 0, 1, 0], [3, 3, 3, 3, 3, 3], [1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 0, 0]])
    expected = [[1, 1, 1, 0, 1, 0], [1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]
    assert largest_entries(rows, 4).astype(int).tolist() == expected


def test_the_number_of_kept_entries() -> None:
    """D - round(D p / 100), halves to even, and never none."""
    assert [kept(768, 90), kept(768, 65), kept(768, 85), kept(2048, 90)] == [77, 269, 115, 205]
    assert [kept(10, 65), kept(10, 85), kept(1, 90)] == [4, 2, 1]


def test_one_dimension() -> None:
    """Every detector of the family scores it."""
    case = headed(7, dim=1, classes=3)
    positive = Activations(case.queries.feature + np.float16(0.5), None, case.queries.head)
    for name in NAMES:
        assert np.isfinite(scored(name, case.rows, case.labels, positive)).all()
