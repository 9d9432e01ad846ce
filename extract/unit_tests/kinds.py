"""The 17 kinds of synthetic unit-test images of NINCO: images without any object, which no detector should accept.

Every kind is painted in the same order: base noise, then a filter, then a scale; `render` clips and quantises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from featurestore.errors import InputError

Pixels: TypeAlias = NDArray[np.float64]
Paint: TypeAlias = Callable[[Pixels, np.random.Generator], Pixels]

GAUSSIAN_DEVIATIONS = (0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
LOW_FREQUENCY_SIGMAS = (10.0, 15.0, 25.0, 40.0, 60.0, 85.0)
PERMUTATION_SIGMAS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
BLOB_SIGMAS = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
STRIPE_COUNTS = (4, 5, 7, 10, 15, 20)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of unit-test image.

    Attributes:
        definition: what the kind shows, in one line.
        paint: draws it: (source image, float64 [H, W, 3] in [0, 1]; generator) to float64 [H, W, 3], not yet clipped.
    """

    definition: str
    paint: Paint


def render(kind: str, image: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one unit-test image at the size of a source image.

    Args:
        kind: a name in `KINDS`.
        image: the source image, uint8 [H, W, 3]; kinds that do not permute its pixels use its size only.
        generator: where all randomness comes from.

    Returns:
        The image, uint8 [H, W, 3]: clipped to [0, 1], times 255, truncated.

    Raises:
        InputError: the kind is unknown, or the image is not an RGB image.
    """
    require_kind(kind)
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0 or image.dtype != np.uint8:
        raise InputError(f"A unit-test needs an RGB image, uint8 [H, W, 3], not {image.dtype} {list(image.shape)}.")
    pixels = np.clip(KINDS[kind].paint(image / 255, generator), 0, 1)
    pixels *= 255
    return pixels.astype(np.uint8, order="C")


def require_kind(name: str) -> None:
    """Refuse a name that is not in `KINDS`.

    Raises:
        InputError: with the nearest name, and all of them.
    """
    if name in KINDS:
        return
    names = {known.lower(): known for known in KINDS}
    near = get_close_matches(name.lower(), names, n=1)
    hint = f" (did you mean {names[near[0]]!r}?)" if near else ""
    raise InputError(f"There is no unit-test kind {name!r}{hint}: choose from {', '.join(KINDS)}.")


def blur(image: Pixels, sigma: float) -> Pixels:
    """Smooth each channel with a Gaussian that wraps around the borders.

    Equal to `skimage.filters.gaussian(image, sigma, channel_axis=2, mode="wrap")`, which NINCO used.

    Args:
        image: float64 [H, W, 3].
        sigma: standard deviation in pixels.

    Returns:
        float64 [H, W, 3].
    """
    return gaussian_filter(image, sigma=(sigma, sigma, 0), mode="wrap", truncate=4.0)


def stripes(shape: tuple[int, ...], colours: Pixels, axis: int) -> Pixels:
    """Fill an image with parallel stripes: size // n pixels each, and the last one takes what remains.

    So an image with fewer pixels than stripes shows the last colour only.

    Args:
        shape: (H, W, 3).
        colours: float64 [n, 3], from the top (axis 0) or from the left (axis 1).
        axis: the axis that the colour changes along.

    Returns:
        float64 [H, W, 3], read-only.
    """
    width = shape[axis] // len(colours)
    widths = [width] * len(colours)
    widths[-1] = shape[axis] - width * (len(colours) - 1)
    return np.broadcast_to(np.expand_dims(np.repeat(colours, widths, axis=0), 1 - axis), shape)


def _stretch(image: Pixels, axis: tuple[int, ...] | None) -> Pixels:
    """Scale an image to the full range [0, 1], over everything (None) or over some axes."""
    image -= image.min(axis=axis, keepdims=True)
    image /= _divisor(image.max(axis=axis, keepdims=True))
    return image


def _divisor(spread: Pixels) -> Pixels:
    # A constant channel, as in an image of one pixel, has no range to scale: it stays at zero instead of becoming NaN.
    return np.where(spread > 0, spread, 1.0)


def _uniform(image: Pixels, generator: np.random.Generator) -> Pixels:
    return generator.random(image.shape)


def _gaussian(image: Pixels, generator: np.random.Generator) -> Pixels:
    noise = generator.standard_normal(image.shape)
    noise *= generator.choice(GAUSSIAN_DEVIATIONS)
    noise += 0.5
    return noise


def _rademacher(image: Pixels, generator: np.random.Generator) -> Pixels:
    return (generator.random(image.shape) > 0.5).astype(np.float64)


def _permuted(image: Pixels, generator: np.random.Generator) -> Pixels:
    flat = image.reshape(-1, 3)
    return flat.take(generator.permutation(len(flat)), axis=0).reshape(image.shape)


def _blurred_permuted(image: Pixels, generator: np.random.Generator) -> Pixels:
    return blur(_permuted(image, generator), generator.choice(PERMUTATION_SIGMAS))


def _blurred_uniform(image: Pixels, generator: np.random.Generator) -> Pixels:
    return blur(_uniform(image, generator), generator.choice(LOW_FREQUENCY_SIGMAS))


def _low_frequency_colours(image: Pixels, generator: np.random.Generator) -> Pixels:
    noise = _blurred_uniform(image, generator)
    noise -= np.quantile(noise, 0.025, axis=(0, 1))
    noise /= _divisor(np.quantile(noise, 0.975, axis=(0, 1)))
    # NINCO calls this colour the center, but the range starts at it.
    lower_end = generator.random(3)
    noise *= 2 * generator.uniform(0.1, 0.3)
    noise += lower_end
    return noise


def _blobs(image: Pixels, generator: np.random.Generator) -> Pixels:
    noise = blur((generator.random(image.shape) < 0.7).astype(np.float64), generator.choice(BLOB_SIGMAS))
    noise[noise < 0.75] = 0
    return noise


def _constant(image: Pixels, colour: float | Pixels) -> Pixels:
    return np.broadcast_to(np.asarray(colour, dtype=np.float64), image.shape)


def _tricolour(image: Pixels, generator: np.random.Generator) -> Pixels:
    return stripes(image.shape, generator.random((3, 3)), int(generator.integers(2)))


def _tricolour_primary(image: Pixels, generator: np.random.Generator) -> Pixels:
    colours = generator.integers(2, size=(3, 3)).astype(np.float64)
    return stripes(image.shape, colours, int(generator.integers(2)))


def _many_stripes(image: Pixels, generator: np.random.Generator, axis: int) -> Pixels:
    return stripes(image.shape, generator.random((int(generator.choice(STRIPE_COUNTS)), 3)), axis)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "uni": Kind("uniform noise in every value", _uniform),
        "Gaussian": Kind("Gaussian noise around mid-grey, of one of seven strengths", _gaussian),
        "Rademacher": Kind("every value 0 or 1, with equal chance", _rademacher),
        "pixel_perm": Kind("the pixels of the source image in random order", _permuted),
        "low_freq_pixel_perm": Kind("the same, blurred", _blurred_permuted),
        "low_freq": Kind(
            "strongly blurred uniform noise, stretched to the full range",
            lambda image, generator: _stretch(_blurred_uniform(image, generator), None),
        ),
        "low_freq_channelfullscale": Kind(
            "the same, each channel stretched alone",
            lambda image, generator: _stretch(_blurred_uniform(image, generator), (0, 1)),
        ),
        "low_freq_colorrange": Kind("the same, within a narrow range of colours", _low_frequency_colours),
        "blobs": Kind("blurred dots, cut off below three quarters", _blobs),
        "black": Kind("all 0", lambda image, _: _constant(image, 0)),
        "white": Kind("all 1", lambda image, _: _constant(image, 1)),
        "grey": Kind("one random grey", lambda image, generator: _constant(image, generator.random())),
        "monochrome": Kind("one random colour", lambda image, generator: _constant(image, generator.random(3))),
        "tricolour": Kind("three stripes of random colours, lying or standing", _tricolour),
        "tricolour_primary": Kind("the same, every value of a colour 0 or 1", _tricolour_primary),
        "horizontal_stripes": Kind("4 to 20 lying stripes of random colours", partial(_many_stripes, axis=0)),
        "vertical_stripes": Kind("4 to 20 standing stripes of random colours", partial(_many_stripes, axis=1)),
    }
)
