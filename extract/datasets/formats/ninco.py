"""NINCO's root folder: its OOD classes, its unit-tests, and its cleaned samples of popular OOD datasets."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets.formats.file_list import read_list
from extract.datasets.formats.folder import check_folder
from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.walk import sizes_below
from featurestore.errors import InputError
from featurestore.names import pick

if TYPE_CHECKING:
    from extract.datasets.formats.format import FormatOptions

_LISTS = {
    "ood-classes": "NINCO_OOD_classes.csv",
    "unit-tests": "NINCO_OOD_unit_tests.csv",
    "popular": "NINCO_popular_datasets_subsamples.csv",
}
_SUBSETS = {"46": 4_290, "64": 5_879}
_ROWS = {"unit-tests": 6_800, "popular": 2_715}
_NAMES = "NINCO_class_names.csv"
_OVERLAP, _IMAGENET_21K = "class overlap 21k", "in21k"
_NO_OVERLAP, _UNSURE = "0", "?"


def list_ninco(location: str, role: str, options: FormatOptions) -> Found:
    """List one part of NINCO, all OOD classes if none is named.

    Raises:
        InputError: The role is not `ood`, the part or subset does not exist, or the part is not complete.
    """
    root, part, subset = Path(location), options.part or "ood-classes", options.subset
    pick("part of NINCO", part, _LISTS)
    if role != "ood":
        raise InputError(f"All of NINCO is OOD: add it with --role ood, not {role}.")
    if subset is not None and (part != "ood-classes" or subset not in _SUBSETS):
        raise InputError(f"--subset {subset} is not in NINCO: --part ood-classes has the subsets 46 and 64.")
    check_folder(root, "ninco", f"NINCO's root, with {_LISTS[part]} in it")
    file = root / _LISTS[part]
    said = read_list(file)
    rows = list(zip(said.paths, said.classes or [""] * len(said.paths), strict=True))
    if subset == "46":
        chosen = _classes_of_the_paper(root / _NAMES)
        rows = [(path, name) for path, name in rows if name in chosen]
    expected = _ROWS.get(part) or _SUBSETS[subset or "64"]
    if len(rows) != expected:
        raise InputError(
            f"{file} gives {len(rows):,} images, but NINCO has {expected:,} there: take the released file; "
            f"a list of your own is --format csv {file}."
        )
    paths = [path for path, _ in rows]
    names = [name for _, name in rows]
    seen, note = _seen(root / _NAMES, set(names)) if part == "ood-classes" else ({}, "")
    return Found(paths, sizes_below(root, paths, listed_in=file), names, notes=[note] if note else [], seen=seen)


def _classes_of_the_paper(file: Path) -> set[str]:
    """The 46 classes whose `benchmark status` is 1; that of the other 18 is 2."""
    try:
        chosen = {name for name, status in _column(file, "benchmark status").items() if status == "1"}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise InputError(
            f"--subset 46 needs NINCO's {file}, with the columns filename and benchmark status: "
            f"{getattr(error, 'strerror', None) or error}."
        ) from error
    if len(chosen) != 46:
        raise InputError(f"{file} gives {len(chosen)} classes the benchmark status 1, not 46: take the released file.")
    return chosen


def _seen(file: Path, classes: set[str]) -> tuple[dict[str, list[str]], str]:
    """The classes that ImageNet-21k has, too, as the authors noted, and a line on it; a class that they were not sure of is none."""
    try:
        overlap = {name: text for name, text in _column(file, _OVERLAP).items() if name in classes}
    except (OSError, KeyError, UnicodeDecodeError):
        return {}, f"which classes ImageNet-21k has is not known: there is no {file} with the column {_OVERLAP!r}"
    seen = sorted(name for name, text in overlap.items() if text not in {"", _NO_OVERLAP, _UNSURE})
    unsure = sum(text == _UNSURE for text in overlap.values())
    asides = f"; {unsure} more are marked {_UNSURE}, and count as if it had not" * bool(unsure)
    said = f"{len(seen)} of {len(classes)} classes are in ImageNet-21k ({_IMAGENET_21K}), by {file.name}{asides}"
    return {_IMAGENET_21K: seen}, said


def _column(file: Path, name: str) -> dict[str, str]:
    """What a column of the table of classes says of each class."""
    with file.open(newline="", encoding="utf-8-sig") as lines:
        return {row["filename"]: row[name].strip() for row in csv.DictReader(lines) if row["filename"]}


NINCO = Format("ninco", list_ninco, takes=frozenset({"part", "subset"}))
