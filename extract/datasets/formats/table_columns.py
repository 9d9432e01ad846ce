"""Which columns of a table of images hold the image and the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_IMAGES = ("image", "img", "jpg", "png")
_LABELS = ("label", "labels", "class", "class_name", "cls")


@dataclass(frozen=True, slots=True)
class TableColumns:
    """The columns of a table of images.

    Attributes:
        image: The column with the images.
        label: The column with the labels; None if there is none.
        names: The class names that integer labels stand for; None if nothing says.
    """

    image: str
    label: str | None
    names: tuple[str, ...] | None

    def class_of(self, label: str | int | None) -> str:
        """The class name of a label."""
        if self.names is None or not isinstance(label, int) or not 0 <= label < len(self.names):
            return str(label)
        return self.names[label]


def choose_image(location: str, candidates: Sequence[str]) -> str:
    """The column with the images: the only one, or the one with the usual name.

    Raises:
        InputError: There is none, or none of several has a usual name.
    """
    usual = [name for name in _IMAGES if name in candidates]
    if len(candidates) != 1 and not usual:
        raise InputError(
            f"{location} has {len(candidates)} columns that could hold the images ({', '.join(candidates) or 'none'}): "
            "expected one with the struct {bytes, path} or with the images' bytes."
        )
    return candidates[0] if len(candidates) == 1 else usual[0]


def choose_label(location: str, columns: Sequence[str], classes: Sequence[str], wanted: str | None) -> str | None:
    """The column with the labels: the wanted one, the only one that is declared to hold classes, or the usual one.

    Raises:
        InputError: The wanted one does not exist, or several hold classes.
    """
    if wanted is not None and wanted not in columns:
        raise InputError(f"{location} has no column {wanted!r}: --label-column is one of {', '.join(columns)}.")
    if wanted is None and len(classes) > 1:
        raise InputError(f"{location} has several labels: choose one of {', '.join(classes)} with --label-column.")
    return wanted or next(iter(classes), None) or next((name for name in _LABELS if name in columns), None)


def label_of_class(columns: TableColumns, labels: Sequence[str | int | None]) -> dict[str, int] | None:
    """The label of each class where labels are integers; names follow lexical order."""
    if not all(isinstance(label, int) for label in labels):
        return None
    return {columns.class_of(label): int(label) for label in set(labels) if label is not None}


def check_labelled(location: str, labels: Sequence[str | int | None], role: str) -> None:
    """Raise if an ID dataset lacks labels, a label is negative, or integers and names are mixed."""
    if role == "ood":
        return
    if any(label is None or label == -1 for label in labels):
        raise InputError(f"{location} has images without a label: an ID dataset needs one for each (--label-column).")
