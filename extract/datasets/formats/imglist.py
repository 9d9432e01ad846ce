"""Image lists as OpenOOD distributes them: a line `path label` for each image, where -1 stands for no label."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets.formats.file_list import open_list
from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.roots import find_root
from extract.datasets.formats.walk import read_text, sizes_below
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets.formats.format import FormatOptions

_LINE = re.compile(r"(\S.*?)\s+(-?[0-9]+)")
_NONE = "-1"


def list_imglist(location: str, role: str, options: FormatOptions) -> Found:
    """List the images in the list's order; the label is the last word of a line, since paths may hold spaces.

    Labels are the indices of the heads' classes, and name the classes. Without labels, the images of an OOD list are one
    class, of the file's name.

    Raises:
        InputError: The list cannot be read, a line is no `path label`, an ID image has no label, or an image is missing.
    """
    file = Path(location)
    paths, labels = read_imglist(file)
    unlabelled = sum(label == _NONE for label in labels)
    if role != "ood" and unlabelled:
        raise InputError(
            f"{file} gives {unlabelled:,} of {len(labels):,} images the label -1, which is none: that is a list for --role ood."
        )
    root = find_root(file, paths, options.root)
    inferred = {} if root in {options.root, file.parent} else {"root": root}
    notes = [f"{file}: its paths are relative to {root}, where its images are"] if inferred else []
    classes = [file.stem if label == _NONE else label for label in labels]
    label_of = None if role == "ood" else {label: int(label) for label in labels}
    return Found(paths, sizes_below(root, paths, listed_in=file), classes, label_of, notes, inferred)


def read_imglist(file: Path) -> tuple[Sequence[str], Sequence[str]]:
    """The path and the label of each line that is not empty.

    Raises:
        InputError: The file cannot be read, is empty, or has another line.
    """
    lines = [(number, line.strip()) for number, line in enumerate(read_text(file, "image list").splitlines(), 1)]
    found = [(number, line, _LINE.fullmatch(line)) for number, line in lines if line]
    wrong = next(((number, line) for number, line, match in found if match is None), None)
    if wrong or not found:
        what = f"has the line {wrong[1]!r} (number {wrong[0]})" if wrong else "has no line"
        raise InputError(
            f"{file} {what}: an image list has a line `path label` for each image, with an integer, -1 for none."
        )
    pairs = [(match[1], match[2]) for _, _, match in found if match]
    return [path for path, _ in pairs], [label for _, label in pairs]


IMGLIST = Format(
    "imglist",
    list_imglist,
    open_list,
    frozenset({"root"}),
    lambda location: [Path(location)],
)
