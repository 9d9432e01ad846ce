"""Whether datasets of a benchmark go together: no image has two roles, and ID datasets mean the same by a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.datasets.labelling.class_order import spelling
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extract.datasets.listing import Listing

_REMEDY = "classes must be the same, or give a CSV class_name,label with --labels."


def are_nested(place: str, other: str) -> bool:
    """Whether two places of images are one, or one is below the other.

    >>> are_nested("/images", "/images/ant"), are_nested("/images", "/images-2")
    (True, False)
    """
    place, other = place.rstrip("/") + "/", other.rstrip("/") + "/"
    return place.startswith(other) or other.startswith(place)


def check_other_images(location: str, listing: Listing, other_location: str, other: Listing, other_name: str) -> None:
    """Raise if images of a dataset are those of another one that has another role.

    Args:
        location: Where the images of the dataset that is added lie.
        listing: Its samples.
        other_location: Where those of the other one lie, in a place above or below.
        other: Its samples.
        other_name: Its name and role, in words.

    Raises:
        InputError: They share images.
    """
    theirs = {f"{other_location.rstrip('/')}/{path}" for path in other.paths}
    shared = [path for path in listing.paths if f"{location.rstrip('/')}/{path}" in theirs]
    if shared:
        raise InputError(
            f"{len(shared):,} of these images are in {other_name} of the same benchmark, too (first: {shared[0]}): an image has "
            "one role. Give another place, choose other images with --split, or name another benchmark with --benchmark."
        )


def check_same_classes(listing: Listing, other: Listing, other_name: str, *, stated: bool) -> None:
    """Raise if two ID datasets that are judged together have other classes.

    Args:
        listing: The samples of the dataset that is added.
        other: Those of the other one.
        other_name: Its name.
        stated: Whether a file said the labels of the added one's classes; then names may differ.

    Raises:
        InputError: A class would have two labels; or a label two classes; or no class is in both.
    """
    ours, theirs = listing.label_of_class, other.label_of_class
    for name, label in ours.items():
        if theirs.get(name, label) != label:
            raise InputError(
                f"Class {name!r} would get label {label} here, but has label {theirs[name]} in dataset {other_name!r}: {_REMEDY}"
            )
    if stated:
        return
    spelt = {spelling(name): name for name in theirs}
    for name in ours:
        if name not in theirs and (same := spelt.get(spelling(name))):
            raise InputError(
                f"Class {name!a} is {same!a} in dataset {other_name!r}, which differs only in case, spaces or Unicode form: {_REMEDY}"
            )
    by_label = _are_numbers(ours) or _are_numbers(theirs)
    shared = set(ours.values()) & set(theirs.values()) if by_label else ours.keys() & theirs.keys()
    if not shared:
        raise InputError(
            f"No class is in dataset {other_name!r}, too (here {_shown(ours)}; there {_shown(theirs)}): fit and ID datasets of a "
            f"benchmark have the same classes. Name another benchmark with --benchmark; if they are the same under other names, {_REMEDY}"
        )
    name_of = {label: name for name, label in theirs.items()}
    for name, label in ours.items():
        if not by_label and name not in theirs and label in name_of:
            raise InputError(
                f"Label {label} would be class {name!r} here, but is {name_of[label]!r} in dataset {other_name!r}: {_REMEDY}"
            )


def _are_numbers(label_of: Mapping[str, int | None]) -> bool:
    """Whether classes have no names but their labels, as in a list that holds just these."""
    return all(name == str(label) for name, label in label_of.items())


def _shown(label_of: Mapping[str, int | None]) -> str:
    names = sorted(label_of)
    return ", ".join(map(repr, names[:2])) + (", …" if len(names) > 2 else "")
