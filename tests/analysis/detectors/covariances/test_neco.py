from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.rows.head import Head
from featurestore.errors import NumericalError
from tests.analysis.gathered import scored
from tests.analysis.modelled import Modelled, activations_of, modelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.analysis.conftest import Labelled

    Float64 = NDArray[Any]


def naive_neco(model: Modelled, variance: float = 0.9) -> Float64:
    """Z-score, principal components by SVD, ratio of norms, one query at a time."""
    features = model.rows.feature.astype(float)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[deviation <= 1e-12 * np.abs(mean)] = 1
    _, values, axes = np.linalg.svd((features - mean) / deviation, full_matrices=False)
    kept = int(np.argmax(np.cumsum(values**2) / np.sum(values**2) >= variance)) + 1
    scores = []
    for query, logits in zip(model.queries.feature.astype(float), model.queries.logits64, strict=True):
        standard = (query - mean) / deviation
        scores.append(np.linalg.norm(axes[:kept] @ standard) / np.linalg.norm(standard) * logits.max())
    return np.array(scores)


def test_neco_equals_the_formula(labelled: Labelled) -> None:
    """The correlation matrix out of class statistics gives the axes that the rows themselves give."""
    model = modelled(labelled)
    fast = scored("neco", model.rows, model.labels, model.queries, classes=labelled.num_classes)
    assert_allclose(fast, naive_neco(model), rtol=1e-6)
    fast = scored("neco@variance=0.5", model.rows, model.labels, model.queries, classes=labelled.num_classes)
    assert_allclose(fast, naive_neco(model, 0.5), rtol=1e-6)


def test_neco_needs_features_that_vary() -> None:
    """Equal rows have no principal axes."""
    head = Head(np.ones((2, 3)), np.zeros(2))
    rows = activations_of(np.ones((5, 3)), head)
    with pytest.raises(NumericalError, match="No feature varies"):
        scored("neco", rows, np.zeros(5, int), rows, classes=2)
