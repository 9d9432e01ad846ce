from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from analysis.rows.activations import Activations, Block
from analysis.rows.head import Head
from analysis.rows.lake_rows import Rows, in_tenth
from benchmarks.lakes import activations, put
from featurestore import Lake
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from pathlib import Path

FEATURES = np.random.default_rng(0).normal(size=(500, 3))


def rows_in(folder: Path, **how: bool) -> Rows:
    lake = Lake(folder / "lake")
    sample = np.arange(len(FEATURES))
    label = np.where(sample == 7, -1, sample % 2)
    columns = activations(sample, [None if one < 0 else one for one in label], FEATURES, FEATURES[:, :2])
    put(lake, "activations", {"model": "m", "dataset": "test"}, columns)
    return Rows(lake, "m", "test", head=Head(np.ones((2, 3)), np.zeros(2)), **how)


def test_the_tenth_is_all_that_is_read_of_a_dataset_that_stands_in_for_validation_data(tmp_path: Path) -> None:
    """Samples, labels, features and logits of the seeded tenth, and of no other sample."""
    blocks = [read() for read in rows_in(tmp_path, tenth=True).read(["feature", "logits"])]
    sample = np.concatenate([block.sample for block in blocks])
    assert_array_equal(sample, np.flatnonzero(in_tenth(np.arange(500))))
    found = np.concatenate([block.activations.feature for block in blocks])
    assert_array_equal(found, FEATURES[sample].astype(found.dtype))
    logits = [block.activations.logits for block in blocks if block.activations.logits is not None]
    assert_array_equal(np.concatenate(logits), found[:, :2])


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """Without features, blocks still know how many rows they have."""
    (block,) = [read() for read in rows_in(tmp_path).read([])]
    assert (len(block), block.activations.feature.shape, block.activations.logits) == (500, (500, 0), None)


def test_rows_open_their_lake_anew_where_they_are_sent(tmp_path: Path) -> None:
    """The location goes with them, and the weights of the head."""
    sent = pickle.loads(pickle.dumps(rows_in(tmp_path, tenth=True)))
    assert sent.tenth
    assert sent.head.weight.tolist() == [[1, 1, 1]] * 2
    assert sum(len(read()) for read in sent.read(["feature"])) == in_tenth(np.arange(500)).sum()


def test_the_sample_at_fault_is_named(tmp_path: Path) -> None:
    """One without a label, and one with a value that is not finite, in place of whatever that brought about."""
    rows = rows_in(tmp_path)
    (block,) = [read() for read in rows.read(["feature"])]
    feature = block.activations.feature.copy()
    feature[42, 1] = np.inf
    block = Block(block.sample, block.label, Activations(feature))
    with pytest.raises(InputError, match="Sample 7 of the fit dataset test has no label"):
        rows.check_labels(block)
    with pytest.raises(NumericalError, match="The feature of sample 42 of test by m is NaN or infinite"):
        rows.check_finite(block)
    assert "sample 42 of test by m" in str(rows.explain(block, InputError("something else")))
