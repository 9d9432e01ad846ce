"""Which columns of a table of images hold the image and the label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_IMAGES = ("image", "img", "jpg", "png")
_SHOWN = 40
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

    def classes_of(
        self, location: str, labels: Sequence[Any], role: str, unlabelled: str
    ) -> tuple[list[str], dict[str, int] | None]:
        """The class of each image, and the label of each class where the schema names what integers stand for.

        Integers without names are class names, too: what they mean is not said. A name that stands for several integers, as
        ImageNet's `crane` does, is followed by its own.

        Raises:
            InputError: An ID dataset lacks labels, or one is negative, a fraction, or without a name.
        """
        if role != "ood" and any(label is None or label == -1 or label != label for label in labels):  # noqa: PLR0124 # not a number
            raise InputError(
                f"{location} has images without a label: an ID dataset needs one for each (--label-column)."
            )
        if role != "ood" and (fraction := next((label for label in labels if isinstance(label, float)), None)):
            raise InputError(
                f"{location} has the label {fraction}, a fraction: choose another column with --label-column."
            )
        if (
            role != "ood"
            and (odd := next((label for label in labels if not isinstance(label, str | int)), None)) is not None
        ):
            raise InputError(
                f"{location} has the label {str(odd)[:_SHOWN]}, which is neither a number nor a name: choose another column with "
                "--label-column."
            )
        if self.label is None:
            return [unlabelled] * len(labels), None
        if self.names is None or not all(isinstance(label, int) for label in labels):
            return list(map(str, labels)), None
        name_of = self._name_of(location, set(labels), role)
        return [name_of[label] for label in labels], {name: label for label, name in sorted(name_of.items())}

    def passed_over(self, location: str, columns: Sequence[str], images: Sequence[str]) -> list[str]:
        """A line on the columns that could be meant as well; none if there are none."""
        others = [name for name in columns if name in {*images, *_LABELS} and name not in {self.image, self.label}]
        if not others:
            return []
        label = f", {self.label!r} the labels" if self.label else ""
        return [f"{location}: column {self.image!r} holds the images{label}; passed over: {', '.join(others)}"]

    def _name_of(self, location: str, labels: set[int], role: str) -> dict[int, str]:
        names = dict(enumerate(self.names or ()))
        strangers = sorted(labels - names.keys())
        if strangers and role != "ood":
            raise InputError(
                f"{location} has the label {strangers[0]}, but names only the classes 0 to {len(names) - 1}."
            )
        counts = Counter(names.values())
        unique = {label: f"{name} ({label})" if counts[name] > 1 else name for label, name in names.items()}
        return {label: unique.get(label, str(label)) for label in labels}


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


def choose_columns(
    location: str,
    columns: Sequence[str],
    images: Sequence[str],
    classes: Mapping[str, Sequence[str] | None],
    wanted: str | None,
) -> TableColumns:
    """The columns that matter; labels are in the wanted one, the only one that is declared to hold classes, or the usual one.

    Args:
        location: What messages call the table.
        columns: All of them.
        images: Those that could hold images.
        classes: Those that are declared to hold classes, each with their names.
        wanted: The one that the user said holds the labels.

    Raises:
        InputError: As `choose_image`; or the wanted one does not exist, or several hold classes.
    """
    image = choose_image(location, images)
    others = [name for name in columns if name != image]
    if wanted is not None and wanted not in others:
        raise InputError(f"{location} has no column {wanted!r}: --label-column is one of {', '.join(others)}.")
    if wanted is None and len(classes) > 1:
        raise InputError(f"{location} has several labels: choose one of {', '.join(classes)} with --label-column.")
    label = wanted or next(iter(classes), None) or next((name for name in _LABELS if name in others), None)
    names = classes.get(label or "")
    return TableColumns(image, label, tuple(names) if names else None)
