"""NINCO's unit-tests, planned without touching a disk: their folder layout, which source images, and what randomness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = "NINCO_OOD_unit_tests"
TABLE = "NINCO_OOD_unit_tests.csv"
HEADER = ("image_location", "class")


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One unit-test image to be drawn.

    Attributes:
        kind: the name of its kind.
        index: the position of its source image in the sorted list of source images.
        location: its file, relative to the root, with forward slashes.
    """

    kind: str
    index: int
    location: str

    @property
    def format(self) -> str:
        """The file format, as Pillow calls it."""
        return "PNG" if self.location.endswith(".png") else "JPEG"


def location(kind: str, position: int, index: int) -> str:
    """Name the file of one image as NINCO's release does: PNG where the index is even, JPEG where it is odd.

    Args:
        kind: the name of the kind.
        position: the position of the image within its kind.
        index: the position of its source image.

    Example:
        >>> location("uni", 0, 112)
        'NINCO_OOD_unit_tests/uni/uni_000_uni_00112.png'
    """
    extension = "jpg" if index % 2 else "png"
    return f"{FOLDER}/{kind}/{kind}_{position:03d}_{kind}_{index:05d}.{extension}"


def plan(kinds: Iterable[str], number_of_images: int, per_kind: int) -> list[PlannedImage]:
    """List every image of a set of kinds, in the order of the CSV file."""
    return [
        PlannedImage(kind, index, location(kind, position, index))
        for kind in kinds
        for position, index in enumerate(sample_indices(kind, number_of_images, per_kind))
    ]


def sample_indices(name: str, number_of_images: int, per_kind: int) -> list[int]:
    """Draw the source images of one kind by NINCO's rule: the kind's name is the seed.

    With ImageNet's 50,000 validation images and 400 per kind, these are the images of NINCO's released files.

    Args:
        name: the name of the kind.
        number_of_images: how many images there are to draw from.
        per_kind: how many to draw, without replacement.

    Returns:
        The positions of the drawn images, ascending.

    Raises:
        InputError: fewer than one image is asked for, or more than there are.
    """
    if not 1 <= per_kind <= number_of_images:
        raise InputError(
            f"{per_kind} different images cannot be drawn from {number_of_images}: draw 1 to {number_of_images}."
        )
    bits = np.random.MT19937(np.random.SeedSequence(_number(name)))
    # The legacy generator is NINCO's, and its stream is frozen for good.
    drawn = np.random.RandomState(bits).choice(number_of_images, per_kind, replace=False)
    return [int(index) for index in np.sort(drawn)]


def pixel_generator(seed: int, kind: str, index: int) -> np.random.Generator:
    """Make the generator of one image's pixels, which depends on no other image and no other kind.

    Args:
        seed: the seed of the whole set, not negative.
        kind: the name of the kind.
        index: the position of the source image.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_number(kind), index)))


def _number(name: str) -> int:
    return int("".join(str(ord(character)) for character in name))
