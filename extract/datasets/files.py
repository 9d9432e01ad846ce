"""What counts as an image file."""

from __future__ import annotations

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def is_image(name: str) -> bool:
    """Whether a file name has an image's suffix, in any case."""
    return name[name.rfind(".") :].lower() in IMAGE_SUFFIXES
