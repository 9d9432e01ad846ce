from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax
from scipy.stats import entropy

from analysis.rows.activations import Activations
from tests.analysis.gathered import fitted, scored
from tests.analysis.modelled import headed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.modelled import Modelled

    Float64 = NDArray[np.float64]

NAMES = ["kl-matching", "kl-matching.openood"]


def naive_scores(case: Modelled) -> Float64:
    """SciPy's relative entropy to each template, one row and one class at a time."""
    fit, queries = (softmax(rows.logits64, axis=1) for rows in (case.rows, case.queries))
    predicted = fit.argmax(axis=1)
    templates = [fit[predicted == k].mean(axis=0) for k in np.unique(predicted)]
    return np.array([-min(entropy(row, template) for template in templates) for row in queries])


@pytest.mark.parametrize("name", NAMES)
def test_scores_equal_the_formula(name: str) -> None:
    """Under both conventions; they differ in the data alone."""
    case = headed(1, classes=7)
    assert_allclose(scored(name, case.rows, case.labels, case.queries), naive_scores(case), rtol=1e-10)


def test_classes_that_are_never_predicted_have_no_template() -> None:
    """They are skipped."""
    case = headed(2, rows=6, classes=7)
    predicted = np.unique(case.rows.predicted)
    assert len(predicted) < 7
    assert len(fitted("kl-matching", case.rows, case.labels, classes=7).log_templates) == len(predicted)
    scores = scored("kl-matching", case.rows, case.labels, case.queries, classes=7)
    assert_allclose(scores, naive_scores(case), rtol=1e-10)


def test_certain_predictions_stay_finite() -> None:
    """A class to which no template gives a probability counts as the smallest there is, not as an infinite divergence."""
    logits = 1e5 * np.eye(3)
    rows = Activations(np.zeros((3, 1)), logits)
    scores = scored(
        "kl-matching", rows, np.arange(3), Activations(np.zeros((2, 1)), np.array([[1e5, 0, 0], [5, 5, 5]]))
    )
    assert_allclose(scores, [0, -(np.log(1 / 3) - 2 / 3 * np.log(np.finfo(float).tiny))], atol=1e-12)
