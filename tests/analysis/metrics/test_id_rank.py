from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from analysis.metrics import id_rank
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Float64 = NDArray[np.float64]

tied = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=30).map(np.array)


@settings(deadline=None, max_examples=60)
@given(scores=tied, id_scores=tied)
def test_rank_counts_the_share_below_and_half_the_ties(scores: Float64, id_scores: Float64) -> None:
    """Binary search gives what counting gives."""
    slow = [np.mean(id_scores < score) + np.mean(id_scores == score) / 2 for score in scores]
    assert_allclose(id_rank(scores, np.sort(id_scores)), slow, atol=1e-15)


def test_unsorted_id_scores_are_refused() -> None:
    """Binary search in an unsorted list would be silently wrong."""
    with pytest.raises(InputError, match="sorted"):
        id_rank([1.0], [2.0, 1.0])


def test_nan_is_refused() -> None:
    """NaN has no rank, and hides among sorted scores."""
    with pytest.raises(NumericalError, match="Scores row 0"):
        id_rank([np.nan], [1.0])
    with pytest.raises(NumericalError, match="ID scores row 1"):
        id_rank([1.0], [1.0, np.nan])
