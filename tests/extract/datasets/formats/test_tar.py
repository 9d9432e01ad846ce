"""Tar files and shards: read where they lie, by any process, and the same images as the folder that was packed."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

from extract.datasets import FormatOptions, Origin, add_dataset, check_unchanged, list_samples, open_reader
from extract.datasets.dataset import read_listing
from featurestore import ConflictError, InputError, Lake
from tests.extract.conftest import run, tiny_spec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extract.datasets import Listing, Reader


def pack(file: Path, members: Mapping[str, bytes], format_: int = tarfile.PAX_FORMAT) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w", format=format_) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file


def listed(location: Path | str, role: str = "id", **options: Any) -> Listing:
    return list_samples(Origin("tar", str(location), FormatOptions(**options)), role)


def read_all(reader: Reader, paths: list[str]) -> list[bytes]:
    contents = []
    for path in paths:
        with reader.open(path) as image:
            contents.append(image.read())
    return contents


FOLDERS = {"set/bee/1.png": b"one", "set/ant/é 2.JPEG": b"two two", "set/ant/3.png": b"", "set/notes.txt": b"no image"}


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_tar_has_the_classes_of_its_folders_in_the_archive_s_order(tmp_path: Path, format_: int) -> None:
    """Also with names of more than 100 characters, which tar keeps apart."""
    members = {**FOLDERS, f"set/ant/{'long' * 40}.png": b"long"}
    location = pack(tmp_path / "a.tar", members, format_)
    listing = listed(location)
    images = [name for name in members if not name.endswith(".txt")]
    assert list(listing.paths) == images
    assert list(listing.bytes) == [len(members[name]) for name in images]
    assert listing.label_of_class == {"ant": 0, "bee": 1}
    reader = open_reader(Origin("tar", str(location)))
    assert read_all(reader, images) == [members[name] for name in images]


@pytest.mark.long
def test_shards_are_one_dataset_and_the_reader_works_in_new_processes(tmp_path: Path) -> None:
    contents = {"x/0.tar": {"ant/1.png": b"a"}, "x/1.tar": {"bee/1.png": b"bb"}, "1.tar": {"./ant/1.png": b"ccc"}}
    for name, members in contents.items():
        pack(tmp_path / "shards" / name, members)
    expected = ["1.tar/ant/1.png", "x/0.tar/ant/1.png", "x/1.tar/bee/1.png"]
    listing = listed(tmp_path / "shards")
    assert list(listing.paths) == expected
    reader = pickle.loads(pickle.dumps(open_reader(Origin("tar", str(tmp_path / "shards")))))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(read_all, reader, expected).result() == [b"ccc", b"a", b"bb"]
    glob = str(tmp_path / "shards" / "x" / "*.tar")
    assert list(listed(glob).paths) == ["0.tar/ant/1.png", "1.tar/bee/1.png"]
    assert read_all(open_reader(Origin("tar", glob)), ["1.tar/bee/1.png"]) == [b"bb"]


def test_folders_in_folders_need_a_word_which_holds_the_classes(tmp_path: Path) -> None:
    """Else training and test images could become one dataset, or the splits its classes."""
    members = {"set/train/ant/1.png": b"1", "set/train/bee/1.png": b"2", "set/test/ant/1.png": b"3"}
    location = pack(tmp_path / "a.tar", members)
    with pytest.raises(InputError, match="such as set/test/ant: say which one holds the class folders with --inside"):
        listed(location)
    assert listed(location, inside="set/train/").label_of_class == {"ant": 0, "bee": 1}
    assert list(listed(location, inside="set/test").paths) == ["set/test/ant/1.png"]
    with pytest.raises(InputError, match="no image in the folder 'set/val'"):
        listed(location, inside="set/val")


def test_images_of_one_folder_are_one_class_and_images_in_none_only_ood(tmp_path: Path) -> None:
    assert set(listed(pack(tmp_path / "one.tar", {"a/b/ant/1.png": b"", "a/b/ant/2.png": b""})).class_names) == {"ant"}
    flat = pack(tmp_path / "noise.tar", {"1.png": b"", "._1.png": b"hidden"})
    assert list(listed(flat, "ood").class_names) == ["noise"]
    with pytest.raises(InputError, match="outside a class folder"):
        listed(flat)


def test_a_cls_member_is_the_label_and_a_json_member_names_it(tmp_path: Path) -> None:
    numbers = pack(tmp_path / "n.tar", {"0.jpg": b"", "0.cls": b"10\n", "1.seg.jpg": b"", "1.cls": b"2"})
    assert list(listed(numbers, label_kind="index").labels) == [10, 2]
    described = {f"{n}.json": json.dumps({"label": n + 5, "class_name": f"c{n}"}).encode() for n in range(2)}
    both = pack(tmp_path / "j.tar", {"0.jpg": b"", "1.jpg": b"", **described})
    assert listed(both).label_of_class == {"c0": 5, "c1": 6}
    names = pack(tmp_path / "t.tar", {"0.jpg": b"", "0.cls": b"bee", "1.jpg": b"", "1.cls": b"ant"})
    assert listed(names).label_of_class == {"ant": 0, "bee": 1}
    captions = pack(tmp_path / "c.tar", {"ant/0.jpg": b"", "ant/0.json": b'{"caption": "an ant"}'})
    assert set(listed(captions).class_names) == {"ant"}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"0.jpg": b"", "0.cls": b"1", "1.jpg": b""}, "1 of 2 images in .* have no class"),
        ({"0.jpg": b"", "0.json": b"{"}, "is not JSON"),
        ({"0.jpg": b"", "0.cls": b"\xff"}, "is not text"),
        ({"0.jpg": b"", "0.cls": b"-1"}, "the label -1"),
        ({"notes.txt": b""}, "There is no image"),
        (
            {f"{n}.{suffix}": text for n in (0, 1) for suffix, text in {"jpg": b"", "json": b'{"label": %d, "wnid": "n"}' % n}.items()},
            "gives class 'n' of 0.jpg the label 0, but .* this class 1",
        ),
        ({"0.jpg": b"", "0.cls": b"0", "0.json": b'{"label": 1}'}, "the labels 1 .label. and 0 ..cls.: it must be one"),
        ({"0.jpg": b"", "0.json": b'{"label": "1", "cls": 0}'}, "the labels 1 .label. and 0 .cls.: it must be one"),
        ({"0.jpg": b"", "0.cls": b" "}, "images whose class is empty"),
        ({"0.jpg": b"", "0.cls": b"ant", "1.jpg": b"", "1.json": b'{"label": 3, "wnid": "bee"}'}, "'ant' of 0.jpg the label None"),
    ],
)  # fmt: skip
def test_members_that_contradict_each_other_are_refused(
    tmp_path: Path, members: dict[str, bytes], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        listed(pack(tmp_path / "a.tar", members))


def test_an_image_that_is_packed_twice_or_is_a_link_is_refused(tmp_path: Path) -> None:
    """Tar appends a newer version of a file, and only its last reader knows; a hard link is the image that it names."""
    twice = pack(tmp_path / "twice.tar", {"ant/1.png": b"old"})
    with tarfile.open(twice, "a") as tar:
        tar.addfile(tarfile.TarInfo("ant/1.png"))
    with pytest.raises(InputError, match=r"holds ant/1\.png more than once"):
        listed(twice)
    linked = pack(tmp_path / "linked.tar", {"ant/1.png": b"same"})
    hard = tarfile.TarInfo("ant/2.png")
    hard.type, hard.linkname = tarfile.LNKTYPE, "ant/1.png"
    with tarfile.open(linked, "a") as tar:
        tar.addfile(hard)
    assert list(listed(linked).bytes) == [4, 4]
    assert read_all(open_reader(Origin("tar", str(linked))), ["ant/2.png"]) == [b"same"]
    hard.name, hard.type = "ant/3.png", tarfile.SYMTYPE
    with tarfile.open(linked, "a") as tar:
        tar.addfile(hard)
    with pytest.raises(InputError, match=r"ant/3\.png in .* is a link"):
        listed(linked)


def test_what_is_no_whole_tar_is_refused(tmp_path: Path) -> None:
    whole = pack(tmp_path / "whole.tar", {"ant/1.png": b"x" * 5_000})
    (tmp_path / "cut.tar").write_bytes(whole.read_bytes()[:3_000])
    with tarfile.open(tmp_path / "packed.tar", "w:gz") as tar:
        tar.add(whole, "ant/1.png")
    (tmp_path / "text.tar").write_text("no tar")
    for name in ("cut.tar", "packed.tar", "text.tar"):
        with pytest.raises(InputError, match=f"{name} is not a whole, uncompressed tar file"):
            listed(tmp_path / name)
    with pytest.raises(InputError, match=r"There is no file .*none"):
        listed(tmp_path / "none")


def test_a_job_reads_a_tar_as_it_reads_the_folder(lake: Lake, images: Path, checkpoint: Path, tmp_path: Path) -> None:
    """Labels, features and failures are the same, with workers and without."""
    (images / "ant" / "001.png").write_bytes(b"broken")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for path in sorted(images.rglob("*.png")):
            tar.add(path, path.relative_to(images))
    add_dataset(lake, "folder", images, role="id", benchmark="a")
    add_dataset(lake, "tar", tmp_path / "a.tar", role="id", format_="tar", benchmark="b")
    rows, failures = [], []
    for name, workers in (("folder", 0), ("tar", 2)):
        run(lake, tiny_spec(checkpoint), datasets=[name], workers=workers)
        rows.append(lake.read("activations", model="tiny", dataset=name))
        failures.append(lake.read("failures", model="tiny", dataset=name).to_pylist())
    assert rows[0].num_rows == 14
    assert rows[0].equals(rows[1])
    assert failures[0] == failures[1]


def test_a_tar_is_read_again_only_if_it_was_touched(lake: Lake, tmp_path: Path) -> None:
    location = pack(tmp_path / "a.tar", FOLDERS)
    row = add_dataset(lake, "val", location, role="id", format_="tar")
    listing = read_listing(lake, "val")
    check_unchanged(row, listing)
    pack(location, FOLDERS)
    check_unchanged(row, listing)
    pack(location, {**FOLDERS, "set/bee/1.png": b"another"})
    with pytest.raises(ConflictError, match="1 resized"):
        check_unchanged(row, listing)
    location.unlink()
    with pytest.raises(InputError, match="There is no file"):
        check_unchanged(row, listing)
