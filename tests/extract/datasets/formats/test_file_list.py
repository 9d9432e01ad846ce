"""File lists and NINCO: what the list says, in its order, and nothing that is not there."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from extract.datasets import (
    FormatOptions,
    Origin,
    add_dataset,
    check_unchanged,
    list_samples,
    open_reader,
    read_listing,
)
from extract.datasets.registry import look
from featurestore import InputError, Lake, MissingError

if TYPE_CHECKING:
    from pathlib import Path

    from extract.datasets import Listing


def write_list(file: Path, rows: list[tuple[str, ...]], header: str = "image_location,class") -> Path:
    """A CSV, with a small file for each row."""
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as lines:
        lines.write(f"{header}\n")
        csv.writer(lines).writerows(rows)
    for row in rows:
        image = file.parent / row[0]
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(row[0].encode())
    return file


def listed(file: Path, role: str = "ood", **options: object) -> Listing:
    return list_samples(Origin("csv", str(file), FormatOptions(**options)), role)  # type: ignore[arg-type]


ROWS = [("b/two, three.png", "bird"), ("a/one.png", "ant"), ("b/été.jpg", "bird")]


def test_a_list_keeps_its_order_and_its_images_are_read_back(tmp_path: Path) -> None:
    file = write_list(tmp_path / "list.csv", ROWS)
    listing = listed(file)
    assert list(listing.paths) == [path for path, _ in ROWS]
    assert list(listing.class_names) == ["bird", "ant", "bird"]
    assert list(listing.bytes) == [len(path.encode()) for path, _ in ROWS]
    with open_reader(Origin("csv", str(file))).open(listing.paths[2]) as image:
        assert image.read() == "b/été.jpg".encode()


def test_classes_of_an_id_list_are_labelled_in_lexical_order(tmp_path: Path) -> None:
    assert listed(write_list(tmp_path / "list.csv", ROWS), "id").label_of_class == {"ant": 0, "bird": 1}


def test_paths_may_be_relative_to_another_folder(tmp_path: Path) -> None:
    file = write_list(tmp_path / "list.csv", ROWS)
    (tmp_path / "lists").mkdir()
    moved = file.rename(tmp_path / "lists" / "list.csv")
    assert len(listed(moved, root=tmp_path)) == 3
    with pytest.raises(InputError, match=r"of which 3 are not in .*nowhere \(first: b/two, three\.png\)"):
        listed(moved, root=tmp_path / "nowhere")


def test_a_folder_above_that_holds_the_images_is_found_and_said(tmp_path: Path, lake: Lake) -> None:
    """It is kept in the lake, so that readers and the next listing need not look for it; two such folders are a doubt."""
    file = write_list(tmp_path / "list.csv", ROWS)
    (tmp_path / "lists").mkdir()
    moved = file.rename(tmp_path / "lists" / "list.csv")
    lines: list[str] = []
    row = add_dataset(lake, "birds", moved, role="ood", format_="csv", say=lines.append)
    assert lines == [f"{moved}: its paths are relative to {tmp_path}, where its images are"]
    assert row.origin.options.root == tmp_path
    with row.reader.open("b/two, three.png") as image:
        assert image.read() == b"b/two, three.png"
    write_list(tmp_path / "images" / "list.csv", ROWS)
    with pytest.raises(InputError, match=r"could be relative to .* say which with --root"):
        listed(moved)


def test_one_column_is_one_ood_class_but_no_id_dataset(tmp_path: Path) -> None:
    file = write_list(tmp_path / "textures.csv", [("a.png",), ("b.png",)], "image_location")
    assert set(listed(file).class_names) == {"textures"}
    with pytest.raises(InputError, match="no column for the class"):
        listed(file, "id")


def test_integer_classes_are_labels_only_if_that_is_said(tmp_path: Path) -> None:
    """In lexical order, class 10 would get a smaller label than class 2."""
    file = write_list(tmp_path / "list.csv", [("a.png", "2"), ("b.png", "10")])
    with pytest.raises(InputError, match="--label-kind index"):
        listed(file, "id")
    assert listed(file, "id", label_kind="index").label_of_class == {"2": 2, "10": 10}
    with pytest.raises(InputError, match="only integers are labels"):
        listed(write_list(tmp_path / "names.csv", ROWS), "id", label_kind="index")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png,ant,1\nb.png,bee,1\n", r"has no header: its first line names the image a\.png"),
        ("a.png,b.png\n", r"has no header: .* With 2 columns"),
        ("a;b,c\n1;2,3\n", "could be separated by comma or semicolon: say which with --delimiter"),
        ("train/one,ant\ntrain/two,bee\n", "'train/one, ant', could be a header or an image"),
        ("id,width,kind\n1,2,ant\n", "no column for the image, only id, width, kind: name it with --image-column"),
        ("path,filename,class\na.png,b.png,x\n", r"several columns for the image \(path, filename\)"),
        ("path,label,class_name\na.png,0,x\n", r"several columns for the class \(label, class_name\)"),
        ("image_location,class\n", "an image per line"),
        ("", "an image per line"),
        ("image_location,class\na.png,ant,1\n", r"has the line 'a\.png,ant,1', but its header has 2 columns"),
        ("image_location,class\na.png,\n", r"has the line 'a\.png,'"),
        *(
            (f"image_location,class\na.png,x\n{again},y\n", r"lists 'a\.png' more than once")
            for again in ("a.png", "./a.png", ".//a.png", "b/../a.png")
        ),
        (b"image_location,class\n\xff.png,x\n", "Cannot read the file list"),
    ],
)
def test_a_list_that_could_be_misread_is_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    (tmp_path / "b").mkdir(exist_ok=True)
    (tmp_path / "a.png").write_bytes(b"image")
    (tmp_path / "list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        listed(tmp_path / "list.csv")


DIALECTS = {
    "semicolons, BOM": ("\ufeffFilename;Label\nb/é.png;ant\na.png;bee\n", ["separated by semicolon"]),
    "tabs": ("image_path\tcategory\nb/é.png\tant\na.png\tbee\n", ["separated by tab"]),
    "pipes, class first": ("target|filepath\nant|b/é.png\nbee|a.png\n", ["separated by pipe"]),
    "spaces": ("file_name class_id\nb/é.png ant\na.png bee\n", ["separated by space"]),
    "quotes, spaces after commas": ('"Image Path", "y"\n"b/é.png", "ant"\n"a.png", "bee"\n', []),
    "Windows": ("path,label\r\n.\\b\\é.png,ant\r\na.png,bee\r\n", ["Windows' separators"]),
    "no header": ("b/é.png,ant\na.png,bee\n", ["no header: column 1 holds the paths, column 2 the classes"]),
    "an index of pandas": (
        ",path,label\n0,b/é.png,ant\n1,a.png,bee\n",
        ["'path' holds the paths, 'label' the classes; passed"],
    ),
    "names of one's own": (
        "picture,animal\nb/é.png,ant\na.png,bee\n",
        ["'picture' holds the paths, 'animal' the classes"],
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_wrote_a_list_it_says_the_same(tmp_path: Path, lake: Lake, dialect: str) -> None:
    """What was inferred is said in a line each, kept in the lake, and not said of the plain form."""
    text, expected = DIALECTS[dialect]
    write_list(tmp_path / "list.csv", [("b/é.png",), ("a.png",)])
    (tmp_path / "list.csv").write_bytes(text.encode())
    lines: list[str] = []
    row = add_dataset(lake, "insects", tmp_path / "list.csv", role="id", format_="csv", say=lines.append)
    listing = read_listing(lake, "insects")
    assert list(listing.paths) == ["b/é.png", "a.png"]
    assert list(listing.class_names) == ["ant", "bee"]
    assert len(lines) == len(expected), lines
    assert all(part in line for part, line in zip(expected, lines, strict=True)), lines
    check_unchanged(row, listing)
    assert look(row.origin, "id")[0] == listing


def test_columns_and_delimiter_can_be_named(tmp_path: Path) -> None:
    """Where there are several, or none with a usual name."""
    file = write_list(tmp_path / "list.csv", [("a.png",), ("b.png",)])
    file.write_text("path;filename;label;class_name\nx.png;a.png;1;ant, red\ny.png;b.png;0;bee\n")
    named = listed(file, "id", delimiter=";", image_column="filename", label_column="class_name")
    assert list(named.paths) == ["a.png", "b.png"]
    assert named.label_of_class == {"ant, red": 0, "bee": 1}
    with pytest.raises(
        InputError, match=r"no column 'kind': --label-column is one of path, filename, label, class_name"
    ):
        listed(file, "id", delimiter="semicolon", image_column="filename", label_column="kind")
    with pytest.raises(MissingError, match="no delimiter 'colon'"):
        listed(file, delimiter="colon")


def test_integers_that_pandas_made_floats_are_integers(tmp_path: Path) -> None:
    """A column with a gap becomes 3.0; as names, 10.0 would come before 2.0. A label -1 is no index, nor a name."""
    file = write_list(tmp_path / "list.csv", [("a.png", "2.0"), ("b.png", "10.0")], "path,label")
    assert listed(file, "id", label_kind="index").label_of_class == {"2": 2, "10": 10}
    with pytest.raises(InputError, match="--label-kind index"):
        listed(file, "id")
    with pytest.raises(InputError, match="label -1"):
        listed(write_list(tmp_path / "none.csv", [("a.png", "-1"), ("b.png", "1")]), "id", label_kind="index")


def test_a_missing_list_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Cannot read the file list .*No such file"):
        listed(tmp_path / "list.csv")


@pytest.fixture(scope="module")
def ninco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root of NINCO's shape: 64 classes of which 46 have the status 1, with 4,290 of 5,879 images; 11 popular sets."""
    root = tmp_path_factory.mktemp("ninco")
    classes = [f"class {number}" for number in range(64)]
    counts = [94] * 45 + [60] + [88] * 17 + [93]
    rows = [
        (f"NINCO_OOD_classes/{n}/{n}_{i:03d}.jpg", n) for n, c in zip(classes, counts, strict=True) for i in range(c)
    ]
    write_list(root / "NINCO_OOD_classes.csv", rows)
    popular = [(f"NINCO_popular_datasets_subsamples/s{i % 11}/{i}.jpg", f"s{i % 11}") for i in range(2_715)]
    write_list(root / "NINCO_popular_datasets_subsamples.csv", popular)
    header = "filename,,benchmark status,class overlap 21k"
    overlaps = ["7:owl", "0", "?", '"1:a(2/3), 2:b"']
    status = [f"{name},,{1 if i < 46 else 2},{overlaps[i % 4]}" for i, name in enumerate(classes)]
    status += ["black,,unit test,", ",,,"]
    (root / "NINCO_class_names.csv").write_text("\n".join([header, *status, ""]))
    return root


def part_of(root: Path, part: str | None = None, subset: str | None = None, role: str = "ood") -> Listing:
    return list_samples(Origin("ninco", str(root), FormatOptions(part=part, subset=subset)), role)


@pytest.mark.parametrize(
    ("part", "subset", "samples", "classes"),
    [
        (None, None, 5_879, 64),
        ("ood-classes", "64", 5_879, 64),
        ("ood-classes", "46", 4_290, 46),
        ("popular", None, 2_715, 11),
    ],
)
def test_each_part_of_ninco_has_the_published_numbers(
    ninco: Path, part: str | None, subset: str | None, samples: int, classes: int
) -> None:
    listing = part_of(ninco, part, subset)
    assert (len(listing), len(set(listing.class_names))) == (samples, classes)


def test_ninco_s_authors_say_which_classes_imagenet_21k_has(ninco: Path, tmp_path: Path) -> None:
    """Neither those marked 0 nor the doubtful ones; without their table, a line says that nothing is known."""
    _, found = look(Origin("ninco", str(ninco)), "ood")
    assert found.seen == {"in21k": sorted(f"class {i}" for i in range(64) if i % 4 in {0, 3})}
    said = "32 of 64 classes are in ImageNet-21k (in21k), by NINCO_class_names.csv; 16 more are marked ?, and count as if it had not"
    assert list(found.notes) == [said]
    _, of_the_paper = look(Origin("ninco", str(ninco), FormatOptions(subset="46")), "ood")
    assert set(of_the_paper.seen["in21k"]) == {name for name in found.seen["in21k"] if int(name[6:]) < 46}
    _, popular = look(Origin("ninco", str(ninco), FormatOptions(part="popular")), "ood")
    assert (popular.seen, popular.notes) == ({}, [])
    for name in ("NINCO_OOD_classes", "NINCO_OOD_classes.csv"):
        (tmp_path / name).symlink_to(ninco / name)
    for text in (None, "filename,benchmark status\nclass 1,1\n"):
        if text:
            (tmp_path / "NINCO_class_names.csv").write_text(text)
        _, unknown = look(Origin("ninco", str(tmp_path)), "ood")
        assert unknown.seen == {}
        assert "which classes ImageNet-21k has is not known" in unknown.notes[0]


def test_ninco_is_refused_as_an_id_dataset_and_in_parts_that_it_has_not(ninco: Path) -> None:
    with pytest.raises(InputError, match="--role ood, not id"):
        part_of(ninco, role="id")
    with pytest.raises(MissingError, match="did you mean 'popular'"):
        part_of(ninco, "popula")
    with pytest.raises(InputError, match="subsets 46 and 64"):
        part_of(ninco, "popular", "46")
    with pytest.raises(InputError, match="subsets 46 and 64"):
        part_of(ninco, subset="45")


def test_an_incomplete_ninco_is_refused(ninco: Path, tmp_path: Path) -> None:
    """Numbers on a part of NINCO look like numbers on NINCO."""
    with pytest.raises(InputError, match=r"Cannot read the file list .*NINCO_OOD_unit_tests\.csv"):
        part_of(ninco, "unit-tests")
    write_list(tmp_path / "NINCO_OOD_classes.csv", [("NINCO_OOD_classes/a/a.jpg", "a")])
    with pytest.raises(InputError, match="gives 1 images, but NINCO has 5,879"):
        part_of(tmp_path)
    with pytest.raises(InputError, match=r"--subset 46 needs NINCO's .*NINCO_class_names\.csv"):
        part_of(tmp_path, subset="46")
    gone = ninco / "NINCO_OOD_classes" / "class 3" / "class 3_007.jpg"
    gone.unlink()
    try:
        with pytest.raises(InputError, match=r"of which 1 are not in .*class 3_007\.jpg"):
            part_of(ninco)
    finally:
        gone.write_bytes(b"back")
