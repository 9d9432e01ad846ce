"""Single images of a lake's datasets, for those who want to look at them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from extract.datasets import read_dataset, read_listing
from extract.images.decoding import read_rgb

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

    from extract.datasets import Listing, Reader
    from featurestore.lake import Lake


def image_opener(lake: Lake) -> Callable[[str, int], Image.Image | None]:
    """A function from a dataset's name and a sample's number to its image, RGB, or None where it cannot be read."""

    @cache
    def place(dataset: str) -> tuple[Reader, Listing]:
        return read_dataset(lake, dataset).reader, read_listing(lake, dataset)

    def open_image(dataset: str, sample: int) -> Image.Image | None:
        try:
            reader, listing = place(dataset)
            with reader.open(listing.paths[sample]) as file:
                return read_rgb(file)
        except Exception:  # noqa: BLE001 # files that are gone, cut or no images: whoever looks says how many
            return None

    return open_image
