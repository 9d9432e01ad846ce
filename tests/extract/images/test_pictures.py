"""Single images of a lake's datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.datasets import add_dataset
from extract.images.decoding import read_rgb
from extract.images.pictures import image_opener
from featurestore import Lake
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path


def test_a_sample_opens_as_the_model_saw_it_and_a_file_that_is_gone_as_nothing(tmp_path: Path) -> None:
    """Dataset and number name the image; no error reaches whoever only wants to look."""
    lake, folder = Lake(tmp_path / "lake"), write_images(tmp_path / "images", {"ant": 2}, size=8)
    add_dataset(lake, "ood", folder, role="ood")
    first, second = lake.read("samples", dataset="ood").column("path").to_pylist()
    (folder / first).unlink()
    open_image = image_opener(lake)
    image = open_image("ood", 1)
    assert image is not None
    assert image.tobytes() == read_rgb(folder / second).tobytes()
    assert open_image("ood", 0) is None
    assert open_image("nowhere", 0) is None
