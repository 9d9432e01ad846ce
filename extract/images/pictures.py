"""Single images of a lake's datasets, for those who want to look at them, from where they say."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets import FileReader, read_dataset, read_listing
from extract.images.decoding import read_rgb
from featurestore.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL import Image

    from extract.datasets import Listing, Reader
    from featurestore.lake import Lake

_ELSEWHERE = ("://", "hf:")


def image_opener(lake: Lake, places: Sequence[str]) -> Callable[[str, int], Image.Image | None]:
    """A function from a dataset's name and a sample's number to its image, RGB, or None where it cannot be read.

    A lake says where its images lie, and may be a stranger's. So nothing is opened but files below folders that the user names, and
    what lies in a bucket or on the hub below a URL or name that the user names, too.

    Args:
        lake: The lake.
        places: Folders, files and URLs in which images may be.
    """

    @cache
    def place(dataset: str) -> tuple[Reader, Listing]:
        row = read_dataset(lake, dataset)
        reader = row.reader
        if not isinstance(reader, FileReader):
            for location in (row.origin.location, row.origin.options.root):
                _check_place(location, places)
        return reader, read_listing(lake, dataset)

    def open_image(dataset: str, sample: int) -> Image.Image | None:
        try:
            reader, listing = place(dataset)
            path = listing.paths[sample]
            if isinstance(reader, FileReader):
                _check_place(reader.root / path, places)
                if not (reader.root / path).is_file():  # a pipe would be waited for
                    return None
            elif path.startswith("/") or ".." in path.split("/"):
                return None
            with reader.open(path) as file:
                return read_rgb(file)
        except Exception:  # noqa: BLE001 # files that are gone, cut or no images: whoever looks says how many
            return None

    return open_image


def _check_place(location: Path | str | None, places: Sequence[str]) -> None:
    """Raise unless a location is one of the places, or lies below one; links are followed first.

    Raises:
        UnreadableError: It lies elsewhere.
    """
    if location is None:
        return
    if any(mark in str(location) for mark in _ELSEWHERE):
        below = any(f"{location}/".startswith(f"{place.rstrip('/')}/") for place in places)
    else:
        here = Path(location).resolve()
        local = (Path(place).resolve() for place in places if not any(mark in place for mark in _ELSEWHERE))
        below = any(here.is_relative_to(place) for place in local)
    if not below:
        raise UnreadableError(f"{location} is none of the places that images may come from.")
