"""Image lists: a path and a label per line, as OpenOOD distributes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extract.datasets import FormatOptions, Origin, add_dataset, list_samples, read_listing
from featurestore import InputError, Lake

if TYPE_CHECKING:
    from pathlib import Path

    from extract.datasets import Listing


def write_list(root: Path, lines: list[str], name: str = "test_insects.txt") -> Path:
    """A list in the folder of lists, and its images in the folder of images."""
    file = root / "benchmark_imglist" / "insects" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    for line in lines:
        image = root / "images_classic" / line.rpartition(" ")[0]
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(line.encode())
    return file


def listed(file: Path, role: str = "id", **options: object) -> Listing:
    return list_samples(Origin("imglist", str(file), FormatOptions(**options)), role)  # type: ignore[arg-type]


def test_labels_are_indices_and_paths_may_hold_spaces(tmp_path: Path) -> None:
    file = write_list(tmp_path, ["a b/two 3.png 10", "c/one.png 2", "c/0.png 10"])
    listing = listed(file)
    assert list(listing.paths) == ["a b/two 3.png", "c/one.png", "c/0.png"]
    assert list(listing.labels) == [10, 2, 10]
    assert listing.label_of_class == {"10": 10, "2": 2}


def test_the_folder_of_images_is_found_said_and_kept(tmp_path: Path, lake: Lake) -> None:
    """Where the download leaves it; two of them that hold the images are a doubt, and --root says which."""
    file = write_list(tmp_path, ["a/1.png 0", "b/2.png 1"])
    lines: list[str] = []
    row = add_dataset(lake, "insects", file, role="id", format_="imglist", say=lines.append)
    assert lines == [f"{file}: its paths are relative to {tmp_path / 'images_classic'}, where its images are"]
    with row.reader.open(read_listing(lake, "insects").paths[1]) as image:
        assert image.read() == b"b/2.png 1"
    (tmp_path / "images_classic").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"lists 2 images, of which 2 are not in .*say with --root"):
        listed(file)
    assert len(listed(file, root=tmp_path / "elsewhere")) == 2
    for folder in ("images_largescale", "images_classic"):
        (tmp_path / folder).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        InputError, match=r"could be relative to .*images_largescale or .*images_classic: say which with --root"
    ):
        listed(file)


def test_no_label_is_one_class_of_ood_images_and_none_of_an_id_set(tmp_path: Path) -> None:
    file = write_list(tmp_path, ["a/1.png -1", "b/2.png -1"])
    listing = listed(file, "ood")
    assert set(listing.class_names) == {"test_insects"}
    assert list(listing.labels) == [None, None]
    with pytest.raises(InputError, match="gives 2 of 2 images the label -1, which is none"):
        listed(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png\n", r"has the line 'a\.png' \(number 1\): an image list has a line `path label`"),
        ("a.png 1\n\na.png ant\n", r"has the line 'a\.png ant' \(number 3\)"),
        ("\n", "has no line"),
        (b"\xff 1", "Cannot read the image list"),
    ],
)
def test_what_is_no_image_list_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "list.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        listed(tmp_path / "list.txt")
