"""Which files are images: every raster format that Pillow decodes itself; and all others are counted."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image, features

from extract.datasets import FormatOptions, Origin, add_dataset, check_unchanged, list_samples, read_dataset
from extract.datasets.dataset import read_listing
from extract.datasets.formats.suffixes import IMAGE_SUFFIXES, NO_IMAGES, is_image, suffix_of
from extract.images.decoding import read_rgb
from featurestore import ConflictError, InputError, Lake
from tests.extract.datasets.formats.test_tar import pack
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path


def test_every_suffix_that_pillow_opens_is_read_or_left_out_for_a_reason() -> None:
    """A Pillow that learns another format fails here, until it is decided whether its files are images."""
    Image.init()
    opened = {suffix for suffix, name in Image.registered_extensions().items() if name in Image.OPEN}
    assert opened <= IMAGE_SUFFIXES | NO_IMAGES.keys()
    assert not IMAGE_SUFFIXES & NO_IMAGES.keys()
    assert ".pdf" not in IMAGE_SUFFIXES


SAVED = {
    ".avif": "AVIF",
    ".jfif": "JPEG",
    ".jp2": "JPEG2000",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".bmp": "BMP",
    ".ppm": "PPM",
}
SAVED |= {".gif": "GIF", ".tga": "TGA", ".dds": "DDS", ".ico": "ICO", ".pcx": "PCX", ".sgi": "SGI", ".qoi": "QOI"}


@pytest.mark.parametrize("suffix", SAVED)
def test_what_pillow_writes_under_a_suffix_is_decoded(suffix: str) -> None:
    assert is_image(f"a{suffix.upper()}")
    if SAVED[suffix] not in Image.SAVE or (suffix == ".avif" and not features.check("avif")):
        pytest.skip("this Pillow does not write it")
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 10, 10)).save(buffer, SAVED[suffix])
    assert read_rgb(io.BytesIO(buffer.getvalue())).size == (16, 16)


def test_postscript_under_the_name_of_an_image_starts_no_other_program() -> None:
    """Pillow goes by the content, and would hand it to Ghostscript."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "EPS")
    with pytest.raises(OSError, match="cannot identify image"):
        read_rgb(io.BytesIO(buffer.getvalue()))


def test_how_a_name_ends() -> None:
    found = [suffix_of(name) for name in ("a/b.JPG", "a.b/c", ".hidden", "x.tar.gz")]
    assert found == [".jpg", "", "", ".gz"]


def test_files_that_are_passed_over_are_counted_by_suffix(lake: Lake, tmp_path: Path) -> None:
    root = write_images(tmp_path / "images", {"ant": 3, ".cache": 1})
    for name in ("a.txt", "b.TXT", "c.mov", "Makefile", ".DS_Store"):
        (root / "ant" / name).write_bytes(b"")
    said: list[str] = []
    add_dataset(lake, "val", root, role="id", say=said.append)
    assert said == [f"{root}: 3 images; 6 files passed over: 2 .txt, 2 hidden, 1 without suffix, 1 .mov"]
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.heic").write_bytes(b"")
    with pytest.raises(InputError, match=r"no image below .* It holds 1 file passed over: 1 \.heic"):
        add_dataset(lake, "none", tmp_path / "none", role="ood")


def test_members_of_a_tar_that_are_passed_over_are_counted(lake: Lake, tmp_path: Path) -> None:
    place = pack(tmp_path / "t" / "a.tar", {"ant/1.png": b"1", "ant/._1.png": b"", "notes.md": b""})
    (tmp_path / "t" / "README").write_bytes(b"")
    said: list[str] = []
    add_dataset(lake, "far", place.parent, role="ood", format_="tar", say=said.append)
    assert said == [f"{place.parent}: 1 images; 3 files passed over: 1 without suffix, 1 .md, 1 hidden"]


def test_images_of_suffixes_that_were_not_read_once_do_not_change_an_older_dataset(lake: Lake, tmp_path: Path) -> None:
    root = write_images(tmp_path / "images", {"ant": 2})
    old = add_dataset(lake, "old", root, role="ood")
    (root / "ant" / "b.jfif").write_bytes(b"image")
    check_unchanged(old, read_listing(lake, "old"))
    new = add_dataset(lake, "new", root, role="ood")
    assert (new.samples, new.format) == (3, "folder?suffixes=jfif")
    check_unchanged(read_dataset(lake, "new"), read_listing(lake, "new"))
    (root / "ant" / "b.jfif").unlink()
    with pytest.raises(ConflictError, match=r"1 removed \(first: ant/b\.jfif\)"):
        check_unchanged(new, read_listing(lake, "new"))
    assert len(list_samples(Origin("folder", str(root), FormatOptions()), "ood")) == 2
