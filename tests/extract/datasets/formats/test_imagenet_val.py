"""ImageNet's flat validation folder: every way to label it gives the same labels, and every doubt a refusal."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.io import savemat

from extract.datasets import FormatOptions, Origin, add_dataset, check_unchanged, list_samples
from extract.datasets.dataset import read_listing
from featurestore import ConflictError, InputError, Lake

if TYPE_CHECKING:
    from pathlib import Path

    from extract.datasets import Listing

WNIDS = [f"n{10_000_000 + 7 * number}" for number in range(1_000)]
DEVKIT = {1 + (number * 321 + 5) % 1_000: wnid for number, wnid in enumerate(WNIDS)}  # an order of its own
ID_OF = {wnid: number for number, wnid in DEVKIT.items()}
LABELS = [65, 970, 230, 999, 0, 65]  # in lexical order of the wnids
STEMS = [f"ILSVRC2012_val_{number:08d}" for number in range(1, 7)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "val").mkdir()
    for stem in STEMS:
        (tmp_path / "val" / f"{stem}.JPEG").write_bytes(stem.encode())
    return tmp_path / "val"


@pytest.fixture
def synsets(tmp_path: Path) -> Path:
    file = tmp_path / "synsets.txt"
    file.write_text("".join(f"{number} {DEVKIT[number]} some words, and more\n" for number in sorted(DEVKIT)))
    return file


def listed(folder: Path, text: str, **options: Any) -> Listing:
    file = folder.parent / "labels.txt"
    file.write_text(text)
    return list_samples(Origin("imagenet-val", str(folder), FormatOptions(labels=file, **options)), "id")


def lines(values: list[Any]) -> str:
    return "".join(f"{value}\n" for value in values)


def test_wnids_devkit_ids_and_indices_give_the_same_labels(folder: Path, synsets: Path) -> None:
    """The devkit's order is its own, so its ids are never used as labels."""
    wnids = [WNIDS[label] for label in LABELS]
    named = [f"{stem}.JPEG {wnid}" for stem, wnid in zip(STEMS, wnids, strict=True)]
    found = [
        listed(folder, lines(named), synsets=synsets),
        listed(folder, lines(wnids), synsets=synsets, label_kind="wnid"),
        listed(folder, lines([ID_OF[wnid] for wnid in wnids]), synsets=synsets, label_kind="devkit"),
        listed(folder, lines(LABELS), synsets=synsets, label_kind="index"),
    ]
    assert list(found[0].labels) == LABELS
    assert list(found[0].class_names) == wnids
    assert [listing == found[0] for listing in found] == [True] * 4


def test_the_devkit_s_own_meta_mat_is_read(folder: Path, synsets: Path, tmp_path: Path) -> None:
    """It holds the inner nodes of the hierarchy, too, with ids above 1,000."""
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
    rows = [(number, wnid, "words") for number, wnid in sorted(DEVKIT.items())] + [(1_001, "n00000001", "entity")]
    savemat(tmp_path / "meta.mat", {"synsets": np.array(rows, dtype=kind)})
    ids = lines([ID_OF[WNIDS[label]] for label in LABELS])
    by_text = listed(folder, ids, synsets=synsets, label_kind="devkit")
    assert listed(folder, ids, synsets=tmp_path / "meta.mat", label_kind="devkit") == by_text


def test_a_csv_with_a_header_as_kaggle_gives_it_is_read(folder: Path, synsets: Path) -> None:
    """Names without suffix, in any order, and bounding boxes after the wnid."""
    rows = [f"{stem},{WNIDS[label]} 85 1 499 272" for stem, label in zip(STEMS, LABELS, strict=True)]
    listing = listed(folder, lines(["ImageId,PredictionString", *reversed(rows)]), synsets=synsets)
    assert list(listing.labels) == LABELS


def test_wnids_without_synsets_need_all_thousand_classes(folder: Path) -> None:
    with pytest.raises(InputError, match=r"have 5 different wnids, not 1000.*--synsets"):
        listed(folder, lines([WNIDS[label] for label in LABELS]))


def test_a_thousand_wnids_are_enough(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    for number in range(1, 1_001):
        (tmp_path / "val" / f"ILSVRC2012_val_{number:08d}.JPEG").write_bytes(b"")
    listing = listed(tmp_path / "val", lines(WNIDS[::-1]))
    assert list(listing.labels) == list(range(999, -1, -1))


@pytest.mark.parametrize("kind", [None, "wnid", "devkit"])
def test_integers_are_refused_unless_it_is_said_what_they_are(folder: Path, kind: str | None) -> None:
    with pytest.raises(InputError, match=r"--label-kind|--synsets"):
        listed(folder, lines(LABELS), label_kind=kind)


@pytest.mark.parametrize(
    ("first", "kind", "other"),
    [([490, 361, 171, 822, 297, 482], "index", "devkit"), ([65, 970, 230, 809, 516, 57], "devkit", "index")],
)
def test_the_real_set_s_first_labels_betray_the_wrong_kind(
    folder: Path, synsets: Path, first: list[int], kind: str, other: str
) -> None:
    with pytest.raises(InputError, match=f"that is --label-kind {other}, not {kind}"):
        listed(folder, lines(first), label_kind=kind, synsets=synsets)


@pytest.mark.parametrize(("stranger", "kind"), [(1_000, "index"), (0, "devkit"), (1_001, "devkit")])
def test_integers_out_of_range_are_refused(folder: Path, synsets: Path, stranger: int, kind: str) -> None:
    with pytest.raises(InputError, match=f"holds {stranger}, but"):
        listed(folder, lines([5, 6, 7, 8, 9, stranger]), label_kind=kind, synsets=synsets)


def test_synsets_in_lexical_order_are_no_devkit_ids(folder: Path, tmp_path: Path) -> None:
    """A list of the classes as models have them, numbered from 1, looks like the devkit's."""
    (tmp_path / "lexical.txt").write_text(lines([f"{n + 1} {wnid}" for n, wnid in enumerate(WNIDS)]))
    with pytest.raises(InputError, match="places in lexical order, which devkit ids are not"):
        listed(folder, lines([1, 2, 3, 4, 5, 6]), label_kind="devkit", synsets=tmp_path / "lexical.txt")
    (tmp_path / "bare.txt").write_text(lines(WNIDS))
    with pytest.raises(InputError, match="its devkit id, 1 to 1000"):
        listed(folder, lines([1, 2, 3, 4, 5, 6]), label_kind="devkit", synsets=tmp_path / "bare.txt")
    (tmp_path / "short.txt").write_text(lines(WNIDS[:999]))
    with pytest.raises(InputError, match="it holds 999"):
        listed(folder, lines(LABELS), label_kind="index", synsets=tmp_path / "short.txt")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([f"{stem} {WNIDS[0]}" for stem in STEMS[:5]], f"no label for 1 images .first: {STEMS[5]}"),
        ([f"{stem} {WNIDS[0]}" for stem in [*STEMS, "ILSVRC2012_val_00000007"]], "labels 1 images that are not in"),
        ([f"{stem} {WNIDS[0]}" for stem in STEMS] + [f"{STEMS[0]} {WNIDS[1]}"], "one label"),
        ([WNIDS[0]] * 7, "has 7 lines without names"),
        (["tench"] * 6, "holds the label 'tench'"),
    ],
)
def test_labels_that_do_not_fit_the_images_are_refused(
    folder: Path, synsets: Path, rows: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        listed(folder, lines(rows), synsets=synsets)


def test_another_layout_is_refused_with_the_format_that_it_needs(folder: Path) -> None:
    with pytest.raises(InputError, match="--labels"):
        list_samples(Origin("imagenet-val", str(folder)), "id")
    (folder / "n01440764").mkdir()
    (folder / "n01440764" / "ILSVRC2012_val_00000009.JPEG").write_bytes(b"")
    with pytest.raises(InputError, match="--format folder"):
        listed(folder, lines(LABELS), label_kind="index")


NAMED = [
    "ILSVRC2012_val_00000001_n01751748.JPEG",
    "ILSVRC2012_val_00000002_n09193705.JPEG",
    "ILSVRC2012_val_00000003_n01440764.JPEG",
]


def test_wnids_in_the_images_names_are_labels_of_imagenet_in_a_folder_and_in_a_tar(tmp_path: Path, lake: Lake) -> None:
    """As the hub distributes the set. A part of the classes keeps ImageNet's indices, and a line says so."""
    (tmp_path / "val").mkdir()
    with tarfile.open(tmp_path / "val.tar", "w") as tar:
        for name in NAMED:
            (tmp_path / "val" / name).write_bytes(name.encode())
            tar.add(tmp_path / "val" / name, name)
    for name in ("val", "val.tar"):
        lines_: list[str] = []
        add_dataset(lake, name, tmp_path / name, role="id", benchmark=name, say=lines_.append)
        listing = read_listing(lake, name)
        assert list(listing.labels) == [65, 970, 0]
        assert list(listing.class_names) == ["n01751748", "n09193705", "n01440764"]
        assert lines_[1].endswith("hold the wnids of 3 classes; labels are ImageNet's indices of these")
    with pytest.raises(InputError, match="hold their wnids: leave --labels out"):
        listed(tmp_path / "val", lines(LABELS), label_kind="index")
    (tmp_path / "val" / f"{STEMS[4]}.JPEG").write_bytes(b"")
    with pytest.raises(InputError, match="3 images whose names end with a wnid and 1 others"):
        list_samples(Origin("imagenet-val", str(tmp_path / "val")), "id")
    (tmp_path / "val" / f"{STEMS[4]}.JPEG").rename(tmp_path / "val" / f"{STEMS[4]}_n00000001.JPEG")
    with pytest.raises(InputError, match="n00000001, which is not one of ImageNet's 1,000 wnids"):
        list_samples(Origin("imagenet-val", str(tmp_path / "val")), "id")


def test_labels_that_change_later_are_noticed(lake: Lake, folder: Path, synsets: Path) -> None:
    file = folder.parent / "labels.txt"
    file.write_text(lines(LABELS))
    options = FormatOptions(labels=file, label_kind="index", synsets=synsets)
    row = add_dataset(lake, "val", folder, role="id", format_="imagenet-val", options=options)
    check_unchanged(row, read_listing(lake, "val"))
    file.write_text(lines([66, *LABELS[1:]]))
    with pytest.raises(ConflictError, match=r"1 relabelled \(first: ILSVRC2012_val_00000001\.JPEG\)"):
        check_unchanged(row, read_listing(lake, "val"))
