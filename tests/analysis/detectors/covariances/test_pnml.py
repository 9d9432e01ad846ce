from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

from analysis.rows.activations import Activations, normalise
from analysis.rows.head import Head
from tests.analysis.gathered import scored
from tests.analysis.modelled import Modelled, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.conftest import Labelled

    Float64 = NDArray[Any]


def naive_regret(model: Modelled) -> Float64:
    """The formula, one query and one class at a time."""
    fit = normalise(model.rows.feature)
    inverse = np.linalg.pinv(fit.T @ fit, rcond=1e-12, hermitian=True)
    head, scores = model.head, []
    for u in normalise(model.queries.feature):
        x = u @ inverse @ u
        p = softmax(head.weight @ u + head.bias)
        genies = [q / (q + (1 - q) * q ** (x / (1 + x))) for q in p if q > 0]
        scores.append(-np.log(sum(genies)) / np.log(max(len(p), 2)))
    return np.array(scores)


@pytest.mark.parametrize("normalizes", [False, True])
def test_pnml_equals_the_formula(normalizes: bool, labelled: Labelled) -> None:
    """On random, degenerate and real features; the head is fed unit features whether it normalises or not."""
    model = modelled(labelled, normalizes=normalizes)
    fast = scored("pnml", model.rows, model.labels, model.queries, classes=labelled.num_classes)
    assert_allclose(fast, naive_regret(model), rtol=1e-6, atol=1e-13)


def test_a_head_that_is_all_but_certain_keeps_its_order() -> None:
    """Regrets far below the last digit of 1 still differ: the flatter of two directions has the larger one."""
    features = np.array([[1.0, 0], [0.8, 0.6]] * 50)
    head = Head(np.array([[60.0, 0], [0, 0], [-900, 0]]), np.zeros(3))
    rows = Activations(features, None, head)
    scores = scored("pnml", rows, np.arange(100) % 2, rows)[:2]
    assert -1e-18 < scores[0] < 0
    p, x = np.exp(-60.0), np.array([1.0, 0]) @ np.linalg.inv(features.T @ features) @ [1, 0]
    assert_allclose(scores[0], -p * (p ** (-x / (1 + x)) - 1) / np.log(3), rtol=1e-2)
