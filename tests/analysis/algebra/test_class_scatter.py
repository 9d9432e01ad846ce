from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from analysis.algebra.class_accumulators import ClassMeansAccumulator, ClassStatisticsAccumulator
from analysis.algebra.class_scatter import (
    ClassStatistics,
    class_statistics,
    empty_statistics,
    merged,
)
from analysis.rows.activations import normalise
from featurestore.errors import InputError, NumericalError

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

    from tests.analysis.conftest import Labelled

    Float64 = NDArray[Any]
    Labels = NDArray[np.int64]

seeds = st.integers(0, 2**32 - 1)
a_property = settings(deadline=None, max_examples=40)


def naive(features: Float64, labels: Labels, num_classes: int) -> tuple[Float64, Float64, Float64, Float64]:
    """One class and one sample at a time, in extended precision."""
    rows = features.astype(np.longdouble)
    dim = rows.shape[1]
    means, within = np.zeros((num_classes, dim), np.longdouble), np.zeros((dim, dim), np.longdouble)
    for c in range(num_classes):
        own = rows[labels == c]
        if len(own):
            means[c] = own.sum(axis=0) / len(own)
        for row in own:
            within += np.outer(row - means[c], row - means[c])
    mean = rows.sum(axis=0) / len(rows)
    total = (rows - mean).T @ (rows - mean)
    return means.astype(float), mean.astype(float), within.astype(float), total.astype(float)


def streamed(features: Float64, labels: Labels, num_classes: int, rows_per_block: int) -> ClassStatistics:
    accumulator = ClassStatisticsAccumulator(num_classes, features.shape[1])
    for start in range(0, len(features), rows_per_block):
        accumulator.update(features[start : start + rows_per_block], labels[start : start + rows_per_block])
    return accumulator.finish()


def assert_same(left: ClassStatistics, right: ClassStatistics, tolerance: float = 1e-11) -> None:
    assert_array_equal(left.counts, right.counts)
    assert_allclose(left.means, right.means, rtol=tolerance, atol=tolerance * np.abs(right.means).max(initial=0))
    assert_allclose(left.within, right.within, rtol=0, atol=tolerance * np.abs(right.within).max(initial=0))


@pytest.mark.parametrize("rows_per_block", [7, 64, 10_000])
def test_streaming_equals_loops_over_classes_and_samples(labelled: Labelled, rows_per_block: int) -> None:
    """Counts, means and scatter are those of the per-sample definition, whatever the block size.

    Means carry the rounding of the largest feature, and the within-class scatter that times its own deviation.
    """
    statistics = streamed(labelled.features, labelled.labels, labelled.num_classes, rows_per_block)
    means, mean, within, total = naive(labelled.features, labelled.labels, labelled.num_classes)
    assert_array_equal(statistics.counts, np.bincount(labelled.labels, minlength=labelled.num_classes))
    assert_allclose(statistics.means, means, rtol=1e-13, atol=1e-13 * np.abs(means).max())
    assert_allclose(statistics.mean, mean, rtol=1e-13, atol=1e-13 * np.abs(means).max())
    rounding = 1e-14 * np.abs(means).max() * np.sqrt(np.abs(within).max() * len(labelled.labels))
    assert_allclose(statistics.within, within, rtol=0, atol=1e-12 * np.abs(within).max() + rounding)
    assert_allclose(statistics.total, total, rtol=0, atol=1e-12 * np.abs(total).max())
    assert_allclose(statistics.between, total - within, rtol=0, atol=1e-12 * np.abs(total).max())


def test_tight_clusters_keep_the_precision_of_their_own_scatter() -> None:
    """The within-class scatter is right to 1e-6 of itself even at 1e-17 of the total, where total - between is noise."""
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 4, 2000)
    noise = rng.integers(-8, 9, (2000, 5)) * 2.0**-30
    features = rng.integers(-9, 9, (4, 5))[labels] + noise
    statistics = streamed(features, labels, 4, 256)
    expected = class_statistics(noise, labels, 4).within
    assert_allclose(statistics.within, expected, rtol=0, atol=1e-6 * expected.max())


@a_property
@given(seed=seeds, cuts=st.lists(st.integers(0, 60), max_size=5), shuffle=st.randoms(use_true_random=False))
def test_order_sharding_and_merging_do_not_matter(seed: int, cuts: list[int], shuffle: Random) -> None:
    """Any permutation of samples, cut anywhere into shards and merged in any order, gives the same statistics."""
    rng = np.random.default_rng(seed)
    features, labels = rng.normal(size=(60, 4)) + 50, rng.integers(0, 5, 60)
    order = rng.permutation(60)
    shards = np.split(order, sorted(cuts))
    shuffle.shuffle(shards)
    whole, means = ClassStatisticsAccumulator(5, 4), ClassMeansAccumulator(5, 4)
    for shard in shards:
        for total, part in ((whole, ClassStatisticsAccumulator(5, 4)), (means, ClassMeansAccumulator(5, 4))):
            part.update(features[shard], labels[shard])
            total.merge(part)
    assert_same(whole.finish(), class_statistics(features, labels, 5))
    # Without the scatter, the means are the same to the last bit.
    assert_array_equal(means.finish().means, whole.finish().means)
    assert_array_equal(means.finish().counts, whole.finish().counts)


def test_merging_with_nothing_changes_nothing() -> None:
    """The empty statistics are neutral, bit for bit, on both sides."""
    some = class_statistics(np.random.default_rng(1).normal(size=(30, 3)) + 7, np.arange(30) % 4, 5)
    nothing = empty_statistics(5, 3)
    for result in (merged(some, nothing), merged(nothing, some)):
        assert_same(result, some, tolerance=0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_narrow_dtypes_accumulate_in_float64(dtype: type[np.floating[Any]]) -> None:
    """Sums that overflow float16 and lose digits in float32 are exact."""
    features = np.full((4096, 2), 60_000, dtype)
    features[::2, 1] = 1
    statistics = class_statistics(features, np.zeros(4096, int), 1)
    exact = float(dtype(60_000))
    assert_array_equal(statistics.means, [[exact, (exact + 1) / 2]])
    assert_allclose(statistics.within, [[0, 0], [0, 1024 * (exact - 1) ** 2]], rtol=1e-15)


def test_statistics_survive_storage(seven_digits: Labelled) -> None:
    """from_arrays undoes to_arrays, bit for bit."""
    statistics = class_statistics(seven_digits.features, seven_digits.labels, 7)
    assert_same(ClassStatistics.from_arrays(statistics.to_arrays()), statistics, tolerance=0)


def test_broken_stored_statistics_are_refused() -> None:
    """An absent or misshapen array is named."""
    arrays = empty_statistics(3, 2).to_arrays()
    with pytest.raises(InputError, match="lack means, within"):
        ClassStatistics.from_arrays({"counts": arrays["counts"]})
    with pytest.raises(InputError, match=r"within \[3, 3\]"):
        ClassStatistics.from_arrays(arrays | {"within": np.zeros((3, 3))})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_not_finite_is_named_by_its_row(bad: float) -> None:
    """NaN and infinity stop the stream, and the statistics stay those of the blocks before."""
    accumulator = ClassStatisticsAccumulator(2, 3)
    features = np.ones((5, 3), np.float16)
    accumulator.update(features, np.zeros(5, int))
    features[4, 1] = bad
    features[3, 2] = bad
    with pytest.raises(NumericalError, match="row 3"):
        accumulator.update(features, np.zeros(5, int))
    assert accumulator.finish().num_samples == 5


def test_features_too_large_to_square_are_an_error() -> None:
    """An overflow in the scatter never becomes a silent infinity."""
    with pytest.raises(NumericalError, match="too large"):
        class_statistics(np.array([[1e200], [-1e200]]), np.zeros(2, int), 1)


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.ones((2, 3)), np.array([0, 5]), "Label 5 in row 1"),
        (np.ones((2, 3)), np.array([-1, 0]), "Label -1 in row 0"),
        (np.ones((2, 3)), np.array([0, 1, 1]), "2 integers"),
        (np.ones((2, 3)), np.array([0.0, 1.0]), "float64"),
        (np.ones((2, 4)), np.array([0, 1]), "4 dimensions; expected 3"),
        (np.ones(3), np.array([0, 1, 1]), "float array"),
        (np.ones((2, 3), int), np.array([0, 1]), "int64"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(features: Float64, labels: Labels, message: str) -> None:
    """Each misfit of shape, dtype or label is named."""
    with pytest.raises(InputError, match=message):
        ClassStatisticsAccumulator(5, 3).update(features, labels)


def test_accumulators_of_other_shapes_do_not_merge() -> None:
    """Statistics of another model are not mixed in."""
    with pytest.raises(InputError, match="cannot be merged"):
        ClassStatisticsAccumulator(5, 3).merge(ClassStatisticsAccumulator(5, 4))
    with pytest.raises(InputError, match="0 classes"):
        ClassStatisticsAccumulator(0, 3)


def test_normalise_divides_by_the_euclidean_norm(labelled: Labelled) -> None:
    """Each row is h / ||h||_2, one row at a time in extended precision."""
    rows = labelled.features.astype(np.longdouble)
    expected, before = np.stack([row / np.sqrt((row**2).sum()) for row in rows]), labelled.features.copy()
    assert_allclose(normalise(labelled.features), expected.astype(float), rtol=1e-14)
    assert_array_equal(labelled.features, before)


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e200, 1e308])
def test_normalise_survives_the_ends_of_the_range(scale: float) -> None:
    """Rows whose squares under- or overflow still have a direction."""
    assert_allclose(normalise(np.array([[scale, -scale]])), [[np.sqrt(0.5), -np.sqrt(0.5)]], rtol=1e-15)


def test_a_zero_row_has_no_direction() -> None:
    """The row is named, and no number is made up for it."""
    with pytest.raises(NumericalError, match=r"row 1 .* is zero"):
        normalise(np.array([[1.0, 0.0], [0.0, 0.0]], np.float32))
    with pytest.raises(NumericalError, match=r"row 0 .* NaN"):
        normalise(np.array([[np.nan, 0.0]]))
