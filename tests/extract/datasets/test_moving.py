"""Images that moved are read from their new place: the dataset, and all that was made of it, stays."""

from __future__ import annotations

import shutil
import tarfile
import time
from typing import TYPE_CHECKING

import pytest

from extract.datasets import FormatOptions, add_dataset, check_unchanged, read_dataset, read_listing
from extract.datasets.contents import Contents, read_digests, write_contents
from featurestore import ConflictError, InputError, Lake
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path


def moved(folder: Path, to: Path) -> Path:
    return folder.rename(to)


def test_a_folder_that_moved_is_found_by_what_the_lake_knows_of_it(lake: Lake, tmp_path: Path) -> None:
    """Neither role nor options are said again; benchmarks and group stay, and nothing joins the default one."""
    images = write_images(tmp_path / "images", {"class_2": 3, "class_10": 3})
    options = FormatOptions(label_order="natural", per_class=2, seed=1)
    before = add_dataset(lake, "train", images, role="fit", benchmark="mine", options=options)
    samples = lake.partitions("samples")
    said: list[str] = []
    row = add_dataset(lake, "train", moved(images, tmp_path / "new"), say=said.append)
    assert said == [f"train: its images are read from {tmp_path}/new from now on, and no more from {images}"]
    assert row == read_dataset(lake, "train")
    assert (row.digest, row.benchmarks, row.format) == (before.digest, ("mine",), before.format)
    assert row.location == str(tmp_path / "new")
    assert lake.partitions("samples") == samples
    listing = read_listing(lake, "train")
    check_unchanged(row, listing)
    with row.reader.open(listing.paths[0]) as file:
        assert file.read()
    said.clear()
    assert add_dataset(lake, "train", tmp_path / "new", options=options, say=said.append) == row
    assert not [line for line in said if "from now on" in line]


def test_a_group_and_a_tar_move_too(lake: Lake, tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", {"dog": 3, "elk": 3})
    with tarfile.open(tmp_path / "far.tar", "w") as tar:
        tar.add(images, "far")
    add_dataset(lake, "far", tmp_path / "far.tar", role="ood", group="far")
    row = add_dataset(lake, "far", moved(tmp_path / "far.tar", tmp_path / "moved.tar"))
    assert (row.ood_group, row.location) == ("far", str(tmp_path / "moved.tar"))
    check_unchanged(row, read_listing(lake, "far"))


def test_a_list_that_moved_with_its_images_is_read_beside_them(lake: Lake, tmp_path: Path) -> None:
    """Also where those in the old place are still there."""
    images = write_images(tmp_path / "old" / "images", {"dog": 2, "elk": 2})
    (tmp_path / "old" / "lists").mkdir()
    lines = ["path,class", *(f"{path.relative_to(images)},x" for path in sorted(images.rglob("*.png")))]
    (tmp_path / "old" / "lists" / "far.csv").write_text("\n".join(lines) + "\n")
    before = add_dataset(lake, "far", tmp_path / "old" / "lists" / "far.csv", role="ood")
    assert before.origin.options.root
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    row = add_dataset(lake, "far", tmp_path / "new" / "lists" / "far.csv")
    assert row.digest == before.digest
    assert row.origin.options.root == tmp_path / "new" / "images"
    check_unchanged(row, read_listing(lake, "far"))


def test_other_images_in_the_new_place_are_another_dataset(lake: Lake, tmp_path: Path) -> None:
    images = write_images(tmp_path / "images", {"dog": 3})
    row = add_dataset(lake, "far", images, role="ood")
    with pytest.raises(ConflictError, match=r"1 added \(first: dog/003.png\)"):
        add_dataset(lake, "far", write_images(tmp_path / "other", {"dog": 4}))
    with pytest.raises(ConflictError, match="role 'ood'"):
        add_dataset(lake, "far", moved(images, tmp_path / "new"), role="id")
    assert read_dataset(lake, "far") == row


def test_what_is_asked_for_beside_the_place_counts(lake: Lake, tmp_path: Path) -> None:
    """Fewer images per class are another dataset, although those that the lake has lie there."""
    images = write_images(tmp_path / "images", {"dog": 3, "elk": 3})
    add_dataset(lake, "far", images, role="ood", options=FormatOptions(per_class=2))
    with pytest.raises(ConflictError, match="2 removed"):
        add_dataset(lake, "far", moved(images, tmp_path / "new"), options=FormatOptions(per_class=1))


def test_other_bytes_of_equal_size_in_the_new_place_are_noticed(lake: Lake, tmp_path: Path) -> None:
    """Files that were written there since the others were read are read, and compared with the lake's digests."""
    images = write_images(tmp_path / "images", {"dog": 3})
    row = add_dataset(lake, "far", images, role="ood")
    paths = read_listing(lake, "far").paths
    write_contents(lake, "far", row.digest, Contents(read_digests(row.reader, paths), time.time_ns()))
    shutil.copytree(images, tmp_path / "new", copy_function=shutil.copyfile)
    data = bytearray((tmp_path / "new" / "dog" / "001.png").read_bytes())
    data[-20] ^= 1
    (tmp_path / "new" / "dog" / "001.png").write_bytes(data)
    with pytest.raises(ConflictError, match=r"1 images of dataset 'far' have other bytes .*dog/001.png"):
        add_dataset(lake, "far", tmp_path / "new")
    assert read_dataset(lake, "far") == row
    shutil.copyfile(images / "dog" / "001.png", tmp_path / "new" / "dog" / "001.png")
    assert add_dataset(lake, "far", tmp_path / "new").location == str(tmp_path / "new")


def test_a_new_dataset_needs_a_role(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Say with --role what far is for: fit, id, ood, val, csid"):
        add_dataset(lake, "far", write_images(tmp_path / "images", {"dog": 3}))
    assert not lake.storage.exists() or not lake.partitions("datasets")
