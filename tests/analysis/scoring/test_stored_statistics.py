from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.testing import assert_array_equal

from analysis.scoring.stored_statistics import read_statistic, write_statistic
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing

if TYPE_CHECKING:
    from featurestore import Lake

ARRAYS = {
    "number": np.array(0.1),
    "vector": np.array([np.pi, -0.0, 5e-324]),
    "counts": np.array([3, 0, 2**53]),
    "rows": np.random.default_rng(0).normal(size=(3, 4)),
    "cube": np.arange(24.0).reshape(2, 3, 4),
    "half": np.array([[0.1, 65504.0]], np.float16),
    "none": np.empty((0, 4)),
    "empty": np.empty(0, np.int64),
    "turned": np.arange(6.0).reshape(2, 3).T,
}


def test_what_was_stored_comes_back_bit_for_bit(lake: Lake) -> None:
    """Numbers, vectors and matrices, with and without rows, beside each other; integers as such."""
    target = writing.Target(TABLES["fits"], {"model": "m", "dataset": "train"}, {"version": 1}, {"fit": "some"})
    writing.commit(lake.storage, target.table, target.key, [write_statistic(lake, target, ARRAYS)], replacing=True)
    found = read_statistic(lake, "m", "train", "some")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert_array_equal(found[name], array, err_msg=name)
        assert found[name].shape == array.shape
        assert found[name].dtype == (np.int64 if array.dtype.kind == "i" else np.float64)
    assert np.signbit(found["vector"][1])
