from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.rows.activations import Activations, normalise
from featurestore.errors import NumericalError
from tests.analysis.gathered import fitted, scored
from tests.analysis.modelled import Modelled, headed, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.conftest import Labelled

    Float64 = NDArray[Any]


def naive_scores(name: str, model: Modelled) -> Float64:
    """The formulas, one query and one entry at a time."""
    head = model.head
    fit, queries = (
        normalise(part.feature) if head.normalizes else part.feature.astype(float)
        for part in (model.rows, model.queries)
    )
    predicted = model.rows.logits64.argmax(axis=1)
    energy = np.logaddexp.reduce(model.rows.logits64, axis=1).mean()
    scores = []
    for h, z in zip(queries, model.queries.logits64, strict=True):
        away = h - fit[predicted == z.argmax()].mean(axis=0)
        if name == "caref":
            scores.append(-np.abs(away).sum() / np.abs(h).sum())
            continue
        signs = np.sign(head.weight[z.argmax()])
        forward = sum(max(0.0, a * s) for a, s in zip(away, signs, strict=True))
        backward = sum(max(0.0, -a * s) for a, s in zip(away, signs, strict=True))
        scores.append(-(forward / np.logaddexp.reduce(z) + backward / energy) / np.abs(h).sum())
    return np.array(scores)


def foreseen(model: Modelled) -> Modelled:
    """The model with those queries alone that are predicted as a class that a fit row is predicted as."""
    queries = model.queries
    kept = np.isin(queries.predicted, model.rows.predicted)
    part = Activations(queries.feature[kept], queries.logits64[kept], model.head)
    return Modelled(model.rows, model.labels, part)


@pytest.mark.parametrize("normalizes", [False, True])
@pytest.mark.parametrize("name", ["caref", "cadref"])
def test_relative_features_equal_the_formula(name: str, normalizes: bool, labelled: Labelled) -> None:
    """On random, degenerate and real features, for heads that are fed h and heads that are fed its direction."""
    model = foreseen(modelled(labelled, normalizes=normalizes))
    fast = scored(name, model.rows, model.labels, model.queries, classes=labelled.num_classes)
    assert_allclose(fast, naive_scores(name, model), rtol=1e-8, atol=1e-10)


def test_means_are_by_what_samples_are_taken_for() -> None:
    """Labels are not asked for."""
    case = headed(3, rows=300)
    wrong = np.roll(case.labels, 1)
    for name in ("caref", "cadref"):
        before = scored(name, case.rows, case.labels, case.queries)
        assert_allclose(scored(name, case.rows, wrong, case.queries), before, rtol=1e-14)


def test_a_class_that_is_never_predicted_has_no_mean() -> None:
    """The class and the first row that is taken for it are named."""
    case = headed(3, rows=300)
    absent = int(case.queries.predicted[7])
    kept = case.part(np.flatnonzero(case.rows.predicted != absent))
    first = int(np.argmax(case.queries.predicted == absent))
    for name in ("caref", "cadref"):
        assert fitted(name, kept.rows, kept.labels, classes=5) is not None
        with pytest.raises(NumericalError, match=f"Row {first} .* as class {absent}.* leave {name} out"):
            scored(name, kept.rows, kept.labels, case.queries, classes=5)
