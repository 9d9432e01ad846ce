from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.rows.activations import Activations
from featurestore.errors import NumericalError
from tests.analysis.gathered import fitted, scored
from tests.analysis.modelled import headed


@pytest.mark.parametrize("normalizes", [False, True])
def test_scores_equal_the_formula(normalizes: bool) -> None:
    """One row at a time; features count at their own length, whatever the head is fed."""
    case = headed(1, normalizes=normalizes, nonnegative=False)
    logits, features = case.rows.logits64, case.rows.feature64
    slow = []
    for row in range(60):
        y = int(np.argmax(case.queries.logits64[row]))
        right = [features[i] for i in range(400) if case.labels[i] == y == np.argmax(logits[i])]
        slow.append(case.queries.feature64[row] @ np.mean(right, axis=0))
    assert_allclose(scored("she", case.rows, case.labels, case.queries), slow, rtol=1e-10)


def test_a_class_without_correct_samples_is_named() -> None:
    """But only where it is predicted."""
    rows = Activations(np.ones((3, 2)), np.array([[2.0, 1, 0], [0, 2, 1], [2, 0, 1]]))
    labels = np.array([0, 1, 2])
    assert fitted("she", rows, labels).counts.tolist() == [1, 1, 0]
    assert scored("she", rows, labels, rows).tolist() == [2, 2, 2]
    queries = Activations(np.ones((2, 2)), np.array([[2.0, 1, 0], [0, 1, 2]]))
    with pytest.raises(NumericalError, match="Row 1 of the block is predicted as class 2"):
        scored("she", rows, labels, queries)
