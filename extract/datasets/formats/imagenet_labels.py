"""Labels of ImageNet's validation images, and the wnids of its 1,000 classes.

A wrong map is a model with 0.1 % accuracy, so what is in doubt is refused.

Three integers are in use for a class: its place among the 1,000 wnids in lexical order, from 0 (what models have), the
devkit's id, from 1, in an order of its own, and places in lexical order from 1. Only the wnid says which is meant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from extract.datasets.formats.walk import read_text
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from extract.datasets.formats.format import FormatOptions

CLASSES = 1_000
WNID = re.compile(r"n\d{8}")
_KINDS = ("wnid", "devkit", "index")
_FIRST_BY_DEVKIT = (490, 361, 171, 822, 297)  # of images 1 to 5, in ILSVRC2012_validation_ground_truth.txt
_FIRST_BY_INDEX = (65, 970, 230, 809, 516)
_IMAGES = 50_000


def read_wnids(options: FormatOptions, stems: Sequence[str]) -> list[tuple[str, int]]:
    """The class name and label of each image.

    Args:
        options: `labels`, and `label_kind` and `synsets` as far as they are needed.
        stems: The images' names without suffix, in order.

    Raises:
        InputError: The file is not understood or not complete, or its labels could mean two things.
    """
    assert options.labels is not None  # noqa: S101 # checked by the caller
    file, kind = options.labels, options.label_kind
    values = _by_image(file, stems)
    if kind not in {None, *_KINDS}:
        raise InputError(f"There is no --label-kind {kind}: it is wnid, devkit or index.")
    if all(WNID.fullmatch(value) for value in values):
        if kind not in {None, "wnid"}:
            raise InputError(f"{file} holds wnids, not labels of the kind {kind}: leave --label-kind out.")
        return _from_wnids(file, values, options.synsets)
    if kind is None or kind == "wnid" or not all(value.isdecimal() for value in values):
        raise InputError(_in_doubt(file, values, kind))
    integers = [int(value) for value in values]
    _check_not_the_other(file, kind, integers, stems)
    return (_from_devkit if kind == "devkit" else _from_index)(file, integers, options.synsets)


def _in_doubt(file: Path, values: Sequence[str], kind: str | None) -> str:
    stranger = next((value for value in values if not (value.isdecimal() or WNID.fullmatch(value))), None)
    if stranger is not None:
        return f"{file} holds the label {stranger!r}: expected wnids such as n01440764, or integers."
    if kind == "wnid":
        return f"{file} holds integers such as {values[0]}, not wnids: say --label-kind devkit or index."
    return (
        f"{file} holds integers, which could be devkit ids (1 to 1000, in an order of their own) or indices "
        "(0 to 999, in lexical order of the wnids): say --label-kind devkit, with --synsets, or --label-kind index."
    )


def _by_image(file: Path, stems: Sequence[str]) -> list[str]:
    """The label of each image, still as text: from lines `name label`, or from line n for image n."""
    lines = [line.split() for line in read_text(file, "labels").replace(",", " ").splitlines()]
    rows = [line for line in lines if line]
    if all(len(row) == 1 for row in rows):
        return _by_number(file, [row[0] for row in rows], stems)
    if rows and not re.search(r"_\d{8}", rows[0][0]):
        rows = rows[1:]  # a header
    return _by_name(file, rows, stems)


def _by_number(file: Path, values: Sequence[str], stems: Sequence[str]) -> list[str]:
    numbers = [int(stem[-8:]) for stem in stems]
    if numbers != list(range(1, len(values) + 1)):
        raise InputError(
            f"{file} has {len(values):,} lines without names, but the folder does not hold just the images 1 to "
            f"{len(values):,} (it holds {len(stems):,}): complete it, or give lines `name label`."
        )
    return list(values)


def _by_name(file: Path, rows: Sequence[Sequence[str]], stems: Sequence[str]) -> list[str]:
    label_of: dict[str, str] = {}
    for row in rows:
        name = row[0].rpartition("/")[2].partition(".")[0]
        if len(row) < 2 or label_of.setdefault(name, row[1]) != row[1]:
            raise InputError(f"{file} must give each image one label, in lines `name label`: see {' '.join(row)!r}.")
    without, gone = [s for s in stems if s not in label_of], sorted(label_of.keys() - set(stems))
    if without:
        raise InputError(f"{file} has no label for {len(without):,} images (first: {without[0]}).")
    if gone:
        raise InputError(
            f"{file} labels {len(gone):,} images that are not in the folder (first: {gone[0]}): the set is not complete. "
            "A smaller set needs a labels file with just its images."
        )
    return [label_of[stem] for stem in stems]


def _check_not_the_other(file: Path, kind: str, integers: Sequence[int], stems: Sequence[str]) -> None:
    """The first five labels of the real set are known, and tell devkit ids from indices."""
    first = tuple(integers[:5]) if stems[0].endswith("_00000001") else ()
    for other, known in (("devkit", _FIRST_BY_DEVKIT), ("index", _FIRST_BY_INDEX)):
        if kind != other and first == known:
            raise InputError(
                f"{file} begins with {', '.join(map(str, first))}: that is --label-kind {other}, not {kind}."
            )


def _from_wnids(file: Path, wnids: Sequence[str], synsets: Path | None) -> list[tuple[str, int]]:
    known = _read_wnids(synsets) if synsets else sorted(set(wnids))
    if len(known) != CLASSES:
        raise InputError(
            f"The images that {file} labels have {len(known)} different wnids, not {CLASSES}, so their indices do not follow: "
            "give a file with all of them with --synsets."
        )
    index = {wnid: place for place, wnid in enumerate(known)}
    strangers = [wnid for wnid in wnids if wnid not in index]
    if strangers:
        raise InputError(f"{file} has the wnid {strangers[0]}, which is not in {synsets}.")
    return [(wnid, index[wnid]) for wnid in wnids]


def _from_devkit(file: Path, ids: Sequence[int], synsets: Path | None) -> list[tuple[str, int]]:
    if synsets is None:
        raise InputError(
            f"Devkit ids, as in {file}, need the wnids they stand for: give the devkit's meta.mat, or lines `id wnid`, "
            "with --synsets."
        )
    _check_range(file, ids, range(1, CLASSES + 1), "devkit ids")
    wnid_of = _read_devkit_ids(synsets)
    index = {wnid: place for place, wnid in enumerate(sorted(wnid_of.values()))}
    return [(wnid_of[number], index[wnid_of[number]]) for number in ids]


def _from_index(file: Path, indices: Sequence[int], synsets: Path | None) -> list[tuple[str, int]]:
    _check_range(file, indices, range(CLASSES), "indices in lexical order")
    wnids = _read_wnids(synsets) if synsets else [str(index) for index in range(CLASSES)]
    return [(wnids[index], index) for index in indices]


def _check_range(file: Path, integers: Sequence[int], expected: range, what: str) -> None:
    strangers = [integer for integer in integers if integer not in expected]
    if strangers:
        raise InputError(
            f"{file} holds {strangers[0]}, but {what} are {expected.start} to {expected.stop - 1}: "
            "is --label-kind what the file holds?"
        )
    if len(integers) == _IMAGES and set(integers) != set(expected):
        missing = min(set(expected) - set(integers))
        raise InputError(f"{file} labels all of ImageNet's validation set, but no image with {missing}: it is damaged.")


def _read_synsets(file: Path) -> list[tuple[int | None, str]]:
    """The wnids with their ids: from the devkit's `meta.mat`, or from text with a wnid per line and its id before or after it."""
    pairs = _read_devkit(file) if file.suffix == ".mat" else _read_text(file)
    wnids = {wnid for _, wnid in pairs}
    if len(wnids) != CLASSES or len(pairs) != CLASSES:
        raise InputError(f"{file} must hold ImageNet's {CLASSES:,} wnids, each once: it holds {len(wnids):,}.")
    return pairs


def _read_wnids(file: Path) -> list[str]:
    return sorted(wnid for _, wnid in _read_synsets(file))


def _read_devkit_ids(file: Path) -> dict[int, str]:
    """Wnids by the devkit's ids; refuses any others."""
    found = {number: wnid for number, wnid in _read_synsets(file) if number is not None}
    if sorted(found) != list(range(1, CLASSES + 1)):
        raise InputError(
            f"{file} must give each wnid its devkit id, 1 to {CLASSES}: take the devkit's meta.mat, or lines `id wnid`."
        )
    if [found[number] for number in sorted(found)] == sorted(found.values()):
        raise InputError(
            f"The ids in {file} are places in lexical order, which devkit ids are not: take the devkit's meta.mat."
        )
    return found


def _read_text(file: Path) -> list[tuple[int | None, str]]:
    lines = [re.split(r"[\s,;]+", line.strip()) for line in read_text(file, "synsets").splitlines()]
    pairs: list[tuple[int | None, str]] = []
    for line in lines:
        wnid = next((word for word in line[:2] if WNID.fullmatch(word)), None)
        number = next((word for word in line[:2] if word.isdecimal()), None)
        if wnid is not None:
            pairs.append((None if number is None else int(number), wnid))
    return pairs


def _read_devkit(file: Path) -> list[tuple[int | None, str]]:
    from scipy.io import loadmat

    try:
        synsets = loadmat(file, squeeze_me=True)["synsets"]
        pairs = [(int(entry["ILSVRC2012_ID"]), str(entry["WNID"])) for entry in synsets]
    except (OSError, KeyError, ValueError, IndexError, TypeError, NotImplementedError) as error:
        raise InputError(f"{file} is not the devkit's meta.mat, with ILSVRC2012_ID and WNID: {error}.") from error
    return [(number, wnid) for number, wnid in pairs if number <= CLASSES]
