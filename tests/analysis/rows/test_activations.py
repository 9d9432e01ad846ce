from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

from analysis.rows.activations import Activations
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
