"""Image lists as OpenOOD distributes them: a line `path label` for each image, where -1 stands for no label."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from extract.datasets.formats.file_list import open_list
from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.roots import locate
from extract.datasets.formats.walk import read_text
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets.formats.format import FormatOptions

_LABEL = re.compile(r"-?[0-9]+")
_NONE = "-1"


@dataclass(frozen=True, slots=True)
class ImageList:
    """What an image list says.

    Attributes:
        name: What messages call it.
        paths: The images, in its order.
        labels: Their labels as they stand there; -1 for none.
    """

    name: str
    paths: list[str]
    labels: list[str]

    def found(self, role: str, sizes: Sequence[int], notes: Sequence[str] = (), root: Path | None = None) -> Found:
        """Its images: labels name their classes, and those without are one class, of the list's name.

        Args:
            role: The dataset's role.
            sizes: The images' sizes.
            notes: What was inferred.
            root: The folder that was found.

        Raises:
            InputError: An ID image has no label.
        """
        unlabelled = sum(label == _NONE for label in self.labels)
        if role != "ood" and unlabelled:
            raise InputError(
                f"{self.name} gives {unlabelled:,} of {len(self.labels):,} images the label -1, which is none: "
                "that is a list for --role ood."
            )
        classes = [PurePosixPath(self.name).stem if label == _NONE else label for label in self.labels]
        label_of = None if role == "ood" else {label: int(label) for label in self.labels}
        return Found(self.paths, sizes, classes, label_of, notes, {"root": root} if root else {})


def list_imglist(location: str, role: str, options: FormatOptions) -> Found:
    """List the images in the list's order; the label is the last word of a line, since paths may hold spaces.

    Labels are the indices of the heads' classes, and name the classes. Without labels, the images of an OOD list are one
    class, of the file's name.

    Raises:
        InputError: The list cannot be read, a line is no `path label`, an ID image has no label, or an image is missing.
    """
    file = Path(location)
    said = read_imglist(location, read_text(file, "image list"))
    root, sizes = locate(file, said.paths, options.root)
    if root in {options.root, file.parent}:
        return said.found(role, sizes)
    return said.found(role, sizes, [f"{file}: its paths are relative to {root}, where its images are"], root)


def read_imglist(name: str, text: str) -> ImageList:
    """The path and the label of each line that is not empty.

    Raises:
        InputError: There is none, or another line.
    """
    pairs = [line.rsplit(maxsplit=1) for line in text.splitlines()]
    labels = {pair[-1] for pair in pairs if pair}
    strange = {label for label in labels if not _LABEL.fullmatch(label)}
    wrong = next((n for n, pair in enumerate(pairs) if len(pair) == 1 or (pair and pair[1] in strange)), None)
    if wrong is not None or not labels:
        what = "has no line" if wrong is None else f"has the line {' '.join(pairs[wrong])!r} (number {wrong + 1})"
        raise InputError(
            f"{name} {what}: an image list has a line `path label` for each image, with an integer, -1 for none."
        )
    whole = [pair for pair in pairs if pair]
    return ImageList(name, [pair[0].lstrip() for pair in whole], [pair[1] for pair in whole])


IMGLIST = Format(
    "imglist",
    list_imglist,
    open_list,
    frozenset({"root"}),
    lambda location: [Path(location)],
)
