"""Decoding: from the bytes of an image, whatever its kind, to RGB with 8 bits."""

from __future__ import annotations

import io
import warnings
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_SIDE_RATIO = 500
_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_NO_RANGE = frozenset({"I", "F"})


def read_rgb(file: Path | IO[bytes]) -> Image.Image:
    """Decode an image to RGB, the way that torchvision's and timm's loaders do, so that pixels are the same.

    So transparency is dropped, a palette looked up, CMYK converted, the first frame of an animation taken, and a
    rotation that the EXIF data asks for is **not** applied. Unlike them, it scales greyscale with 16 bits, of which
    Pillow's conversion makes white.

    Raises:
        ValueError: The file is empty, or an image without defined conversion: 32 bits, or far longer than wide.
        Exception: Whatever the decoder raises; an image that is suspiciously large counts as broken.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file) as image:
            _check_sides(*image.size)
            return _scaled(image).convert("RGB")


def error_text(error: Exception, file: IO[bytes] | None) -> str:
    """What went wrong, the same on every machine: without the file's place, or an object's address."""
    if isinstance(error, UnidentifiedImageError):
        empty = file is not None and not file.closed and file.seek(0, io.SEEK_END) == 0
        return f"UnidentifiedImageError: {'the file is empty' if empty else 'not an image that Pillow can read'}"
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _check_sides(width: int, height: int) -> None:
    """A resize to a shorter side keeps proportions: a line of one pixel's height would take gigabytes."""
    if max(width, height) > MAX_SIDE_RATIO * min(width, height):
        raise ValueError(f"{width} x {height} pixels: one side is more than {MAX_SIDE_RATIO} times the other")


def _scaled(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format == "PPM"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in _NO_RANGE:
        raise ValueError(f"a greyscale image with 32 bits (mode {image.mode}) does not say what is white: convert it")
    return image
