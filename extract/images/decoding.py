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
_FORMATS = (
    "AVIF", "BLP", "BMP", "CUR", "DCX", "DDS", "DIB", "FLI", "FTEX", "GBR", "GIF", "HEIF", "ICNS", "ICO", "IM", "JPEG", "JPEG2000",
    "MPO", "PCX", "PIXAR", "PNG", "PPM", "PSD", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM",
)  # fmt: skip
"""The raster formats that Pillow decodes itself; HEIF where a plugin of that name is registered. One that is not named here is not
opened, whatever a file is called: PostScript, say, would start another program."""
MOST_SCANS = 100
"""Each scan of a JPEG goes over all of its pixels: whoever saves photos makes ten, and libjpeg's own tools at most this many."""
_START_OF_SCAN = b"\xff\xda"
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
        ValueError: An image without defined conversion, of 32 bits; one of too many pixels, or far longer than wide; a JPEG that
            takes minutes to decode.
        Exception: Whatever the decoder raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(file, formats=_decoded_here()) as image:
            _check_sides(*image.size)
            _check_scans(image)
            if side:
                image.draft(None, (side, side))
            known = {} if known is None else known
            if image.size not in known:
                known[image.size] = _scaled(image).convert("RGB")
            return known[image.size]


@cache
def _decoded_here() -> list[str]:
    """The formats that are opened, as far as this Pillow has them."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


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


def _check_scans(image: Image.Image) -> None:
    """Refuse a progressive JPEG of thousands of scans: half a megabyte of them would keep a core busy for a minute.

    Their marks do not occur in compressed data; of other data in the file (a thumbnail, a profile) a few may.
    """
    if not image.info.get("progressive"):
        return
    file = image.fp  # type: ignore[attr-defined] # of an image that was opened from a file
    place = file.tell()
    file.seek(0)
    scans = file.read().count(_START_OF_SCAN)
    file.seek(place)
    if scans > MOST_SCANS:
        raise ValueError(f"a JPEG of {scans:,} scans, more than {MOST_SCANS}: it would take minutes to decode")


def _scaled(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format == "PPM"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in _NO_RANGE:
        raise ValueError(f"a greyscale image with 32 bits (mode {image.mode}) does not say what is white: convert it")
    return image
