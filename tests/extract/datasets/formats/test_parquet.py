"""Tables of images: Parquet files as Hugging Face writes them, and datasets of its library."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from extract.datasets import FormatOptions, Origin, add_dataset, check_unchanged, list_samples, open_reader
from extract.datasets.dataset import read_listing
from extract.datasets.formats import parquet
from featurestore import ConflictError, InputError, Lake

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from extract.datasets import Listing

NAMES = ["wasp", "bee", "ant"]  # not in lexical order, as on the hub
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(
    file: Path,
    images: Sequence[bytes | None],
    columns: dict[str, Sequence[Any]],
    names: Sequence[str] | None = None,
    image: str = "image",
) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = pa.array([{"bytes": content, "path": "same.jpg"} for content in images], IMAGE)
    table = pa.table({image: rows, **columns})
    if names:
        classes = {name: {"names": list(names), "_type": "ClassLabel"} for name in columns}
        features = {image: {"_type": "Image"}, **classes}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, file, row_group_size=2)
    return file


def listed(location: Path | str, role: str = "id", **options: Any) -> Listing:
    return list_samples(Origin("parquet", str(location), FormatOptions(**options)), role)


def content(location: Path | str, path: str) -> bytes:
    with open_reader(Origin("parquet", str(location))).open(path) as image:
        return image.read()


def test_rows_are_samples_with_the_library_s_labels_and_their_own_bytes(tmp_path: Path) -> None:
    """Over files and row groups; the path in the image's struct need not be unique."""
    images = [bytes([65 + number]) * (number + 1) for number in range(8)]
    write(tmp_path / "train-00000-of-00002.parquet", images[:5], {"label": [0, 1, 2, 2, 0]}, NAMES)
    write(tmp_path / "train-00001-of-00002.parquet", images[5:], {"label": [1, 1, 0]}, NAMES)
    listing = listed(tmp_path)
    assert list(listing.labels) == [0, 1, 2, 2, 0, 1, 1, 0]
    assert listing.label_of_class == {"wasp": 0, "bee": 1, "ant": 2}
    assert list(listing.bytes) == [len(image) for image in images]
    assert listing.paths[4:6] == ["train-00000-of-00002.parquet#4", "train-00001-of-00002.parquet#0"]
    assert [content(tmp_path, path) for path in listing.paths] == images
    assert [content(tmp_path, path) for path in reversed(listing.paths)] == images[::-1]


TYPES = {
    "large": pa.large_binary(),
    "view": pa.binary_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.binary()),
    "struct of large": pa.struct([("bytes", pa.large_binary()), ("path", pa.large_string())]),
    "struct of views": pa.struct([("bytes", pa.binary_view()), ("path", pa.string_view())]),
}


@pytest.mark.parametrize("kind", TYPES)
def test_bytes_and_labels_of_every_arrow_type_are_read(tmp_path: Path, kind: str) -> None:
    """What pandas, polars and the hub's newer libraries write."""
    images = [b"one", b"three", b"", b"three"]
    type_ = TYPES[kind]
    rows = [{"bytes": content, "path": "a.jpg"} for content in images] if pa.types.is_struct(type_) else images
    for name, labels in {
        "d": pa.array(list("abba")).dictionary_encode(),
        "v": pa.array(list("abba"), pa.string_view()),
    }.items():
        file = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"image": pa.array(rows, type_), "label": labels}), file)
        listing = listed(file)
        assert list(listing.bytes) == [3, 5, 0, 5]
        assert list(listing.class_names) == list("abba")
        assert [content(file, path) for path in listing.paths] == images


def test_a_row_group_is_read_in_blocks_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow cannot read two gigabytes of nested bytes at once, and a worker's memory is bounded; in any order, and many at a time."""
    monkeypatch.setattr(parquet, "_BYTES_AT_ONCE", 5_000)
    asked: list[int] = []
    monkeypatch.setattr(
        parquet, "_rows_at_once", lambda *of, real=parquet._rows_at_once: asked.append(real(*of)) or asked[-1]
    )
    images = [bytes([number]) * 1_000 for number in range(50)]
    rows = pa.array([{"bytes": content, "path": ""} for content in images], IMAGE)
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet", use_dictionary=False, row_group_size=40)
    listing = listed(tmp_path, "ood")
    for order in (range(50), range(49, -1, -1), range(0, 50, 7), [41, 3, 44, 2]):
        assert [content(tmp_path, listing.paths[number]) for number in order] == [images[number] for number in order]
    assert set(asked) == {4}


def test_whole_floats_are_integer_labels_and_rows_without_bytes_are_counted(tmp_path: Path, lake: Lake) -> None:
    """Text would have 10.0 before 2.0."""
    file = write(tmp_path / "f.parquet", [b"1", b"2", None], {"label": [10.0, 2.0, 2.0]})
    lines: list[str] = []
    options = FormatOptions(label_kind="index")
    add_dataset(lake, "val", file, role="id", format_="parquet", options=options, say=lines.append)
    assert list(read_listing(lake, "val").labels) == [10, 2, 2]
    assert lines == [
        f"{file}: 1 of 3 rows have no bytes, and will fail",
        f"{file}: labels are integers stored as 3.0, which are read as 3",
    ]


def test_shards_are_found_behind_links_and_never_in_hidden_folders(tmp_path: Path) -> None:
    """Caches keep their files elsewhere, and leave halves of them in hidden folders; a link in a circle ends nothing."""
    write(tmp_path / "store" / "a.parquet", [b"1"], {"label": [0]}, NAMES)
    write(tmp_path / "data" / ".cache" / "b.parquet", [b"2"], {"label": [0]}, NAMES)
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "linked.parquet").symlink_to(tmp_path / "store" / "a.parquet")
    (tmp_path / "store" / "around").symlink_to(tmp_path / "data")
    for location in (tmp_path / "data", f"{tmp_path}/data/**/*.parquet"):
        assert list(listed(location).paths) == ["linked/a.parquet#0", "linked.parquet#0"]
    assert content(tmp_path / "data", "linked/a.parquet#0") == b"1"


def test_other_writers_files_have_integer_labels_or_class_names(tmp_path: Path) -> None:
    numbers = write(tmp_path / "n.parquet", [b"", b"", b""], {"label": [10, 2, 10]}, image="img")
    assert listed(numbers, label_kind="index").label_of_class == {"10": 10, "2": 2}
    names = write(tmp_path / "t.parquet", [b"", b""], {"class": ["wasp", "ant"]})
    assert listed(names).label_of_class == {"ant": 0, "wasp": 1}
    pq.write_table(pa.table({"jpg": [b"abc"], "cls": [3]}), tmp_path / "b.parquet")
    assert list(listed(tmp_path / "b.parquet", label_kind="index").labels) == [3]
    assert content(tmp_path / "b.parquet", "b.parquet#0") == b"abc"


def test_names_that_stand_for_several_integers_are_told_apart(tmp_path: Path) -> None:
    """ImageNet has two cranes."""
    file = write(tmp_path / "a.parquet", [b"1", b"2", b"3"], {"label": [0, 2, 1]}, ["crane", "ant", "crane"])
    assert listed(file).label_of_class == {"crane (0)": 0, "crane (2)": 2, "ant": 1}


def test_integers_beyond_the_names_and_fractions_are_no_labels(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", [b"1", b"2"], {"label": [0, 7], "score": [0.5, 1.25]}, ["ant", "bee"])
    with pytest.raises(InputError, match="has the label 7, but names only the classes 0 to 1"):
        listed(file, label_column="label")
    with pytest.raises(InputError, match=r"has the label 0\.5, a fraction"):
        listed(file, label_column="score")


def test_columns_that_could_be_meant_as_well_are_said(lake: Lake, tmp_path: Path) -> None:
    said: list[str] = []
    columns = {name: [b"1", b"2"] for name in ("mask", "image")} | {
        "label": [0, 1],
        "class_name": ["a", "b"],
        "size": [1, 2],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    add_dataset(lake, "val", tmp_path / "a.parquet", role="id", format_="parquet", say=said.append)
    assert said[0] == (
        f"{tmp_path / 'a.parquet'}: column 'image' holds the images, 'label' the labels; passed over: mask, class_name"
    )


def test_one_of_several_label_columns_must_be_chosen(tmp_path: Path) -> None:
    file = write(tmp_path / "c.parquet", [b"", b""], {"fine": [2, 1], "coarse": [0, 0]}, NAMES)
    with pytest.raises(InputError, match="choose one of fine, coarse with --label-column"):
        listed(file)
    assert list(listed(file, label_column="fine").class_names) == ["ant", "bee"]
    with pytest.raises(InputError, match="no column 'other'"):
        listed(file, label_column="other")


def test_splits_are_not_mixed(tmp_path: Path) -> None:
    for split in ("test", "train"):
        write(tmp_path / "data" / f"{split}-00000-of-00001.parquet", [b""], {"label": [0]}, NAMES)
    with pytest.raises(InputError, match=r"several splits \(test, train\).*choose one with --split test"):
        listed(tmp_path)
    glob = f"{tmp_path}/data/test-*.parquet"
    assert list(listed(glob).paths) == ["test-00000-of-00001.parquet#0"]
    assert content(glob, "test-00000-of-00001.parquet#0") == b""


def test_an_id_dataset_needs_a_label_for_each_image(tmp_path: Path) -> None:
    """The hub marks what is not labelled with -1."""
    hidden = write(tmp_path / "h.parquet", [b"", b""], {"label": [0, -1]}, NAMES)
    bare = write(tmp_path / "bare.parquet", [b""], {})
    for file in (hidden, bare):
        with pytest.raises(InputError, match="images without a label"):
            listed(file)
    assert list(listed(hidden, "ood").class_names) == ["wasp", "-1"]
    assert len(listed(bare, "ood")) == 1


def test_files_that_are_no_tables_of_images_or_not_one_dataset_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(InputError, match="is not a Parquet file"):
        listed(tmp_path / "text.parquet")
    pq.write_table(pa.table({"label": [1]}), tmp_path / "bare.parquet")
    with pytest.raises(InputError, match="0 columns that could hold the images"):
        listed(tmp_path / "bare.parquet")
    write(tmp_path / "mixed" / "a.parquet", [b""], {"label": [0]}, NAMES)
    write(tmp_path / "mixed" / "b.parquet", [b""], {"label": [0]}, NAMES[::-1])
    with pytest.raises(InputError, match="other columns or classes"):
        listed(tmp_path / "mixed")


def test_a_row_without_bytes_is_listed_and_fails_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", [b"image", None], {"label": [0, 1]}, NAMES)
    assert list(listed(file).bytes) == [5, 0]
    with pytest.raises(ValueError, match="no bytes"):
        content(file, "a.parquet#1")


def test_changed_rows_are_noticed(lake: Lake, tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", [b"1", b"2"], {"label": [0, 1]}, NAMES)
    row = add_dataset(lake, "val", file, role="id", format_="parquet")
    check_unchanged(row, read_listing(lake, "val"))
    write(file, [b"1", b"22"], {"label": [0, 2]}, NAMES)
    with pytest.raises(ConflictError, match=r"1 resized .*1 relabelled"):
        check_unchanged(row, read_listing(lake, "val"))


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library never asks the network, and keeps what it makes beside the test."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("no_hub")
def test_a_hub_dataset_is_listed_and_read_through_the_library(lake: Lake, tmp_path: Path) -> None:
    """The library takes a folder for a name, so what the hub holds can be tried without it."""
    for split, images, labels in (("train", [b"0"], [1]), ("test", [b"1", b"22"], [2, 0])):
        write(tmp_path / "insects" / "data" / f"{split}-00000-of-00001.parquet", images, {"label": labels}, NAMES)
    hub = f"hf:{tmp_path / 'insects'}"
    row = add_dataset(lake, "val", f"{hub}@test", role="id", format_="hf")
    assert (row.location, row.samples) == (f"{hub}@test", 2)
    listing = read_listing(lake, "val")
    assert (list(listing.labels), list(listing.class_names)) == ([2, 0], ["ant", "wasp"])
    check_unchanged(row, listing)
    with row.reader.open(listing.paths[1]) as image:
        assert image.read() == b"22"
    with pytest.raises(InputError, match="name one of train, test"):
        list_samples(Origin("hf", hub), "id")
    with pytest.raises(InputError, match=r"cannot load .*@val: Unknown split"):
        list_samples(Origin("hf", f"{hub}@val"), "id")


@pytest.mark.usefixtures("no_hub")
def test_a_folder_read_by_the_library_itself_is_what_lies_there(lake: Lake, images: Path) -> None:
    """Image files, that the library refers to by path, are read as they are stored."""
    row = add_dataset(lake, "val", f"hf:{images}@train", role="id", format_="hf")
    listing = read_listing(lake, "val")
    assert list(listing.class_names) == ["ant"] * 5 + ["bee"] * 6 + ["cat"] * 4
    assert list(listing.labels) == [0] * 5 + [1] * 6 + [2] * 4
    check_unchanged(row, listing)
    with row.reader.open(listing.paths[5]) as image:
        assert image.read() == (images / "bee" / "000.png").read_bytes()


@pytest.mark.usefixtures("no_hub")
def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    """What the library says is handed on in a sentence."""
    with pytest.raises(InputError, match="The datasets library cannot load hf:someone/insects@val: "):
        list_samples(Origin("hf", "hf:someone/insects@val"), "id")
    with pytest.raises(InputError, match=r"The datasets library cannot load hf:.*/nothing: "):
        list_samples(Origin("hf", f"hf:{tmp_path / 'nothing'}"), "id")


def test_without_the_library_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # type: ignore[arg-type] # how Python marks a module that cannot be had
    with pytest.raises(InputError, match=r"featurestore\[hf\]"):
        list_samples(Origin("hf", "hf:cifar10@test"), "id")
    with pytest.raises(InputError, match="hf:NAME"):
        list_samples(Origin("hf", "cifar10"), "id")
