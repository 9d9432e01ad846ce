from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.rows.activations import Activations, Block
from analysis.rows.head import Head
from analysis.statistics.statistic import SweepContext
from analysis.statistics.value_histogram import HEAD_VALUES, VALIDATION_HEAD_VALUES, quantile
from featurestore.errors import NumericalError
from tests.analysis.gathered import gathered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.statistics.statistic import Arrays

SHARES = [0.0, 0.1, 0.25, 0.5, 1 / 3, 0.9, 0.99, 0.999, 1.0]
UNIT = HEAD_VALUES.of(normalizes=True)


def histogram(features: NDArray[Any], **how: int) -> Arrays:
    labels = np.zeros(len(features), int)
    return gathered([HEAD_VALUES], Activations(features), labels, **how)[HEAD_VALUES.name]


def some_features(dtype: str, rows: int = 500) -> NDArray[Any]:
    features = np.random.default_rng(0).normal(size=(rows, 7)) * [1e-5, 0.1, 1, 1, 3, 10, 1000]
    features[:, 2] = np.maximum(features[:, 2], 0)
    features[::2, 3] *= -0.0
    return features.astype(dtype)


@pytest.mark.parametrize(("dtype", "close"), [("float16", 0.0), ("float32", 2.0**-12), ("float64", 2.0**-12)])
def test_quantiles_are_as_close_as_stated(dtype: str, close: float) -> None:
    """Of float16 numpy's to the last bit, subnormal numbers and both zeros among them; zeros stay zeros."""
    features = some_features(dtype)
    found = histogram(features)
    quantiles = [quantile(found, q) for q in SHARES]
    assert_allclose(quantiles, np.quantile(features.astype(float), SHARES), rtol=close)
    assert quantile(histogram(np.maximum(features, 0)), 0.2) == 0
    assert found["counts"].sum() == features.size


def test_quantiles_of_unit_features() -> None:
    """Where the head normalises, they are of h / ||h||_2, whatever its precision."""
    features = some_features("float16")
    rows = Activations(features, head=Head(np.ones((2, 7)), np.zeros(2), normalizes=True))
    assert UNIT.name != HEAD_VALUES.name
    found = gathered([UNIT], rows, np.zeros(500, int))[UNIT.name]
    units = features / np.linalg.norm(features.astype(float), axis=1, keepdims=True)
    assert_allclose([quantile(found, q) for q in SHARES], np.quantile(units, SHARES), rtol=2.0**-12, atol=1e-12)


@pytest.mark.parametrize("value", [-3.0, 0.0, 0.1, 65504.0])
def test_a_constant_is_every_quantile(value: float) -> None:
    """Also one entry alone."""
    for shape in [(1, 1), (5, 3)]:
        features = np.full(shape, value, np.float16)
        assert {quantile(histogram(features), q) for q in SHARES} == {float(np.float16(value))}


@pytest.mark.parametrize(("dtype", "bad"), [("float16", np.inf), ("float32", -np.inf), ("float32", np.nan)])
def test_values_that_are_not_finite_are_named(dtype: str, bad: float) -> None:
    """They are no values that a quantile could pass over."""
    features = some_features(dtype)
    features[7, 3] = bad
    with pytest.raises(NumericalError, match="row 7 of the block holds NaN or infinity"):
        histogram(features, rows_per_block=100)


def test_validation_has_a_histogram_of_its_own() -> None:
    """Of another name and another source, also of unit features."""
    names = {s.of(normalizes=n).name for s in (HEAD_VALUES, VALIDATION_HEAD_VALUES) for n in (False, True)}
    assert len(names) == 4
    assert VALIDATION_HEAD_VALUES.of(normalizes=True).source == VALIDATION_HEAD_VALUES.source == "val"


def test_no_rows_are_no_values() -> None:
    """A block that lost all its rows changes nothing."""
    accumulator = HEAD_VALUES.start(SweepContext(2, 3, 0))
    for dtype in (np.float16, np.float32):
        none = np.empty(0, np.int64)
        accumulator.update(Block(none, none, Activations(np.empty((0, 3), dtype))))
    assert accumulator.finish()["counts"].sum() == 0
