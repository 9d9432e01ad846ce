from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.rows.activations import Activations
from analysis.statistics.class_statistics import CLASS_COUNTS
from analysis.statistics.group_means import LOGIT_TAILS
from featurestore.errors import InputError
from tests.analysis.gathered import gathered
from tests.analysis.modelled import headed


def test_the_tail_holds_the_largest_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each class, in descending order, also if they are sorted out again and again; -1 where there are fewer."""
    monkeypatch.setattr("analysis.statistics.group_means._WAITING", 50)
    case = headed(5, rows=300, classes=9, nonnegative=False)
    logits, right = case.rows.logits64, case.rows.predicted == case.labels
    tails = gathered([LOGIT_TAILS], case.rows, case.labels, shards=3, rows_per_block=20)[LOGIT_TAILS.name]["distances"]
    assert tails.shape == (9, 20)
    for c, tail in enumerate(tails):
        own = logits[right & (case.labels == c)]
        slow = np.sort(np.linalg.norm(own - own.mean(axis=0), axis=1))[::-1][:20]
        assert_allclose(tail, np.pad(slow, (0, 20 - len(slow)), constant_values=-1), rtol=1e-10)


def test_counts_are_those_of_the_labels() -> None:
    """Whatever the shards; a label outside the classes is refused."""
    labels = np.array([2, 0, 2, 2, 1, 0])
    rows = Activations(np.ones((6, 1)))
    for shards in (1, 3):
        found = gathered([CLASS_COUNTS], rows, labels, classes=5, shards=shards, rows_per_block=2)
        assert found[CLASS_COUNTS.name]["counts"].tolist() == [2, 1, 3, 0, 0]
    with pytest.raises(InputError, match=r"outside 0\.\.1"):
        gathered([CLASS_COUNTS], rows, labels, classes=2)
