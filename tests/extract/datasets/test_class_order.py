"""Labels that follow from class names: the same in every format, and refused where names leave them in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from extract.datasets import (
    FormatOptions,
    Origin,
    add_dataset,
    check_unchanged,
    list_samples,
    read_dataset,
    read_listing,
)
from featurestore import ConflictError, InputError, Lake, MissingError
from tests.extract.datasets.formats.test_tar import pack
from tests.tiny import write_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.pipeline import Commands

TWELVE = [str(number) for number in range(12)]


def as_folder(root: Path, names: Sequence[str]) -> Path:
    for name in names:
        (root / "folder" / name).mkdir(parents=True)
        (root / "folder" / name / "a.png").write_bytes(b"image")
    return root / "folder"


def as_tar(root: Path, names: Sequence[str]) -> Path:
    return pack(root / "a.tar", {f"{name}/a.png": b"image" for name in names})


def as_webdataset(root: Path, names: Sequence[str]) -> Path:
    members = {
        f"{n}.{suffix}": b for n, name in enumerate(names) for suffix, b in (("png", b""), ("cls", name.encode()))
    }
    return pack(root / "a.tar", members)


def as_csv(root: Path, names: Sequence[str]) -> Path:
    folder = as_folder(root, names)
    (root / "a.csv").write_text("".join(["path,class\n", *(f"folder/{name}/a.png,{name}\n" for name in names)]))
    assert folder.is_dir()
    return root / "a.csv"


def as_parquet(root: Path, labels: Sequence[object]) -> Path:
    pq.write_table(pa.table({"image": [b"image"] * len(labels), "label": labels}), root / "a.parquet")
    return root / "a.parquet"


def as_integers(root: Path, names: Sequence[str]) -> Path:
    return as_parquet(root, [int(name) for name in names])


TEXT = {"folder": as_folder, "tar": as_tar, "csv": as_csv, "parquet": as_parquet}
EVERY: dict[str, tuple[str, Callable[[Path, Sequence[str]], Path]]] = {
    **{name: (name, write) for name, write in TEXT.items()},
    "webdataset": ("tar", as_webdataset),
    "integer column": ("parquet", as_integers),
}


def labels(format_: str, place: Path, role: str = "id", **options: object) -> dict[str, int | None]:
    return list_samples(Origin(format_, str(place), FormatOptions(**options)), role).label_of_class  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", EVERY)
def test_integers_that_are_not_their_own_places_are_refused_in_every_format(tmp_path: Path, kind: str) -> None:
    """In text order, class 10 would get the label 2."""
    format_, write = EVERY[kind]
    place = write(tmp_path, TWELVE)
    with pytest.raises(
        InputError,
        match=r"integers \(0 to 11\).*from label 2 on, text order .*'10', '11', '2', '3', and natural order .*'2', '3', '4', '5'"
        r".*--label-kind index.*--label-order natural or text.*--labels",
    ):
        labels(format_, place)
    assert labels(format_, place, label_order="natural") == {name: int(name) for name in TWELVE}
    assert labels(format_, place, label_kind="index") == {name: int(name) for name in TWELVE}
    assert labels(format_, place, label_order="text") == {name: place for place, name in enumerate(sorted(TWELVE))}
    assert set(labels(format_, place, role="ood").values()) == {None}


@pytest.mark.parametrize("format_", TEXT)
@pytest.mark.parametrize(
    ("names", "natural"),
    [
        (["class_2", "class_10"], ["class_2", "class_10"]),
        (["Zebra", "ant"], ["ant", "Zebra"]),
        (["v1.10", "v1.9"], ["v1.9", "v1.10"]),
    ],
)
def test_names_whose_orders_differ_are_refused(
    tmp_path: Path, format_: str, names: Sequence[str], natural: Sequence[str]
) -> None:
    place = TEXT[format_](tmp_path, names)
    with pytest.raises(InputError, match=r"the order of its 2 classes is in doubt.*from the first on.*--label-order"):
        labels(format_, place)
    assert labels(format_, place, label_order="natural") == {name: label for label, name in enumerate(natural)}
    assert labels(format_, place, label_order="text") == {name: label for label, name in enumerate(sorted(names))}


@pytest.mark.parametrize("kind", EVERY)
def test_integers_that_are_their_own_places_are_labels_and_that_is_said(lake: Lake, tmp_path: Path, kind: str) -> None:
    """Whichever way they are read, 0 to 9 are the same labels."""
    format_, write = EVERY[kind]
    said: list[str] = []
    place = write(tmp_path, TWELVE[:10])
    row = add_dataset(lake, "val", place, role="id", format_=format_, say=said.append)
    assert read_listing(lake, "val").label_of_class == {name: int(name) for name in TWELVE[:10]}
    assert said == [f"{place}: class names are the integers 0 to 9, which are the labels"]
    assert "label-order" not in row.format


@pytest.mark.parametrize("names", [["1", "2"], ["3", "17"], ["0", "2"], ["00", "02"]])
def test_integers_that_may_be_indices_or_names_are_refused(tmp_path: Path, names: Sequence[str]) -> None:
    """Also where their orders agree: 1 may be the first class, or the second."""
    place = as_folder(tmp_path, names)
    with pytest.raises(InputError, match="--label-kind index"):
        labels("folder", place)
    assert labels("folder", place, label_kind="index") == {name: int(name) for name in names}
    assert labels("folder", place, label_order="natural") == {names[0]: 0, names[1]: 1}


@pytest.mark.parametrize("kind", TEXT)
@pytest.mark.parametrize(("one", "other"), [("Ant", "ant"), ("ant ", "ant"), ("caf\u00e9", "cafe\u0301")])
def test_spellings_of_one_name_are_refused_until_an_order_is_said(
    tmp_path: Path, kind: str, one: str, other: str
) -> None:
    place = TEXT[kind](tmp_path, [one, other, "zebra"])
    if kind == "csv" and one.strip() == other:
        assert labels(kind, place) == {
            "ant": 0,
            "zebra": 1,
        }  # the list's cells have spaces around them, as people write them
        return
    with pytest.raises(InputError, match="differ only in case, spaces or Unicode form"):
        labels(kind, place)
    assert labels(kind, place, label_order="text") == {name: n for n, name in enumerate(sorted([one, other, "zebra"]))}


@pytest.mark.parametrize("kind", ["folder", "csv", "webdataset", "parquet"])
@pytest.mark.parametrize("names", [["0.5", "1.0"], ["1.0", "nan"], ["0e0", "1e0"], ["0", "1", "None"]])
def test_fractions_and_gaps_among_numbers_are_no_classes(tmp_path: Path, kind: str, names: Sequence[str]) -> None:
    format_, write = EVERY[kind]
    with pytest.raises(InputError, match="are numbers, of which some are no integers"):
        labels(format_, write(tmp_path, names))


def test_words_that_look_like_gaps_are_classes_among_words(tmp_path: Path) -> None:
    assert labels("folder", as_folder(tmp_path, ["nan", "roti"])) == {"nan": 0, "roti": 1}


@pytest.mark.parametrize("odd", [[[0, 1], [1, 0]], [b"0", b"1"], [{"a": 1}, {"a": 2}]])
def test_columns_of_neither_numbers_nor_names_are_no_labels(tmp_path: Path, odd: list[object]) -> None:
    """One-hot rows have an order in which the class is not its place."""
    with pytest.raises(InputError, match="neither a number nor a name"):
        labels("parquet", as_parquet(tmp_path, odd))


def test_two_names_of_one_index_and_names_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'01' and '1', which are one index"):
        labels("folder", as_folder(tmp_path / "two", ["1", "01"]), label_kind="index")
    place = as_folder(tmp_path / "names", ["ant"])
    with pytest.raises(InputError, match="only integers are labels"):
        labels("folder", place, label_kind="index")
    with pytest.raises(InputError, match="--label-kind devkit does not fit"):
        labels("folder", place, label_kind="devkit")
    with pytest.raises(MissingError, match="did you mean 'natural'"):
        labels("folder", place, label_order="natrual")
    with pytest.raises(InputError, match="--label-kind and --label-order both say"):
        labels("folder", place, label_kind="index", label_order="text")


WNIDS = ["n01443537", "n01440764", "n02119789"]  # goldfish, tench, kit fox


def test_wnids_have_imagenet_s_indices_also_in_a_subset(lake: Lake, tmp_path: Path) -> None:
    said: list[str] = []
    place = as_folder(tmp_path, WNIDS)
    row = add_dataset(lake, "val", place, role="id", say=said.append)
    assert read_listing(lake, "val").label_of_class == {"n01440764": 0, "n01443537": 1, "n02119789": 278}
    assert len(said) == 1
    assert said[0].startswith(f"{place}: class names are 3 of ImageNet's 1,000 wnids; labels are ImageNet's indices")
    assert row.origin.options.label_order == "imagenet"
    assert read_dataset(lake, "val").origin == row.origin
    assert labels("folder", place, label_order="text") == {"n01440764": 0, "n01443537": 1, "n02119789": 2}
    with pytest.raises(InputError, match=r"--label-order imagenet does not fit .*'ant'"):
        labels("folder", as_folder(tmp_path / "ants", ["ant"]), label_order="imagenet")


def test_integers_beside_wnids_that_are_not_imagenet_s_are_refused(tmp_path: Path) -> None:
    """A subset of ImageNet with labels of its own, of which a head of 1,000 classes knows nothing."""
    members = {}
    for number, wnid in enumerate(WNIDS):
        members |= {f"{number}.png": b"", f"{number}.json": b'{"label": %d, "wnid": "%s"}' % (number, wnid.encode())}
    place = pack(tmp_path / "a.tar", members)
    with pytest.raises(
        InputError, match="gives n01443537 the label 0, but ImageNet's index of it is 1: say --label-order"
    ):
        labels("tar", place)
    assert list(labels("tar", place, label_order="imagenet").values()) == [1, 0, 278]
    assert list(labels("tar", place, label_kind="index").values()) == [0, 1, 2]
    with pytest.raises(InputError, match="--label-order has no say"):
        labels("tar", place, label_order="text")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class_name,label\nant,0\nbee,1\nant,2\n", "gives class 'ant' the labels 0 and 2"),
        ("ant,0\nbee,1\n", "has no header: its first line labels 'ant'"),
    ],
)
def test_a_labels_file_that_contradicts_itself_or_begins_with_a_class(tmp_path: Path, text: str, message: str) -> None:
    place = as_folder(tmp_path, ["ant", "bee"])
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        labels("folder", place, labels=tmp_path / "labels.csv")


def test_what_a_labels_file_says_beyond_one_number_a_class_is_shown(lake: Lake, tmp_path: Path) -> None:
    place, file, said = as_folder(tmp_path, ["ant", "bee"]), tmp_path / "labels.csv", list[str]()
    file.write_text("class_name,label\nant,4\nbee,4\nwasp,5\n\n")
    add_dataset(lake, "val", place, role="id", options=FormatOptions(labels=file), say=said.append)
    assert said == [
        f"{file}: 2 classes have 1 labels, since some share one (first: 'ant' and 'bee' have 4)",
        f"{file}: 1 of its classes have no image here (first: 'wasp')",
    ]


def test_a_labels_file_is_read_by_its_header(tmp_path: Path) -> None:
    """Classes that are integers would fit both ways."""
    place, file = as_folder(tmp_path, ["0", "1", "2"]), tmp_path / "labels.csv"
    file.write_text("label,class_name\n1,0\n2,1\n0,2\n")
    assert labels("folder", place, labels=file) == {"0": 1, "1": 2, "2": 0}
    file.write_text("class_name,label\n1,0\n2,1\n0,2\n")
    assert labels("folder", place, labels=file) == {"0": 2, "1": 0, "2": 1}


def test_names_that_share_a_label_are_said_where_the_source_gives_it(lake: Lake, tmp_path: Path) -> None:
    said: list[str] = []
    members = {f"{n}.png": b"" for n in range(2)} | {
        f"{n}.json": f'{{"label": 3, "class_name": "c{n}"}}'.encode() for n in range(2)
    }
    place = pack(tmp_path / "a.tar", members)
    add_dataset(lake, "val", place, role="id", format_="tar", say=said.append)
    assert said == [f"{place}: 2 classes have 1 labels, since some share one (first: 'c0' and 'c1' have 3)"]


def test_of_ood_samples_what_was_said_of_labels_is_not_believed_in_silence(lake: Lake, tmp_path: Path) -> None:
    said: list[str] = []
    place, options = as_folder(tmp_path, TWELVE), FormatOptions(label_order="text")
    row = add_dataset(lake, "far", place, role="ood", options=options, say=said.append)
    assert said == [f"{place}: OOD samples have no label, so that --label-order had no say"]
    (place / "0" / "b.png").write_bytes(b"new")
    with pytest.raises(ConflictError, match="1 added"):
        check_unchanged(row, read_listing(lake, "far"))


def test_fit_and_id_sets_have_the_same_classes(lake: Lake, tmp_path: Path) -> None:
    """Places in order of other names are labels of other classes."""
    add_dataset(lake, "train", write_images(tmp_path / "train", {"ant": 1, "bee": 1}), role="fit")
    with pytest.raises(InputError, match="No class is in dataset 'train', too \\(here 'cat'; there 'ant', 'bee'\\)"):
        add_dataset(lake, "val", write_images(tmp_path / "other", {"cat": 1}), role="id")
    with pytest.raises(InputError, match="Label 1 would be class 'wasp' here, but is 'bee' in dataset 'train'"):
        add_dataset(lake, "val", write_images(tmp_path / "part", {"ant": 1, "wasp": 1}), role="id")
    with pytest.raises(InputError, match="'Bee' is 'bee' in dataset 'train', which differs only in case"):
        add_dataset(
            lake,
            "val",
            write_images(tmp_path / "case", {"Bee": 1, "ant": 1}),
            role="id",
            options=FormatOptions(label_order="natural"),
        )
    add_dataset(lake, "val", as_folder(tmp_path, ["0", "1"]), role="id")
    file = tmp_path / "labels.csv"
    file.write_text("class_name,label\ncat,1\n")
    add_dataset(lake, "tuning", tmp_path / "other", role="val", options=FormatOptions(labels=file))
    add_dataset(lake, "far", tmp_path / "part", role="ood")


def test_the_command_takes_the_order_and_the_lake_keeps_it(fresh: Commands, tmp_path: Path) -> None:
    place = as_folder(tmp_path, TWELVE)
    outcome = fresh("dataset", "add", "val", place, "--role", "id")
    assert outcome.code == 1
    assert "--label-order natural or text" in outcome.err
    fresh.ok("dataset", "add", "val", place, "--role", "id", "--label-order", "natural")
    assert read_dataset(fresh.lake, "val").origin.options.label_order == "natural"
