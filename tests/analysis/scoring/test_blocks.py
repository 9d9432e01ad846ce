from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from analysis.rows.activations import Activations, Block
from analysis.scoring.blocks import _chunks


@pytest.mark.parametrize("rows", [1, 2, 5, 7, 8])
@pytest.mark.parametrize("has_logits", [True, False])
def test_chunks_hold_every_row_once_and_in_order(rows: int, has_logits: bool) -> None:
    """Whatever the blocks that they come in: at most so many rows each, with logits where there are some."""
    feature, logits = np.arange(21.0).reshape(7, 3), np.arange(14.0).reshape(7, 2)
    parts = [slice(0, 3), slice(3, 4), slice(4, 7)]
    every = [Activations(feature[part], logits[part] if has_logits else None) for part in parts]
    sample = np.arange(7)
    chunks = _chunks([Block(sample[part], sample[part], one) for part, one in zip(parts, every, strict=True)], rows)
    assert [len(chunk) for chunk in chunks] == [rows] * (7 // rows) + [7 % rows] * (7 % rows > 0)
    assert_array_equal(np.concatenate([chunk.feature for chunk in chunks]), feature)
    if has_logits:
        assert_array_equal(np.concatenate([chunk.logits for chunk in chunks]), logits)
    else:
        assert all(chunk.logits is None for chunk in chunks)
