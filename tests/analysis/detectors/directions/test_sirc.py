from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp

from analysis.rows.activations import Activations, normalise
from analysis.rows.head import Head
from featurestore.errors import NumericalError
from tests.analysis.conftest import CASES
from tests.analysis.gathered import scored
from tests.analysis.modelled import Modelled, activations_of, headed, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[Any]


def seconds(name: str, case: Modelled, rows: Activations) -> Float64:
    """The second score: the 1-norm, or what the principal axes about the head's origin leave, negated."""
    fit, asked = (
        normalise(one.feature64) if case.head.normalizes else one.feature.astype(float) for one in (case.rows, rows)
    )
    if name == "sirc":
        return np.abs(asked).sum(axis=1)
    origin = -np.linalg.pinv(case.head.weight) @ case.head.bias
    _, vectors = np.linalg.eigh((fit - origin).T @ (fit - origin))
    left = vectors[:, : fit.shape[1] - fit.shape[1] // 2]
    return -np.linalg.norm((asked - origin) @ left, axis=1)


def naive_scores(name: str, case: Modelled, deviations: float) -> list[float]:
    """The formula of the authors' code, with 1 - p as the sum of the others."""
    fit = seconds(name, case, case.rows)
    lowest, slope = fit.mean() - deviations * fit.std(), 1 / fit.std()
    scores = []
    for z, s in zip(case.queries.logits64, seconds(name, case, case.queries), strict=True):
        others = logsumexp(np.delete(z, z.argmax())) - logsumexp(z)
        scores.append(-others - np.logaddexp(0, -slope * (s - lowest)))
    return scores


@pytest.mark.parametrize("normalizes", [False, True])
@pytest.mark.parametrize("case", ["random", "class of one sample", "offset", "float16", "digits"])
@pytest.mark.parametrize("name", ["sirc", "sirc-residual"])
def test_scores_equal_the_formula(name: str, case: str, normalizes: bool) -> None:
    """On random, degenerate and real features, for heads that are fed h and heads that are fed its direction."""
    labelled = CASES[case]()
    model = modelled(labelled, normalizes=normalizes)
    fast = scored(name, model.rows, model.labels, model.queries, classes=labelled.num_classes)
    assert_allclose(fast, naive_scores(name, model, 3), rtol=1e-6, atol=1e-9)


def test_the_number_of_deviations() -> None:
    """It says from where on the second score counts."""
    model = headed(3, dtype="float64", nonnegative=False)
    fast = scored("sirc@deviations=1.5", model.rows, model.labels, model.queries)
    assert_allclose(fast, naive_scores("sirc", model, 1.5), rtol=1e-9)


def test_certain_samples_are_told_apart() -> None:
    """1 - p of them is far below the smallest float64, and so is the sum of exponentials, but not its logarithm."""
    rng = np.random.default_rng(0)
    fit = Activations(rng.normal(size=(50, 4)), rng.normal(size=(50, 3)))
    feature = np.full((4, 4), np.abs(fit.feature).sum(axis=1).mean() / 4)
    queries = Activations(feature, np.array([[0.0, -gap, -gap] for gap in (30, 300, 3000, 3e30)]))
    scores = scored("sirc", fit, np.zeros(50, int), queries)
    assert_allclose(scores + math.log(2) + np.logaddexp(0, -3), [30, 300, 3000, 3e30], rtol=1e-12)
    one = Activations(fit.feature, fit.logits64[:, :1])
    assert np.isfinite(scored("sirc", one, np.zeros(50, int), one)).all()


def test_norms_that_are_all_the_same_are_an_error() -> None:
    """Unit features of one dimension are 1 or -1."""
    head = Head(np.array([[1.0], [2.0]]), np.zeros(2), normalizes=True)
    rows = activations_of(np.array([[1.0], [-3.0], [2.0], [0.5]]), head)
    with pytest.raises(NumericalError, match="1-norm of all fit features is the same, 1"):
        scored("sirc", rows, np.arange(4) % 2, rows)
