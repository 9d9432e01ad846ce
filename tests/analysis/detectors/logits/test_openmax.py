from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.algebra.weibull import fit_weibull
from analysis.rows.activations import Activations
from featurestore.errors import NumericalError
from tests.analysis.gathered import scored
from tests.analysis.modelled import headed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.modelled import Modelled

    Float64 = NDArray[np.float64]


def naive_scores(case: Modelled, alpha: int = 3, tail: int = 20, translation: float = 1) -> Float64:
    """The authors' recipe, one class and one row at a time."""
    logits = case.rows.logits64
    classes = logits.shape[1]
    models = []
    for c in range(classes):
        right = [row for row, label in zip(logits, case.labels, strict=True) if label == c == np.argmax(row)]
        mean = np.mean(right, axis=0)
        distances = np.sort([math.dist(row, mean) for row in right])[-tail:]
        (shape,), (scale,) = fit_weibull(
            distances[None] - distances.min() + translation, np.ones((1, len(distances)), bool)
        )
        models.append((mean, distances.min(), shape, scale))
    scores = []
    for z in case.queries.logits64:
        changed, unknown = z.copy(), 0.0
        for rank, c in enumerate(np.argsort(-z, kind="stable")[:alpha]):
            mean, nearest, shape, scale = models[c]
            moved = max(math.dist(z, mean) - nearest + translation, 0)
            far = 1 - math.exp(-((moved / scale) ** shape))
            changed[c] = z[c] * (1 - (alpha - rank) / alpha * far)
            unknown += z[c] - changed[c]
        scores.append(-math.exp(unknown) / (math.exp(unknown) + np.exp(changed).sum()))
    return np.array(scores)


def test_scores_equal_the_formula() -> None:
    """Tails longer and shorter than a class, near and far queries."""
    case = headed(1, rows=300, classes=6, nonnegative=False)
    assert_allclose(scored("openmax", case.rows, case.labels, case.queries), naive_scores(case), rtol=1e-8)
    fast = scored("openmax@alpha=2,tail=7,translation=0.5", case.rows, case.labels, case.queries)
    assert_allclose(fast, naive_scores(case, 2, 7, 0.5), rtol=1e-8)
    few = headed(2, rows=60, classes=5, nonnegative=False)
    assert_allclose(scored("openmax", few.rows, few.labels, few.queries), naive_scores(few), rtol=1e-8)


def test_fewer_classes_than_ranks() -> None:
    """With two classes the weights are 1 and 1/2."""
    case = headed(3, classes=2, nonnegative=False)
    assert_allclose(scored("openmax", case.rows, case.labels, case.queries), naive_scores(case, alpha=2), rtol=1e-8)


def test_extreme_logits_stay_within_the_bounds() -> None:
    """A score is the negative of a probability."""
    case = headed(6, nonnegative=False)
    far = Activations(case.queries.feature, case.queries.logits64 * 1e4, case.queries.head)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = scored("openmax", case.rows, case.labels, far)
    assert (scores <= 0).all()
    assert (scores >= -1).all()


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        ([[3.0, 0], [4, 0], [6, 1], [0, 1]], [0, 0, 0, 1]),  # one correct sample
        ([[3.0, 0], [4, 0], [6, 1], [0, 1], [0, 1], [0, 1]], [0, 0, 0, 1, 1, 1]),  # equal ones
        ([[3.0, 0], [4, 0], [6, 1], [2, 1]], [0, 0, 0, 1]),  # none
    ],
)
def test_a_class_without_a_tail_is_named(logits: list[list[float]], labels: list[int]) -> None:
    """Fewer than two distinct distances leave nothing to fit."""
    rows = Activations(np.zeros((len(logits), 1)), np.array(logits))
    with pytest.raises(NumericalError, match=r"Class 1 has fewer than two distinct distances .* \(1 such classes\)"):
        scored("openmax", rows, np.array(labels), rows)
