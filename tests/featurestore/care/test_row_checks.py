"""What the rows of a lake must satisfy, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore.care import row_checks
from featurestore.layout.tables import TABLES
from featurestore.partitions import row_rules
from featurestore.partitions.encoding import vector_array


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 50.0])
@pytest.mark.parametrize("width", [1, 64, 768])
def test_the_head_tolerance_covers_rounding_and_little_more(dtype: str, scale: float, width: int) -> None:
    """What float32 computes and the stored precision rounds always passes; a logit off by a few tolerances never does."""
    generator = np.random.default_rng(width)
    feature = (scale * generator.normal(size=(200, width))).astype(np.float32)
    weight = generator.normal(size=(40, width)).astype(np.float32)
    bias = generator.normal(size=40).astype(np.float32)
    numbers = np.arange(200)
    logits = feature @ weight.T + bias
    stored = [vector_array("x", values, dtype, numbers) for values in (feature, logits)]
    rows = pa.record_batch([pa.array(numbers), *stored], names=["sample", "feature", "logits"])
    check = row_checks.computed_by(weight, bias)
    assert check(rows) is None
    kept = [array.flatten().to_numpy().reshape(200, -1) for array in stored]
    tolerance = row_checks.head_tolerance(*kept, weight.astype(np.float64), bias.astype(np.float64))
    off = kept[1].copy()
    off[7, 3] += 4 * tolerance[7, 3]
    assert tolerance[7, 3] < 0.01 * np.linalg.norm(feature[7]) * np.linalg.norm(weight[3]) + 0.01
    wrong = pa.record_batch(
        [pa.array(numbers), stored[0], pa.FixedSizeListArray.from_arrays(pa.array(off.ravel()), 40)],
        names=["sample", "feature", "logits"],
    )
    assert "logit 3 of sample 7" in (check(wrong) or "")


@pytest.mark.parametrize(
    ("in_order", "blocks", "said"),
    [
        (True, ([0, 1], [], [2, 5], [5, 6]), "sample 5 is there twice"),
        (False, ([0, 1], [], [2, 5], [5, 6]), "sample 5 is there twice"),
        (True, ([3, 4], [], [], [0, 1]), "sample 0 comes after 4"),
        (False, ([3, 4], [], [1, 0], [2, 3]), "sample 3 is there twice"),
        (False, ([3, 4], [1], [0], [5, 2]), None),
        (False, ([3, 4], [1], [0], [-1]), "sample -1 is none"),
    ],
)
def test_rows_are_read_in_blocks_and_checks_span_them(in_order: bool, blocks: Any, said: str | None) -> None:
    """A sample that a later block has again is found, in any order."""
    check = row_rules.numbered("sample", in_order=in_order)
    found = [check(pa.record_batch({"sample": pa.array(samples, pa.int64())})) for samples in blocks]
    assert found == [None, None, None, said]


def test_a_vector_that_is_missing_is_a_fault() -> None:
    column = pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2))
    rows = pa.record_batch([pa.array([3, 4]), column], names=["sample", "feature"])
    assert (
        row_rules.problem(TABLES["activations"], pa.Table.from_batches([rows])) == "the feature of sample 4 is missing"
    )


def test_a_digest_is_32_hexadecimal_digits_or_missing() -> None:
    rows = pa.record_batch({"sample": pa.array([3, 4, 5]), "digest": ["0f" * 16, None, "0F" * 16]})
    assert row_checks.digests(rows.slice(0, 2)) is None
    assert row_checks.digests(rows) == "the digest of sample 5 is no digest"
