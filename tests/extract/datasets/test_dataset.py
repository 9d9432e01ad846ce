"""Datasets: listed in one order, labelled once, and watched for changes."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.lineage.benchmark import read_benchmarks
from extract.datasets import FormatOptions, Origin, add_dataset, check_unchanged, formats, list_samples, read_dataset
from extract.datasets.dataset import read_listing
from extract.datasets.listing import Listing, changes
from featurestore import ConflictError, FormatError, InputError, Lake, MissingError
from tests.tiny import write_images


def test_samples_are_ordered_by_path_and_labelled_by_class_in_lexical_order(images: Path) -> None:
    listing = list_samples(Origin("folder", str(images)), "id")
    assert list(listing.paths) == sorted(listing.paths)
    assert listing.label_of_class == {"ant": 0, "bee": 1, "cat": 2}
    assert list(listing.bytes) == [(images / path).stat().st_size for path in listing.paths]
    assert len(listing) == 15


def test_ood_samples_have_a_class_name_but_no_label(images: Path) -> None:
    listing = list_samples(Origin("folder", str(images)), "ood")
    assert set(listing.labels) == {None}
    assert set(listing.class_names) == {"ant", "bee", "cat"}


def test_a_flat_folder_is_one_ood_class_but_no_id_dataset(tmp_path: Path) -> None:
    flat = write_images(tmp_path, {"textures": 3}) / "textures"
    assert set(list_samples(Origin("folder", str(flat)), "ood").class_names) == {"textures"}
    with pytest.raises(InputError, match="outside a class folder"):
        list_samples(Origin("folder", str(flat)), "id")


def test_nested_folders_belong_to_their_first_folder_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    root = write_images(tmp_path / "root", {"bird/small": 2, "bird/large": 1, ".hidden": 1})
    (root / "bird" / ".thumbnail.png").write_bytes(b"")
    (root / "bird" / "notes.txt").write_text("no image")
    listing = list_samples(Origin("folder", str(root)), "id")
    assert list(listing.paths) == ["bird/large/000.png", "bird/small/000.png", "bird/small/001.png"]
    assert set(listing.class_names) == {"bird"}


def test_a_labels_file_overrides_lexical_order(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("class_name,label\ncat,0\nbee,7\nant,3\n")
    listing = list_samples(Origin("folder", str(images), FormatOptions(labels=file)), "id")
    assert listing.label_of_class == {"ant": 3, "bee": 7, "cat": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class_name,label\ncat,0\n", r"labels\.csv"),
        ("a\nb\n", r"labels\.csv"),
        ("class_name,label\nant,zero\nbee,1\ncat,2\n", r"labels\.csv.*class_name,label"),
        ("class_name,label\nant,1.5\nbee,1\ncat,2\n", r"labels\.csv.*class_name,label"),
        ("class_name,label\nant,-1\nbee,1\ncat,2\n", "the label -1"),
        (f"class_name,label\nant,{'9' * 20}\nbee,1\ncat,2\n", "the label 9999"),
    ],
)
def test_a_broken_labels_file_is_refused(lake: Lake, images: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        add_dataset(lake, "val", images, role="id", options=FormatOptions(labels=tmp_path / "labels.csv"))
    assert not lake.storage.exists()


def test_what_was_added_is_read_back(lake: Lake, images: Path) -> None:
    row = add_dataset(lake, "val", images, role="id")
    assert read_dataset(lake, "val") == row
    assert (row.samples, row.classes, row.benchmarks) == (15, 3, ("main",))
    assert read_listing(lake, "val").digest == list_samples(Origin("folder", str(images)), "id").digest == row.digest


def test_adding_again_is_harmless_and_may_join_another_benchmark(lake: Lake, images: Path) -> None:
    add_dataset(lake, "far", images, role="ood")
    before = lake.partitions("datasets")
    add_dataset(lake, "far", images, role="ood")
    assert lake.partitions("datasets") == before
    add_dataset(lake, "far", images, role="ood", benchmark="second")
    assert read_dataset(lake, "far").benchmarks == ("main", "second")


def test_another_content_or_role_under_the_same_name_is_refused_until_replaced(lake: Lake, images: Path) -> None:
    add_dataset(lake, "far", images, role="ood")
    with pytest.raises(ConflictError, match="role 'ood'"):
        add_dataset(lake, "far", images, role="id")
    (images / "ant" / "new.png").write_bytes((images / "ant" / "000.png").read_bytes())
    with pytest.raises(ConflictError, match=r"1 added \(first: ant/new.png\)"):
        add_dataset(lake, "far", images, role="ood")
    assert add_dataset(lake, "far", images, role="ood", replacing=True).samples == 16


def test_a_benchmark_has_one_fit_dataset(lake: Lake, images: Path) -> None:
    add_dataset(lake, "train", images, role="fit")
    with pytest.raises(InputError, match="already has the fit dataset 'train'"):
        add_dataset(lake, "more", images, role="fit")
    add_dataset(lake, "more", images, role="fit", benchmark="other")


def test_a_class_has_one_label_within_a_benchmark(lake: Lake, images: Path, tmp_path: Path) -> None:
    """An ID test folder without one of the classes would shift all labels after it."""
    add_dataset(lake, "train", images, role="fit")
    partial = write_images(tmp_path / "partial", {"ant": 1, "cat": 1})
    with pytest.raises(InputError, match="Class 'cat' would get label 1"):
        add_dataset(lake, "val", partial, role="id")
    labels = tmp_path / "labels.csv"
    labels.write_text("class_name,label\nant,0\ncat,2\n")
    assert add_dataset(lake, "val", partial, role="id", options=FormatOptions(labels=labels)).samples == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a/b"}, "'a-b'"),
        ({"role": "odd"}, "did you mean 'ood'"),
        ({"benchmark": "My bench"}, "'my-bench'"),
        ({"format_": "foldr"}, "did you mean 'folder'"),
    ],
)
def test_unusable_names_are_refused_with_a_suggestion_and_nothing_is_written(
    lake: Lake, images: Path, arguments: dict[str, str], message: str
) -> None:
    with pytest.raises((InputError, MissingError), match=message):
        add_dataset(lake, **{"name": "val", "location": images, "role": "id", **arguments})  # type: ignore[arg-type]
    assert not lake.storage.exists()


def test_a_missing_an_empty_and_a_file_location_are_refused(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, message in {"nowhere": "no folder", "empty": "no image", "file": "is a file"}.items():
        with pytest.raises(InputError, match=message):
            add_dataset(lake, "val", tmp_path / name, role="id")
    assert not lake.storage.exists()


def test_changed_files_are_noticed_in_words(lake: Lake, images: Path) -> None:
    row = add_dataset(lake, "val", images, role="id")
    listing = read_listing(lake, "val")
    check_unchanged(row, listing)
    (images / "bee" / "005.png").unlink()
    (images / "cat" / "000.png").write_bytes(b"shorter")
    (images / "ant" / "000.png").rename(images / "bee" / "000b.png")
    with pytest.raises(ConflictError, match=r"1 added .*2 removed .*1 resized \(first: cat/000.png\)"):
        check_unchanged(row, listing)


def test_relabelled_and_reordered_samples_are_told_apart() -> None:
    before = Listing(["a", "b"], [1, 1], [0, 1], ["x", "y"])
    assert "relabelled (first: b)" in changes(before, Listing(["a", "b"], [1, 1], [0, 2], ["x", "y"]))
    assert changes(before, Listing(["b", "a"], [1, 1], [1, 0], ["y", "x"])) == "their order"
    assert changes(before, before) == ""


def test_the_digest_depends_on_paths_sizes_labels_and_order() -> None:
    base = Listing(["a", "b"], [1, 1], [0, 1], ["x", "y"])
    others = [
        Listing(["a", "c"], [1, 1], [0, 1], ["x", "y"]),
        Listing(["a", "b"], [1, 2], [0, 1], ["x", "y"]),
        Listing(["a", "b"], [1, 1], [0, 0], ["x", "y"]),
        Listing(["b", "a"], [1, 1], [1, 0], ["y", "x"]),
    ]
    assert len({listing.digest for listing in (base, *others)}) == 5


def test_the_digest_is_that_of_rows_hashed_one_by_one() -> None:
    """Digests of earlier versions stay what they were; also past the rows that are hashed at once."""
    rows = [(f"é/{n}.png", n, None if n % 3 else n, "a\tb") for n in range(100_003)]
    digest = hashlib.sha256()
    for row in rows:
        digest.update("\0".join(map(str, row)).encode() + b"\n")
    assert Listing(*map(list, zip(*rows, strict=True))).digest == digest.hexdigest()  # type: ignore[arg-type]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
PATHS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).map(Path)


@given(
    st.builds(
        FormatOptions,
        labels=st.none() | PATHS,
        root=st.none() | PATHS,
        inside=st.none() | TEXTS,
        per_class=st.none() | st.integers(),
        stamp=st.none() | TEXTS,
    )
)
def test_what_the_lake_keeps_of_a_source_gives_the_source_back(options: FormatOptions) -> None:
    source = Origin("tar", "/data/a.tar", options)
    assert Origin.parse(source.text, source.location) == source


def test_every_format_is_found_by_its_name_and_takes_options_that_there_are() -> None:
    assert sorted(formats()) == ["csv", "folder", "hf", "imagenet-val", "imglist", "ninco", "parquet", "tar"]
    for name, format_ in formats().items():
        assert format_.name == name
        assert format_.takes <= set(FormatOptions.__dataclass_fields__)


def test_an_option_of_another_format_is_refused_with_that_format(lake: Lake, images: Path) -> None:
    """What would be passed over in silence would be believed."""
    with pytest.raises(InputError, match="'folder' takes no --label-column: that is for --format csv or hf or parquet"):
        add_dataset(lake, "val", images, role="id", options=FormatOptions(label_column="fine"))
    assert not lake.storage.exists()


def test_a_format_or_an_option_that_this_version_does_not_know_is_a_sentence(images: Path) -> None:
    with pytest.raises(MissingError, match="dataset format 'lmdb'"):
        list_samples(Origin.parse("lmdb?inside=a", str(images)), "id")
    with pytest.raises(FormatError, match="option 'shuffled-by'"):
        Origin.parse("tar?shuffled-by=3", "/data/a.tar")


def test_file_names_that_are_no_text_and_links_to_nothing_are_refused(images: Path) -> None:
    link = images / "ant" / "link.png"
    link.symlink_to("nothing.png")
    with pytest.raises(InputError, match=r"Cannot read .*link\.png: No such file"):
        list_samples(Origin("folder", str(images)), "id")
    link.unlink()
    Path(os.fsdecode(os.fsencode(images / "ant") + b"/\xff.png")).write_bytes(b"")
    with pytest.raises(InputError, match="is not UTF-8: rename the file"):
        list_samples(Origin("folder", str(images)), "id")


def test_an_ood_dataset_has_a_group_that_stays_until_another_is_said(lake: Lake, images: Path) -> None:
    """A lake from before there were groups is joined, and read beside rows that have one."""
    add_dataset(lake, "insects", images, role="ood", group="near")
    add_dataset(lake, "plain", images, role="ood")
    add_dataset(lake, "insects", images, role="ood", benchmark="other")
    assert lake.sql("select dataset, ood_group from datasets order by 1").fetchall() == [
        ("insects", "near"),
        ("plain", None),
    ]
    add_dataset(lake, "insects", images, role="ood", group="far")
    assert read_dataset(lake, "insects").ood_group == "far"
    with pytest.raises(InputError, match="--group near is for OOD datasets"):
        add_dataset(lake, "val", images, role="id", group="near")


def test_a_shifted_id_dataset_has_labels_and_takes_no_part_in_the_judging(val: Lake, images: Path) -> None:
    blurred = shutil.copytree(images, images.parent / "blurred")
    add_dataset(val, "blurred", blurred, role="csid")
    assert read_listing(val, "blurred").labels == read_listing(val, "val").labels
    (benchmark,) = read_benchmarks(val)
    assert (benchmark.id, benchmark.oods, benchmark.val) == ("val", (), None)


def test_an_image_has_one_role_in_a_benchmark(val: Lake, images: Path) -> None:
    """Also where a folder lies in the other; another benchmark or other images are fine."""
    for place, count in ((images, 15), (images / "ant", 5), (images.parent, 15)):
        with pytest.raises(InputError, match=rf"^{count} of these images are in dataset 'val' \(role id\)"):
            add_dataset(val, "far", place, role="ood")
    add_dataset(val, "far", images, role="ood", benchmark="other")
    write_images(images.parent / "images-2", {"ant": 1})
    add_dataset(val, "near", images.parent / "images-2", role="ood")
