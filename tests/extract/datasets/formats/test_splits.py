"""Splits side by side are refused until one is chosen, in names of folders and of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extract.datasets import FormatOptions, Origin, add_dataset, check_unchanged, list_samples
from extract.datasets.dataset import read_listing
from extract.datasets.formats.splits import one_split, split_folders, splits_of_images
from featurestore import ConflictError, InputError, Lake
from tests.extract.datasets.formats.test_tar import pack
from tests.tiny import write_images

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.pipeline import Commands


@pytest.mark.parametrize(
    ("paths", "level", "names"),
    [
        (["train/ant/1", "val/ant/1"], 0, ("train", "val")),
        (["train/ant/1", "train/bee/1"], 0, ("train",)),
        (["data/Training/a/1", "data/test/a/1"], 1, ("Training", "test")),
        (["ant/train/1", "bee/test/1", "bee/train/2"], 1, ("test", "train")),
        (["train2017/a/1", "test_images/a/1"], 0, ("test_images", "train2017")),
        (["train/a/1", "test/a/1", "extra/a/1"], 0, ("extra", "test", "train")),
        (["ant/train/1", "ant/val/1", "bee/train/1", "bee/extra/1"], 1, ("extra", "train", "val")),
        (["birds_train/a/1", "birds_val/a/1"], 0, ("birds_train", "birds_val")),
    ],
)
def test_folders_called_as_splits_are(paths: Sequence[str], level: int, names: Sequence[str]) -> None:
    found = split_folders(paths)
    assert found is not None
    assert (found.level, found.names) == (level, names)


@pytest.mark.parametrize(
    "paths",
    [
        ["train/1", "bus/1", "car/1"],
        ["ant/train/1", "bee/train/1"],
        ["freight train/1", "test pattern/1"],
        ["train/1", "2"],
        ["train/1", "training/1", "bus/1"],
        ["freight_train/1", "rorschach_test/1", "bus/1"],
        [],
    ],
)
def test_classes_that_are_called_so_among_others_are_classes(paths: Sequence[str]) -> None:
    assert split_folders(paths) is None


def test_folders_that_are_splits_are_refused_until_one_is_chosen(lake: Lake, tmp_path: Path) -> None:
    root = write_images(tmp_path / "set", {"train/ant": 2, "train/bee": 1, "validation/ant": 1, "validation/bee": 1})
    for role in ("id", "ood"):
        with pytest.raises(InputError, match=r"are splits \(train, validation\).*--split train"):
            add_dataset(lake, "val", root, role=role)
    said: list[str] = []
    row = add_dataset(lake, "val", root, role="id", options=FormatOptions(split="val"), say=said.append)
    listing = read_listing(lake, "val")
    assert list(listing.paths) == ["validation/ant/000.png", "validation/bee/000.png"]
    assert listing.label_of_class == {"ant": 0, "bee": 1}
    assert said == [f"{root}: 2 images; 3 files passed over: 3 images of other splits"]
    assert row.format == "folder?split=val"
    check_unchanged(row, listing)
    with pytest.raises(InputError, match=r"no one split 'test': --split is one of train, validation"):
        add_dataset(lake, "test", root, role="ood", options=FormatOptions(split="test"))
    with pytest.raises(InputError, match=r"are not splits.*leave --split out"):
        add_dataset(lake, "ants", root / "train", role="ood", options=FormatOptions(split="train"))


def test_images_that_are_called_after_splits_are_refused_until_one_is_chosen(lake: Lake, tmp_path: Path) -> None:
    for name in ("ant/train_0.png", "ant/test_0.png", "bee/train_1.png", "bee/test_1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"image")
    with pytest.raises(InputError, match=r"called after splits \(test, train\).*--split test"):
        add_dataset(lake, "val", tmp_path, role="id")
    row = add_dataset(lake, "val", tmp_path, role="id", options=FormatOptions(split="test"))
    listing = read_listing(lake, "val")
    assert list(listing.paths) == ["ant/test_0.png", "bee/test_1.png"]
    check_unchanged(row, listing)


@pytest.mark.parametrize(
    "names", [["val_1.png", "val_2.png"], ["train_1.png", "2.png"], ["train_1.png", "test_train_1.png"]]
)
def test_images_of_one_split_or_without_are_one_dataset(names: Sequence[str]) -> None:
    assert splits_of_images(names) is None


def test_folders_inside_of_class_folders_are_said(lake: Lake, tmp_path: Path) -> None:
    said: list[str] = []
    root = write_images(tmp_path / "set", {"animals/ant": 1, "animals/bee": 1, "plants/oak": 1})
    add_dataset(lake, "val", root, role="id", say=said.append)
    assert said == [
        f"{root}: its first folders are the classes (2: animals, plants); the 3 folders inside of these are not (first: animals/ant)"
    ]
    add_dataset(
        lake,
        "alike",
        write_images(tmp_path / "b", {"a/images": 1, "c/images": 1}),
        role="id",
        benchmark="b",
        say=said.append,
    )
    add_dataset(lake, "far", write_images(tmp_path / "c", {"a/x": 1, "a/y": 1}), role="ood", say=said.append)
    assert len(said) == 1


def test_splits_inside_class_folders_keep_the_classes_above(tmp_path: Path) -> None:
    root = write_images(tmp_path, {"ant/train": 1, "ant/test": 1, "bee/train": 1})
    listing = list_samples(Origin("folder", str(root), FormatOptions(split="train")), "id")
    assert (list(listing.paths), list(listing.labels)) == (["ant/train/000.png", "bee/train/000.png"], [0, 1])


def test_a_dataset_of_mixed_splits_that_a_lake_holds_is_read_as_before(lake: Lake, tmp_path: Path) -> None:
    """It was added when nobody asked."""
    root = write_images(tmp_path / "far", {"ant": 1, "bee": 1, "cat": 1})
    row = add_dataset(lake, "far", root, role="ood")
    listing = read_listing(lake, "far")
    for name, now in (("ant", "train"), ("bee", "test")):
        (root / name).rename(root / now)
    with pytest.raises(InputError, match="are splits"):
        list_samples(row.origin, "ood")
    with pytest.raises(ConflictError, match=r"2 added .*2 removed"):
        check_unchanged(row, listing)


FILES = ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet"]


@pytest.mark.parametrize(
    ("names", "split", "chosen"),
    [
        (FILES, "train", FILES[:2]),
        (["imagenet1k-train-0000.tar", "imagenet1k-validation-00.tar"], "val", ["imagenet1k-validation-00.tar"]),
        (["train/0.tar", "val/0.tar"], "val", ["val/0.tar"]),
        (["x/train/0000.parquet", "x/unsupervised-00000-of-00001.parquet"], "unsupervised", ["x/unsupervised-00000-of-00001.parquet"]),
    ],
)  # fmt: skip
def test_files_of_several_splits_are_refused_until_one_is_chosen(
    names: Sequence[str], split: str, chosen: Sequence[str]
) -> None:
    with pytest.raises(InputError, match=r"several splits .*choose one with --split"):
        one_split("set", names, None)
    assert one_split("set", names, split) == chosen
    assert one_split("set", names, None, adding=False) == names
    assert one_split("{train,val}.tar", names, None) == names
    with pytest.raises(InputError, match="no one split 'extra'"):
        one_split("set", names, "extra")


@pytest.mark.parametrize(
    "names", [["a-0.tar", "a-1.tar"], ["train-0.tar", "train-1.tar"], ["train-test-0.tar", "a.tar"]]
)
def test_files_of_one_split_or_none_are_one_dataset(names: Sequence[str]) -> None:
    assert one_split("set", names, None) == names


def test_shards_and_folders_inside_of_a_tar(fresh: Commands, tmp_path: Path) -> None:
    for name in ("train-0", "train-1", "val-0"):
        pack(tmp_path / "shards" / f"{name}.tar", {"ant/1.png": b"1", "bee/1.png": b"2"})
    outcome = fresh("dataset", "add", "val", tmp_path / "shards", "--role", "id")
    assert (outcome.code, "several splits (train, val)" in outcome.err) == (1, True)
    said = fresh.ok("dataset", "add", "val", tmp_path / "shards", "--role", "id", "--split", "val")
    assert "2 images; 2 files passed over: 2 files of other splits" in said
    flat = pack(tmp_path / "flat.tar", {"set/train/1.png": b"1", "set/test/1.png": b"2"})
    outcome = fresh("dataset", "add", "flat", flat, "--role", "ood")
    assert "holds the splits test, train" in outcome.err
    fresh.ok("dataset", "add", "flat", flat, "--role", "ood", "--inside", "set/test")
    outcome = fresh("dataset", "add", "other", flat, "--role", "ood", "--split", "test")
    assert "--inside names the folder of a split" in outcome.err


def test_a_list_whose_column_names_splits(lake: Lake, tmp_path: Path) -> None:
    write_images(tmp_path, {"a": 3})
    file = tmp_path / "a.csv"
    file.write_text("path,label,split\na/000.png,ant,train\na/001.png,ant,Test\na/002.png,bee,train\n")
    with pytest.raises(InputError, match=r"column 'split' of .* several splits \(Test, train\).*--split Test"):
        add_dataset(lake, "val", file, role="id")
    said: list[str] = []
    row = add_dataset(lake, "val", file, role="id", options=FormatOptions(split="train"), say=said.append)
    assert list(read_listing(lake, "val").paths) == ["a/000.png", "a/002.png"]
    assert f"{file}: 1 lines of other splits passed over" in said
    file.touch()
    check_unchanged(row, read_listing(lake, "val"))
    with pytest.raises(InputError, match="no one split 'val'"):
        add_dataset(lake, "other", file, role="ood", options=FormatOptions(split="val"))
    file.write_text("path,label,fold\na/000.png,ant,1\na/001.png,ant,2\n")
    assert len(list_samples(Origin("csv", str(file)), "id")) == 2
    with pytest.raises(InputError, match="has no column for the split"):
        list_samples(Origin("csv", str(write_list(tmp_path)), FormatOptions(split="val")), "ood")


def write_list(root: Path) -> Path:
    (root / "b.csv").write_text("path,label\na/000.png,ant\n")
    return root / "b.csv"
