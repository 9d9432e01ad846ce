from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from analysis.detectors.held_rows import HeldRows, in_shards
from analysis.rows.activations import Activations, Block
from analysis.statistics.statistic import VALIDATION, SweepContext
from analysis.statistics.sweep import gather
from analysis.statistics.value_histogram import HEAD_VALUES, VALIDATION_HEAD_VALUES, head_quantile
from featurestore.errors import NumericalError
from tests.analysis.gathered import gathered

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARES = [0.0, 0.1, 0.25, 0.5, 1 / 3, 0.9, 0.99, 0.999, 1.0]
UNIT = HEAD_VALUES.of(normalizes=True)
a_property = settings(deadline=None, max_examples=40)
EXACT = {"float16": 0.0, "float32": 0.0, "float64": 1e-9}


def quantiles(features: NDArray[Any], *, unit: bool = False, **how: int) -> list[float]:
    """All of `SHARES`, gathered together."""
    wanted = [head_quantile(share).of(normalizes=unit) for share in SHARES]
    found = gathered(wanted, Activations(features), np.zeros(len(features), int), **how)
    return [float(found[statistic.name]["value"]) for statistic in wanted]


def some_features(dtype: str, rows: int = 500) -> NDArray[Any]:
    features = np.random.default_rng(0).normal(size=(rows, 7)) * [1e-5, 0.1, 1, 1, 3, 10, 1000]
    features[:, 2] = np.maximum(features[:, 2], 0)
    features[::2, 3] *= -0.0
    return features.astype(dtype)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize(("dtype", "close"), EXACT.items())
def test_quantiles_are_numpy_s(dtype: str, close: float, shards: int) -> None:
    """Of what is stored to the last bit, with subnormal numbers and both zeros among it; zeros stay zeros."""
    for features in (some_features(dtype), np.maximum(some_features(dtype), 0), -np.abs(some_features(dtype))):
        wanted = np.quantile(features.astype(float), SHARES)
        assert_allclose(quantiles(features, shards=shards), wanted, rtol=close, atol=0)


@pytest.mark.parametrize(("dtype", "close"), EXACT.items())
@pytest.mark.parametrize("steps", [1, 2, 5000])
def test_quantiles_of_near_neighbours(dtype: str, close: float, steps: int) -> None:
    """Values that share a bin, or lie on both sides of where one ends, also around a power of two and zero."""
    rng = np.random.default_rng(steps)
    for about in (1.0, -1.0, 2.0, -3.75, 0.0, 6e-8):
        about_it = np.full((40, 3), about, dtype)
        features = (about_it + rng.integers(-steps, steps + 1, (40, 3)) * np.spacing(about_it)).astype(dtype)
        wanted = np.quantile(features.astype(float), SHARES)
        assert_allclose(quantiles(features), wanted, rtol=close, atol=1e-41 if close else 0)


@a_property
@given(features=arrays(np.float32, (9, 2), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_any_float32_is_told_apart(features: NDArray[Any]) -> None:
    """The least numbers and the largest."""
    with np.errstate(over="ignore"):
        assert_allclose(quantiles(features), np.quantile(features.astype(float), SHARES), rtol=1e-15, atol=0)


def test_quantiles_of_unit_features() -> None:
    """Where the head normalises, they are of h / ||h||_2, whatever its precision."""
    features = some_features("float16")
    assert UNIT.name != HEAD_VALUES.name
    units = features / np.linalg.norm(features.astype(float), axis=1, keepdims=True)
    found = quantiles(features, unit=True, shards=3)
    assert_allclose(found, np.quantile(units, SHARES), rtol=1e-9, atol=1e-41)


def test_quantiles_of_one_histogram_share_sweeps() -> None:
    """However many there are: one for the histogram, and one that looks into its bins."""
    features, sweeps = some_features("float32"), []

    def counted(*given: Any) -> Any:
        sweeps.append([statistic.name for statistic in given[1]])
        return in_shards(*given)

    rows = HeldRows(Activations(features), np.zeros(500, int))
    gather(rows, [head_quantile(share) for share in SHARES], SweepContext(1, 7, 500), run=counted)
    assert sweeps == [[HEAD_VALUES.name], [f"value-quantile-{share!r}" for share in SHARES]]


@pytest.mark.parametrize("value", [-3.0, 0.0, 0.1, 65504.0])
def test_a_constant_is_every_quantile(value: float) -> None:
    """Also one entry alone."""
    for shape in [(1, 1), (5, 3)]:
        assert set(quantiles(np.full(shape, value, np.float16))) == {float(np.float16(value))}


@pytest.mark.parametrize(("dtype", "bad"), [("float16", np.inf), ("float32", -np.inf), ("float32", np.nan)])
def test_values_that_are_not_finite_are_named(dtype: str, bad: float) -> None:
    """They are no values that a quantile could pass over."""
    features = some_features(dtype)
    features[7, 3] = bad
    with pytest.raises(NumericalError, match="row 7 of the block holds NaN or infinity"):
        quantiles(features, rows_per_block=100)


def test_validation_has_statistics_of_its_own() -> None:
    """Of another name and another source, also of unit features, and each share has a name."""
    both = [head_quantile(0.5), head_quantile(0.5, VALIDATION), head_quantile(0.25)]
    kinds = [*both, HEAD_VALUES, VALIDATION_HEAD_VALUES]
    assert len({s.of(normalizes=n).name for s in kinds for n in (False, True)}) == 10
    for one in (both[1], VALIDATION_HEAD_VALUES):
        assert one.of(normalizes=True).source == one.source == VALIDATION
    assert both[1].of(normalizes=True).after == (VALIDATION_HEAD_VALUES.of(normalizes=True),)


def test_no_rows_are_no_values() -> None:
    """A block that lost all its rows changes nothing."""
    accumulator = HEAD_VALUES.start(SweepContext(2, 3, 0))
    for dtype in (np.float16, np.float32):
        none = np.empty(0, np.int64)
        accumulator.update(Block(none, none, Activations(np.empty((0, 3), dtype))))
    assert accumulator.finish()["counts"].sum() == 0
