from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

from analysis.rows.activations import Activations, concatenated
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def a_block(dtype: type[np.floating[Any]] = np.float16) -> Activations:
    rng = np.random.default_rng(0)
    return Activations(rng.normal(size=(6, 4)).astype(dtype), (9 * rng.normal(size=(6, 3))).astype(dtype))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_derived_quantities_are_float64_of_what_is_stored(dtype: type[np.floating[Any]]) -> None:
    """Widening comes before any arithmetic."""
    block = a_block(dtype)
    assert block.logits is not None
    features, logits = block.feature.astype(float), block.logits.astype(float)
    assert_array_equal(block.feature64, features)
    assert_array_equal(block.logits64, logits)
    assert_allclose(block.normalised64, features / np.linalg.norm(features, axis=1, keepdims=True), rtol=1e-15)
    assert_array_equal(block.max_logit, logits.max(axis=1))
    log_sum = np.log(block.softmax_normaliser) + block.max_logit
    assert_allclose(log_sum, logsumexp(logits, axis=1), rtol=1e-14)
    assert {value.dtype for value in (block.feature64, block.normalised64, block.max_logit)} == {np.dtype(float)}


@pytest.mark.parametrize("name", ["feature64", "logits64", "normalised64", "max_logit", "softmax_normaliser"])
def test_derived_quantities_are_computed_once(name: str) -> None:
    """Detectors on one block share the very same array."""
    block = a_block()
    assert getattr(block, name) is getattr(block, name)


def test_the_memo_belongs_to_one_block() -> None:
    """Two blocks never see each other's results."""
    first, second = a_block(), a_block(np.float32)
    assert first.memo.get("key", lambda: 1) == 1
    assert first.memo.get("key", lambda: 2) == 1
    assert second.memo.get("key", lambda: 3) == 3


def test_features_alone_are_enough_for_feature_detectors() -> None:
    """Logits are optional; asking for absent ones is an error that says so."""
    block = Activations(np.ones((2, 3), np.float32))
    assert (len(block), block.feature64.shape) == (2, (2, 3))
    with pytest.raises(InputError, match="no logits"):
        _ = block.max_logit


@pytest.mark.parametrize("name", ["feature64", "normalised64", "logits64"])
def test_a_value_that_is_not_finite_is_named_by_its_row(name: str) -> None:
    """NaN never reaches a detector."""
    bad = np.ones((3, 2), np.float16)
    bad[1, 0] = np.nan
    with pytest.raises(NumericalError, match="row 1"):
        getattr(Activations(bad, bad), name)


@pytest.mark.parametrize(
    ("feature", "logits", "message"),
    [
        (np.ones(3), None, "float array"),
        (np.ones((3, 2), int), None, "int64"),
        (np.ones((3, 2)), np.ones((2, 2)), "do not belong"),
        (np.ones((3, 2)), np.ones((3, 0)), "do not belong"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(feature: NDArray[Any], logits: NDArray[Any] | None, message: str) -> None:
    """Shapes and dtypes are checked when the block is made."""
    with pytest.raises(InputError, match=message):
        Activations(feature, logits)


@pytest.mark.parametrize("cuts", [[2], [1, 1, 4]])
@pytest.mark.parametrize("has_logits", [True, False])
def test_parts_hold_every_row_once_and_in_order(cuts: list[int], has_logits: bool) -> None:
    """Also parts without rows; and together they are the whole again, with logits where there are some."""
    whole = a_block() if has_logits else Activations(a_block().feature)
    parts = [whole.part(rows) for rows in np.split(np.arange(6), cuts)]
    assert [len(part) for part in parts] == np.diff([0, *cuts, 6]).tolist()
    again = concatenated(parts, None)
    assert_array_equal(again.feature, whole.feature)
    assert (again.logits is None) == (not has_logits)
    if has_logits:
        assert_array_equal(again.logits64, whole.logits64)


def test_a_part_has_the_columns_that_are_asked_for() -> None:
    """A column that is left out leaves the rows' number."""
    part = a_block().part(slice(1, 4), ["logits"])
    assert part.feature.shape == (3, 0)
    assert_array_equal(part.logits64, a_block().logits64[1:4])
    assert a_block().part(slice(1, 4), ["feature"]).logits is None


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_the_first_value_that_is_not_finite_is_found(dtype: type[np.floating[Any]]) -> None:
    """Among the features first."""
    block = a_block(dtype)
    assert block.logits is not None
    assert block.first_not_finite() is None
    block.logits[2, 1] = np.inf
    assert block.first_not_finite() == ("logits", 2)
    block.feature[[5, 4]] = np.nan
    assert block.first_not_finite() == ("feature", 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_whose_squares_overflow_are_finite_all_the_same(dtype: type[np.floating[Any]]) -> None:
    large = np.full((3, 4), np.finfo(dtype).max, dtype)
    assert Activations(large, large[:, ::2]).first_not_finite() is None


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_at_a_time_give_what_all_rows_give(dtype: type[np.floating[Any]]) -> None:
    """More rows than are taken at once, and logits far from 0."""
    logits = np.random.default_rng(1).normal(300, 20, (601, 7)).astype(dtype)
    block, whole = (Activations(logits[:, :2], logits) for _ in range(2))
    assert_array_equal(block.softmax_normaliser, whole.exponentials.sum(axis=1))
    parts = [(rows, shifted.copy()) for rows, shifted in block.shifted_parts()]
    assert_array_equal(np.concatenate([shifted for _, shifted in parts]), whole.shifted_logits)
    assert [rows.start for rows, _ in parts] == [0, 256, 512]
    assert parts[-1][0].stop == len(logits)
