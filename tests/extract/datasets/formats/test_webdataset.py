"""Members of one key: which image is meant, and what has no image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extract.datasets import FormatOptions, add_dataset, check_unchanged
from extract.datasets.dataset import read_listing
from extract.datasets.formats.webdataset import several_images
from featurestore import InputError, Lake
from tests.extract.datasets.formats.test_tar import listed, pack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def test_several_images_under_one_key_need_a_word_which_is_meant(lake: Lake, tmp_path: Path) -> None:
    """A mask would be a sample of the class of its photograph."""
    members = {f"{n}.{suffix}": b"1" for n in range(3) for suffix in ("jpg", "seg.png")}
    place = pack(tmp_path / "a.tar", {**members, **{f"{n}.cls": b"0" for n in range(3)}})
    with pytest.raises(InputError, match=r"3 of 3 samples \(first: 0 has jpg, seg\.png\).*--image-key jpg"):
        listed(place)
    said: list[str] = []
    options = FormatOptions(image_key="jpg")
    row = add_dataset(lake, "val", place, role="id", format_="tar", options=options, say=said.append)
    listing = read_listing(lake, "val")
    assert list(listing.paths) == ["0.jpg", "1.jpg", "2.jpg"]
    assert said[0] == f"{place}: 3 images; 3 files passed over: 3 images under other keys"
    assert "image-key=jpg" in row.format
    place.touch()
    check_unchanged(row, listing)
    with pytest.raises(InputError, match=r"no image with the key 'png': those in it are 3 jpg, 3 seg\.png"):
        listed(place, image_key="png")
    with pytest.raises(InputError, match=r"several images 'jpg;seg\.png' of the sample 0"):
        listed(place, image_key="jpg;seg.png")


@pytest.mark.parametrize(
    ("names", "doubtful"),
    [
        (["a/1.jpg", "a/1.seg.png", "a/2.jpg", "a/2.seg.png"], True),
        (["a/img.001.png", "a/img.002.png", "b/img.001.png", "b/img.002.png"], False),
        (["a/1.jpg", "a/1.png", "a/2.jpg"], False),
    ],
)
def test_without_classes_beside_them_names_may_have_dots(names: Sequence[str], doubtful: bool) -> None:
    assert (several_images("a.tar", names, has_classes=False) is not None) is doubtful


def test_classes_without_an_image_are_said_and_counted(lake: Lake, tmp_path: Path) -> None:
    place = pack(tmp_path / "a.tar", {"0.jpg": b"", "0.cls": b"ant", "1.cls": b"bee", "2.heic": b"", "2.cls": b"ant"})
    said: list[str] = []
    add_dataset(lake, "val", place, role="id", format_="tar", say=said.append)
    assert said == [
        f"{place}: 1 images; 3 files passed over: 2 .cls, 1 .heic",
        f"{place}: 2 samples have no image that is read (first: 1)",
    ]
