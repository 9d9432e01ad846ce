"""Which number a class has where only its name says it: text and natural order, integers, and ImageNet's wnids; doubt is refused."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extract.datasets.formats import WNID, imagenet_indices
from featurestore.errors import InputError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ORDERS = ("natural", "text", "imagenet")
INTEGER = re.compile(r"-?[0-9]+")
_DIGITS = re.compile(r"([0-9]+)")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_NO_VALUE = re.compile(r"nan|none|null|n/?a|<na>", re.IGNORECASE)
_SHOWN = 4
_REMEDY = "Say which the models' heads have with --label-order natural or text"
_OR_FILE = "or give a CSV class_name,label with --labels."


@dataclass(frozen=True, slots=True)
class ClassLabels:
    """Labels of classes.

    Attributes:
        of: The label of each class name.
        notes: What was inferred, a line each.
        inferred: The options that would have said it.
    """

    of: Mapping[str, int]
    notes: Sequence[str] = ()
    inferred: Mapping[str, str] = field(default_factory=dict)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """What sorts digits by their value and letters whatever their case, as timm sorts class folders.

    >>> sorted(["class_10", "Class_2"], key=natural_key)
    ['Class_2', 'class_10']
    """
    parts = _DIGITS.split(name.lower())
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], name


def order_classes(names: Sequence[str], where: str, said: str | None) -> ClassLabels:
    """The labels that class names alone give.

    Without a word from the user, names that are all ImageNet wnids have the indices of ImageNet; other names have their
    place in order, if text order and natural order agree, no two are spellings of one name, and they are no fractions; and
    integers only if that is their own value, too.

    Args:
        names: The class names, each once.
        where: What messages call the dataset.
        said: `natural`, `text`, `imagenet`, or None.

    Raises:
        InputError: The order is in doubt, or the names are not of ImageNet.
    """
    if said is not None:
        pick("label order", said, ORDERS)
    if said == "imagenet" or (said is None and _are_of_imagenet(names)):
        return _imagenet(names, where, inferred=said is None)
    text, natural = sorted(names), sorted(names, key=natural_key)
    integers = all(INTEGER.fullmatch(name) for name in names)
    if integers and min(map(int, names)) < 0:
        raise InputError(
            f"{where} has the label {min(map(int, names))}: an ID sample needs the index of its class, 0 or more."
        )
    if said is None and integers and [int(name) for name in text] != list(range(len(text))):
        raise InputError(_integers_in_doubt(where, text, natural))
    if said is None:
        _check_are_names(names, where)
    if said is None and text != natural:
        raise InputError(
            f"{where}: the order of its {len(names):,} classes is in doubt, and with it their labels: {_difference(text, natural)}. "
            f"{_REMEDY}, {_OR_FILE}"
        )
    ordered = natural if said == "natural" else text
    labels = {name: label for label, name in enumerate(ordered)}
    notes = [f"{where}: class names are the integers {text[0]} to {text[-1]}, which are the labels"] if integers else []
    return ClassLabels(labels, [] if said else notes)


def spelling(name: str) -> str:
    """What spellings of one name have in common, whatever their case, the spaces around them and their Unicode form.

    >>> spelling(" Ant") == spelling("ant")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def _check_are_names(names: Sequence[str], where: str) -> None:
    """Raise if names are numbers that are no integers, or gaps in these; or if two are spellings of one."""
    numbers = [name for name in names if _NUMBER.fullmatch(name)]
    odd = [name for name in names if not INTEGER.fullmatch(name)]
    if numbers and odd and all(_NUMBER.fullmatch(name) or _NO_VALUE.fullmatch(name) for name in odd):
        raise InputError(
            f"{where}: its {len(names):,} class names are numbers, of which some are no integers (first: {min(odd)!r}): write labels as "
            f"integers, and one for each image; if they are names, say --label-order natural or text, {_OR_FILE}"
        )
    first: dict[str, str] = {}
    for name in sorted(names):
        other = first.setdefault(spelling(name), name)
        if other != name:
            raise InputError(
                f"{where} has the classes {other!a} and {name!a}, which differ only in case, spaces or Unicode form: give them one name; "
                f"or, if they are two classes, say --label-order natural or text, {_OR_FILE}"
            )


def integer_labels(names: Sequence[str], where: str) -> dict[str, int]:
    """The labels of class names that are integers, and are meant as labels.

    Raises:
        InputError: One is no integer, or two are one number.
    """
    other = next((name for name in names if not INTEGER.fullmatch(name)), None)
    if other is not None:
        raise InputError(f"--label-kind index does not fit {where}: only integers are labels (index), not {other!r}.")
    name_of: dict[int, str] = {}
    for name in sorted(names):
        if (first := name_of.setdefault(int(name), name)) != name:
            raise InputError(f"{where} has the classes {first!r} and {name!r}, which are one index: write it one way.")
    return {name: label for label, name in sorted(name_of.items())}


def _are_of_imagenet(names: Sequence[str]) -> bool:
    return all(WNID.fullmatch(name) for name in names) and imagenet_indices().keys() >= set(names)


def _imagenet(names: Sequence[str], where: str, *, inferred: bool) -> ClassLabels:
    known = imagenet_indices()
    strangers = sorted(set(names) - known.keys())
    if strangers:
        raise InputError(
            f"--label-order imagenet does not fit {where}: {strangers[0]!r} is none of ImageNet's 1,000 wnids."
        )
    labels = {name: known[name] for name in sorted(names)}
    if not inferred:
        return ClassLabels(labels)
    note = (
        f"{where}: class names are {len(names):,} of ImageNet's 1,000 wnids; labels are ImageNet's indices of these, for heads of "
        "1,000 classes (--label-order text numbers them from 0)"
    )
    return ClassLabels(labels, [note], {"label_order": "imagenet"})


def _integers_in_doubt(where: str, text: Sequence[str], natural: Sequence[str]) -> str:
    said = f": {_difference(text, natural)}" if text != natural else ""
    return (
        f"{where}: its {len(text):,} class names are integers ({natural[0]} to {natural[-1]}), and could be labels or names in some order"
        f"{said}. If they are the indices of the heads' classes, say --label-kind index; if classes are numbered in order, "
        f"--label-order natural or text; {_OR_FILE}"
    )


def _difference(text: Sequence[str], natural: Sequence[str]) -> str:
    """Where two orders part, a few classes each."""
    first = next(place for place, (one, other) in enumerate(zip(text, natural, strict=True)) if one != other)
    begins = f"from label {first} on" if first else "from the first on"
    shown = [", ".join(map(repr, order[first : first + _SHOWN])) for order in (text, natural)]
    return f"{begins}, text order (torchvision's) has {shown[0]}, and natural order (timm's) {shown[1]}"
