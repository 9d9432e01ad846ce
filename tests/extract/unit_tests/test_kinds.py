"""Each kind of unit-test has its defining property, at every size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.filters import gaussian

from extract.unit_tests import KINDS, render
from extract.unit_tests.kinds import GAUSSIAN_DEVIATIONS, LOW_FREQUENCY_SIGMAS, STRIPE_COUNTS, blur, stripes
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Container

Image8: TypeAlias = NDArray[Any]

SEEDS = range(4)
SMALL_SHAPES = ((1, 1), (8, 8), (5, 7), (1, 9), (9, 1))


def source(height: int = 60, width: int = 90, seed: int = 0) -> Image8:
    return np.random.default_rng(seed).integers(256, size=(height, width, 3), dtype=np.uint8)


def drawn(kind: str, seed: int = 0, image: Image8 | None = None) -> Image8:
    return render(kind, source() if image is None else image, np.random.default_rng(seed))


def runs(lines: Image8) -> list[int]:
    """The lengths of the stretches of equal neighbours along the first axis, [n, 3]."""
    borders = np.flatnonzero((lines[1:] != lines[:-1]).any(axis=1)) + 1
    return np.diff([0, *borders, len(lines)]).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [*SMALL_SHAPES, (60, 90)])
def test_every_kind_draws_every_size(kind: str, shape: tuple[int, int]) -> None:
    """Tiny images have no range to stretch and no room for stripes, and still come out, without a warning."""
    image = source(*shape)
    before = image.copy()
    result = drawn(kind, image=image)
    assert result.shape == (*shape, 3)
    assert result.dtype == np.uint8
    assert np.array_equal(image, before)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    seed=st.integers(0, 2**32),
    level=st.none() | st.integers(0, 255),
)
def test_paintings_are_finite(kind: str, height: int, width: int, seed: int, level: int | None) -> None:
    """Also of constant source images, before anything is clipped."""
    image = source(height, width) if level is None else np.full((height, width, 3), level, dtype=np.uint8)
    painted = KINDS[kind].paint(image / 255, np.random.default_rng(seed))
    assert painted.shape == image.shape
    assert painted.dtype == np.float64
    assert np.isfinite(painted).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_decides_alone(kind: str) -> None:
    assert np.array_equal(drawn(kind, 5), drawn(kind, 5))
    if kind not in {"black", "white"}:
        assert any(not np.array_equal(drawn(kind, 5), drawn(kind, seed)) for seed in range(6, 12))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"pixel_perm", "low_freq_pixel_perm"}))
def test_only_permutations_see_the_source(kind: str) -> None:
    assert np.array_equal(drawn(kind, image=source(seed=1)), drawn(kind, image=source(seed=2)))


@pytest.mark.parametrize("sigma", [1.0, 1.5, 4.0, *LOW_FREQUENCY_SIGMAS])
@pytest.mark.parametrize("shape", [*SMALL_SHAPES, (33, 50)])
def test_blur_equals_its_oracle(sigma: float, shape: tuple[int, int]) -> None:
    image = source(*shape) / 255
    assert np.array_equal(blur(image, sigma), gaussian(image, sigma=sigma, channel_axis=2, mode="wrap"))


def test_quantising_truncates_after_clipping() -> None:
    image = source(200, 200)
    painted = KINDS["Gaussian"].paint(image / 255, np.random.default_rng(1))
    assert painted.min() < 0
    assert painted.max() > 1
    expected = np.floor(np.clip(painted, 0, 1) * 255)
    assert np.array_equal(drawn("Gaussian", 1, image), expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_noise_covers_the_range_evenly(seed: int) -> None:
    values = drawn("uni", seed, source(200, 200))
    counts, _ = np.histogram(values, bins=5, range=(0, 255))
    assert counts == pytest.approx(np.full(5, values.size / 5), rel=0.05)


@pytest.mark.parametrize("seed", range(8))
def test_gaussian_noise_has_a_listed_deviation(seed: int) -> None:
    painted = KINDS["Gaussian"].paint(np.zeros((200, 200, 3)), np.random.default_rng(seed))
    nearest = min(GAUSSIAN_DEVIATIONS, key=lambda deviation: abs(deviation - painted.std()))
    assert painted.std() == pytest.approx(nearest, rel=0.02)
    assert painted.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("seed", SEEDS)
def test_rademacher_noise_is_black_or_white_per_value(seed: int) -> None:
    values = drawn("Rademacher", seed)
    assert set(np.unique(values)) == {0, 255}
    assert (values == 255).mean() == pytest.approx(0.5, abs=0.03)
    assert (values[..., 0] != values[..., 1]).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_permutation_keeps_whole_pixels(seed: int) -> None:
    permuted = drawn("pixel_perm", seed)
    ours, theirs = (sorted(map(tuple, image.reshape(-1, 3).tolist())) for image in (permuted, source()))
    assert ours == theirs
    assert not np.array_equal(permuted, source())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_blurred_permutation_keeps_the_mean_and_loses_contrast(seed: int) -> None:
    blurred = drawn("low_freq_pixel_perm", seed)
    assert blurred.mean() == pytest.approx(source().mean() - 0.5, abs=0.2)
    assert blurred.std() < 0.5 * source().std()


@pytest.mark.parametrize("seed", SEEDS)
def test_low_frequencies_fill_the_range_together_or_in_each_channel(seed: int) -> None:
    values = drawn("low_freq", seed)
    assert (values.min(), values.max()) == (0, 255)
    assert np.abs(np.diff(values.astype(int), axis=0)).mean() < 10
    values = drawn("low_freq_channelfullscale", seed)
    assert values.min(axis=(0, 1)).tolist() == [0, 0, 0]
    assert values.max(axis=(0, 1)).tolist() == [255, 255, 255]


@pytest.mark.parametrize("seed", range(8))
def test_a_colour_range_has_one_width_and_starts_anywhere(seed: int) -> None:
    """Between its 2.5 % and 97.5 % quantiles, each channel spans nearly the same 0.2 to 0.6."""
    painted = KINDS["low_freq_colorrange"].paint(source() / 255, np.random.default_rng(seed))
    low, high = np.quantile(painted, [0.025, 0.975], axis=(0, 1))
    assert high - low == pytest.approx(np.full(3, (high - low)[0]))
    assert 0.2 <= (high - low)[0] <= 0.6
    assert ((low >= 0) & (low <= 1)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_blobs_are_black_or_bright(seed: int) -> None:
    values = drawn("blobs", seed)
    assert ((values == 0) | (values >= int(0.75 * 255))).all()
    assert (values == 0).any()
    assert (values > 0).any()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("kind", "levels"), [("black", {0}), ("white", {255}), ("grey", range(256)), ("monochrome", range(256))]
)
def test_one_colour_fills_the_image(kind: str, levels: Container[int], seed: int) -> None:
    values = drawn(kind, seed)
    assert (values == values[0, 0]).all()
    assert all(level in levels for level in values[0, 0].tolist())
    assert len(set(values[0, 0].tolist())) == (3 if kind == "monochrome" else 1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["tricolour", "tricolour_primary"])
def test_tricolours_have_three_equal_stripes(kind: str, seed: int) -> None:
    """Each of a third of the image, lying or standing; primary colours may repeat."""
    values = drawn(kind, seed)
    lying = (values == values[:, :1]).all()
    lines = values[:, 0] if lying else values[0]
    assert lying or (values == values[:1]).all()
    assert all(length % (len(lines) // 3) == 0 for length in runs(lines))
    if kind == "tricolour":
        assert len(runs(lines)) == 3
    else:
        assert set(np.unique(values)) <= {0, 255}


def test_tricolours_lie_and_stand() -> None:
    images = [drawn("tricolour", seed) for seed in range(12)]
    assert {bool((image == image[:, :1]).all()) for image in images} == {True, False}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("kind", "axis"), [("horizontal_stripes", 0), ("vertical_stripes", 1)])
def test_stripes_are_equal_and_the_last_takes_the_rest(kind: str, axis: int, seed: int) -> None:
    values = np.moveaxis(drawn(kind, seed, source(67, 93)), axis, 0)
    assert (values == values[:, :1]).all()
    lengths = runs(values[:, 0])
    size = len(values)
    assert len(lengths) in STRIPE_COUNTS
    assert set(lengths[:-1]) == {size // len(lengths)}
    assert lengths[-1] == size - sum(lengths[:-1])


def test_too_many_stripes_leave_the_last_colour() -> None:
    """Size // n is no pixel at all, so that everything remains."""
    colours = np.random.default_rng(0).random((4, 3))
    assert (stripes((3, 2, 3), colours, 0) == colours[-1]).all()


@pytest.mark.parametrize(
    ("kind", "hint"), [("gaussian", "'Gaussian'"), ("horizontal_stripe", "'horizontal_stripes'"), ("xyzzy", "uni, Gau")]
)
def test_an_unknown_kind_is_told_the_nearest(kind: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        drawn(kind)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_rgb_image_is_refused(image: Image8) -> None:
    with pytest.raises(InputError, match="RGB"):
        drawn("uni", image=image)
