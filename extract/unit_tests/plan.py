"""The folder layout of NINCO's unit-tests, planned without touching a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from extract.unit_tests.sampling import sample_indices

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
