from __future__ import annotations

import pickle

import numpy as np
import pytest

from analysis.rows.head import Head
from featurestore.errors import InputError


def test_a_head_has_one_bias_per_class() -> None:
    """Misshapen heads are refused."""
    assert Head(np.ones((3, 2)), np.zeros(3)).weight.shape == (3, 2)
    with pytest.raises(InputError, match=r"\[3, 2\] and \[2\]"):
        Head(np.ones((3, 2)), np.zeros(2))


def test_what_was_derived_of_a_head_stays_behind() -> None:
    """A machine that it is sent to gets the weights, and derives anew."""
    head = Head(np.ones((3, 2)), np.arange(3.0), normalizes=True)
    head.memo.get("large", lambda: np.zeros(1 << 20))
    sent = pickle.loads(pickle.dumps(head))
    assert len(pickle.dumps(head)) < 1000
    assert (sent.weight.tolist(), sent.bias.tolist(), sent.normalizes) == ([[1, 1]] * 3, [0, 1, 2], True)
    assert sent.memo.get("large", lambda: "anew") == "anew"
