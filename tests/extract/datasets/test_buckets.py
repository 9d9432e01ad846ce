"""Datasets at URLs, here of `file://`, which goes the way of every store: the same listings as of folders, and the same images."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

from extract.datasets import (
    FormatOptions,
    Origin,
    add_dataset,
    check_unchanged,
    open_reader,
    read_dataset,
    read_listing,
)
from extract.datasets.buckets.tars import BucketTar
from extract.images.loader import ImageDataset, image_batches
from featurestore import ConflictError, InputError, Lake
from tests.extract.conftest import read, run, tiny_spec
from tests.extract.datasets.formats.test_tar import pack
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from PIL import Image

    from tests.pipeline import Commands


@pytest.fixture
def url(images: Path) -> str:
    (images / ".hidden").mkdir()
    (images / ".hidden" / "1.png").write_bytes(b"")
    (images / "notes.txt").write_text("no image")
    return f"file://{images}"


def test_a_folder_in_a_bucket_is_the_folder(lake: Lake, images: Path, url: str) -> None:
    """Hidden objects are left out, others that are no images are counted."""
    lines: list[str] = []
    add_dataset(lake, "here", images, role="ood")
    row = add_dataset(lake, "there", f"{url}/", role="id", say=lines.append)
    assert lines == [f"{url}: 15 images; 1 file passed over: 1 .txt"]
    here, there = read_listing(lake, "here"), read_listing(lake, "there")
    assert (there.paths, there.bytes, there.class_names) == (here.paths, here.bytes, here.class_names)
    assert (row.location, row.format) == (url, "folder")
    check_unchanged(row, there)
    (images / "ant" / "000.png").write_bytes(b"other")
    with pytest.raises(ConflictError, match=r"1 resized \(first: ant/000\.png\)"):
        check_unchanged(row, there)


@pytest.mark.long
def test_images_in_a_bucket_are_extracted_to_the_same_numbers_and_fail_alone(
    lake: Lake, images: Path, url: str, checkpoint: Path
) -> None:
    """Each process reads many objects at a time; one that is gone is a row of failures, as a file is."""
    add_dataset(lake, "here", images, role="id", benchmark="here")
    add_dataset(lake, "there", url, role="id", benchmark="there")
    run(lake, tiny_spec(checkpoint), datasets=("here", "there"))
    for ours, theirs in zip(read(lake, dataset="there"), read(lake, dataset="here"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    reader, names = read_dataset(lake, "there").reader, ["ant/001.png", "gone.png", "bee/000.png"]
    dataset = ImageDataset(reader, names, {"": to_tensor})
    (batch,) = image_batches(dataset, [range(3)], workers=1, pin=False)
    assert batch.only.samples == [0, 2]
    assert batch.only.errors == [(1, "FileNotFoundError: No such object")]
    assert pickle.loads(pickle.dumps(dataset.start_method)) == "spawn"


def to_tensor(image: Image.Image) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())


@pytest.mark.parametrize("inside", [True, False])
def test_lists_there_or_here_name_images_there(
    lake: Lake, tmp_path: Path, images: Path, url: str, *, inside: bool
) -> None:
    """Relative to the list, or to --root."""
    folder = images if inside else tmp_path
    (folder / "list.csv").write_text("path;class\nant\\001.png;ant\nbee/000.png;bee\n")
    (folder / "list.txt").write_text("ant/001.png 1\nbee/000.png 0\n")
    location = url if inside else str(tmp_path)
    options = FormatOptions(root=None if inside else url)
    lines: list[str] = []
    csv = add_dataset(lake, "csv", f"{location}/list.csv", role="id", benchmark="a", options=options, say=lines.append)
    assert len([line for line in lines if "separated by semicolon" in line or "Windows" in line]) == 2
    txt = add_dataset(lake, "txt", f"{location}/list.txt", role="id", benchmark="b", options=options)
    assert txt.origin.format == "imglist"
    assert read_listing(lake, "csv").labels == [0, 1]
    assert read_listing(lake, "txt").labels == [1, 0]
    for row in (csv, txt):
        check_unchanged(row, read_listing(lake, row.dataset))
        assert row.origin.options.root == options.root
        with row.reader.open("ant/001.png") as image:
            assert image.read() == (images / "ant" / "001.png").read_bytes()
    (images / "bee" / "000.png").unlink()
    with pytest.raises(
        InputError, match=r"list\.txt lists 2 images, of which 1 are not in file://.* \(first: bee/000\.png\)"
    ):
        add_dataset(lake, "again", f"{location}/list.txt", role="id", benchmark="c", options=options)


def test_sizes_of_long_lists_come_from_few_answers(lake: Lake, tmp_path: Path) -> None:
    """A million questions would take hours."""
    images = write_images(tmp_path / "many", {"ant": 120, "bee": 120}, size=2)
    (images / "loose.png").write_bytes(b"loose")
    names = [path.relative_to(images).as_posix() for path in sorted(images.rglob("*.png"))]
    (images / "list.txt").write_text("".join(f"{name} -1\n" for name in names))
    add_dataset(lake, "many", f"file://{images}/list.txt", role="ood")
    assert list(read_listing(lake, "many").bytes) == [(images / name).stat().st_size for name in names]


def test_tars_in_a_bucket_are_read_by_ranges(lake: Lake, tmp_path: Path) -> None:
    """One, a folder of them, a range, and WebDataset's labels: what they hold is what tars here hold."""
    for number in range(3):
        members = {f"{number}/{name}.png": f"{number}{name}".encode() * 9 for name in ("é 1", "b@2+3")}
        labels = {f"{number}/{name}.cls": b"bee" if number else b"ant" for name in ("é 1", "b@2+3")}
        pack(tmp_path / "shards" / f"s-{number:02d}.tar", {**members, **labels, "notes.txt": b""})
    here = read_listing(lake, add_dataset(lake, "here", tmp_path / "shards", role="ood").dataset)
    url = f"file://{tmp_path}/shards"
    for name, location, rows in (
        ("folder", url, 6),
        ("one", f"{url}/s-01.tar", 2),
        ("range", f"{url}/s-{{00..01}}.tar::{url}/s-02.tar", 6),
    ):
        options = FormatOptions(label_order="natural")
        row = add_dataset(lake, name, location, role="id", format_="tar", benchmark=name, options=options)
        listing = read_listing(lake, name)
        assert len(listing) == rows
        if rows == 6:
            assert [path.rpartition("@")[0] for path in listing.paths] == list(here.paths)
            assert list(listing.class_names) == list(here.class_names)
        for path in listing.paths:
            with (
                row.reader.open(path) as image,
                open_reader(Origin("tar", str(tmp_path / "shards"))).open(path.rpartition("@")[0]) as expected,
            ):
                assert image.read() == expected.read()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                BucketTar, "members", property(lambda _: pytest.fail("a tar that did not change is not read again"))
            )
            check_unchanged(row, listing)
    with pytest.raises(InputError, match=r"names 5 files, of which 2 are not there: s-03\.tar, s-04\.tar"):
        add_dataset(lake, "more", f"{url}/s-{{00..04}}.tar", role="ood")
    (tmp_path / "shards" / "s-00.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(InputError, match="is not a whole, uncompressed tar file"):
        add_dataset(lake, "more", url, role="ood", format_="tar")
    with pytest.raises(InputError, match="There is no image below"):
        add_dataset(lake, "more", url, role="ood")


def test_what_does_not_lie_in_buckets_is_refused_in_words(fresh: Commands, images: Path, url: str) -> None:
    def refused(*arguments: object) -> str:
        return fresh.refused("dataset", "add", "d", *arguments)

    assert "lies outside a class folder" in refused(f"{url}/ant", "--role", "id")
    assert "There is nothing below" in refused(f"{url}/nowhere", "--role", "ood")
    assert "'ninco' does not read" in refused(url, "--role", "ood", "--format", "ninco")
    assert "Cannot read the list" in refused(f"{url}/none.csv", "--role", "ood")
    (images / "list.csv").write_text("path,class\nant/001.png,ant\n")
    assert "give the URL of the folder of images" in refused(f"{url}/list.csv", "--role", "ood", "--root", images)
    assert not fresh.location.exists()
