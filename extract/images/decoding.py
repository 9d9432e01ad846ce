"""Decoding: from the bytes of an image, whatever its kind, to RGB with 8 bits."""

from __future__ import annotations

import io
import warnings
from functools import cache
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from pathlib import Path

MAX_PIXELS = 89_478_485
"""Pillow's own limit, whatever a program sets there: one quarter of a gigabyte as RGB."""
MAX_SIDE_RATIO = 500
_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_BY_OTHER_PROGRAMS = frozenset({"EPS"})
_NO_RANGE = frozenset({"I", "F"})


def read_rgb(
    file: Path | IO[bytes], side: int = 0, known: dict[tuple[int, int], Image.Image] | None = None
) -> Image.Image:
    """Decode an image to RGB, the way that torchvision's and timm's loaders do, so that pixels are the same.

    So transparency is dropped, a palette looked up, CMYK converted, the first frame of an animation taken, and a
    rotation that the EXIF data asks for is **not** applied. Unlike them, it scales greyscale with 16 bits, of which
    Pillow's conversion makes white.

    Args:
        file: The image.
        side: Decode a JPEG at the least of its size, half, a quarter or an eighth whose shorter side has as many pixels, which takes
            less time and gives other pixels; 0 decodes all.
        known: The image at other sizes that were decoded; gets this one.

    Raises:
        ValueError: An image without defined conversion, of 32 bits; one of too many pixels, or far longer than wide.
        Exception: Whatever the decoder raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(file, formats=_decoded_here()) as image:
            _check_sides(*image.size)
            if side:
                image.draft(None, (side, side))
            known = {} if known is None else known
            if image.size not in known:
                known[image.size] = _scaled(image).convert("RGB")
            return known[image.size]


@cache
def _decoded_here() -> list[str]:
    """Pillow's formats but those that it hands to another program, whatever a file is called."""
    Image.init()
    return [name for name in Image.ID if name not in _BY_OTHER_PROGRAMS]


def error_text(error: Exception, file: IO[bytes] | None) -> str:
    """What went wrong, the same on every machine: without the file's place, or an object's address."""
    if isinstance(error, UnidentifiedImageError):
        empty = file is not None and not file.closed and file.seek(0, io.SEEK_END) == 0
        return f"UnidentifiedImageError: {'the file is empty' if empty else 'not an image that Pillow can read'}"
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _check_sides(width: int, height: int) -> None:
    """Refuse what would take gigabytes: many pixels, of which Pillow itself only warns, and a line.

    A resize to a shorter side keeps proportions, and so would make a line of one pixel's height wider than any memory.
    """
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels: more than {MAX_PIXELS:,}, as a decompression bomb has")
    if max(width, height) > MAX_SIDE_RATIO * min(width, height):
        raise ValueError(f"{width} x {height} pixels: one side is more than {MAX_SIDE_RATIO} times the other")


def _scaled(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format == "PPM"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in _NO_RANGE:
        raise ValueError(f"a greyscale image with 32 bits (mode {image.mode}) does not say what is white: convert it")
    return image
