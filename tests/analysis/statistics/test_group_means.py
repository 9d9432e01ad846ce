from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.testing import assert_allclose

from analysis.statistics.group_means import logit_tails
from tests.analysis.gathered import gathered
from tests.analysis.modelled import headed

if TYPE_CHECKING:
    import pytest


def test_the_tail_holds_the_largest_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each class, in descending order, also if they are sorted out again and again; -1 where there are fewer."""
    monkeypatch.setattr("analysis.statistics.group_means._WAITING", 50)
    case = headed(5, rows=300, classes=9, nonnegative=False)
    logits, right = case.rows.logits64, case.rows.predicted == case.labels
    largest = logit_tails(20)
    tails = gathered([largest], case.rows, case.labels, shards=3, rows_per_block=20)[largest.name]["distances"]
    assert tails.shape == (9, 20)
    for c, tail in enumerate(tails):
        own = logits[right & (case.labels == c)]
        slow = np.sort(np.linalg.norm(own - own.mean(axis=0), axis=1))[::-1][:20]
        assert_allclose(tail, np.pad(slow, (0, 20 - len(slow)), constant_values=-1), rtol=1e-10)
