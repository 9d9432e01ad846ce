"""Labels of classes: none for OOD samples, else from a CSV file, from the source itself, or from the classes' names."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from extract.datasets.formats import WNID, imagenet_indices, read_text
from extract.datasets.labelling.class_order import INTEGER, ClassLabels, integer_labels, order_classes
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from extract.datasets.formats import FormatOptions, Found

_LARGEST = 2**31 - 1
_INDEX = "index"
_SAYING = ("labels", "label_kind", "label_order")
_NUMBERS = frozenset({"label", "labels", "index", "idx", "target", "class_index", "class_idx", "class_id"})
"""What a labels file calls the column of numbers."""


def label_classes(found: Found, role: str, where: str, options: FormatOptions) -> ClassLabels:
    """The label of each class; none for OOD samples.

    Args:
        found: The images.
        role: The dataset's role.
        where: What messages call the dataset.
        options: `labels`, a CSV file `class_name,label` that overrides the labels; `label_kind` and `label_order`.

    Raises:
        InputError: The file cannot be read, contradicts itself or lacks a class, a label is no index, or names alone do not
            say what the labels are.
    """
    said = [f"--{name.replace('_', '-')}" for name in _SAYING if getattr(options, name) is not None]
    if role == "ood":
        unheard = [f"{where}: OOD samples have no label, so that {' and '.join(said)} had no say"]
        return ClassLabels({}, unheard if said and options.adding else [])
    classes = sorted(set(found.class_names))
    if any(not name.strip() for name in classes):
        raise InputError(f"{where} has images whose class is empty: an ID dataset needs a class for each.")
    if len(said) > 1:
        raise InputError(f"{' and '.join(said)} both say the labels of classes: give one of them.")
    if options.label_kind not in {None, _INDEX}:
        raise InputError(f"--label-kind {options.label_kind} does not fit {where}: only integers are labels (index).")
    if options.labels is not None:
        return _from_file(options.labels, classes)
    if found.label_of_class is None:
        if options.label_kind == _INDEX:
            return ClassLabels(_checked(integer_labels(classes, where), where))
        return order_classes(classes, where, options.label_order)
    return _from_source(found.label_of_class, where, options)


def _from_source(said: Mapping[str, int], where: str, options: FormatOptions) -> ClassLabels:
    """The labels that stand in the source, unless they contradict the wnids that they stand beside."""
    labels = _checked(said, where)
    if options.label_order == "imagenet":
        return order_classes(list(labels), where, "imagenet")
    if options.label_order is not None:
        raise InputError(
            f"The labels of classes stand in {where} itself, so that --label-order has no say: leave it out, or give --labels."
        )
    wrong = _not_imagenets(labels)
    if wrong is not None and options.label_kind is None:
        raise InputError(
            f"{where} gives {wrong} the label {labels[wrong]}, but ImageNet's index of it is {imagenet_indices()[wrong]}: say "
            "--label-order imagenet for heads of 1,000 classes, or --label-kind index if the numbers that stand there are the heads'."
        )
    return ClassLabels(labels, _shared(labels, list(labels), where))


def _not_imagenets(labels: Mapping[str, int]) -> str | None:
    """The first wnid whose label is not ImageNet's index, if all names are wnids of ImageNet."""
    if not all(WNID.fullmatch(name) for name in labels):
        return None
    known = imagenet_indices()
    if not known.keys() >= labels.keys():
        return None
    return next((name for name, label in labels.items() if known[name] != label), None)


def _from_file(file: Path, classes: Sequence[str]) -> ClassLabels:
    labels = _checked(_read(file), str(file))
    missing = [name for name in classes if name not in labels]
    if missing:
        raise InputError(f"{file} has no label for the class {missing[0]!r} ({len(missing)} classes are missing).")
    notes = _shared(labels, classes, str(file))
    if len(labels) > len(classes):
        other = min(labels.keys() - set(classes))
        notes.append(f"{file}: {len(labels) - len(classes):,} of its classes have no image here (first: {other!r})")
    return ClassLabels(labels, notes)


def _shared(labels: Mapping[str, int], classes: Sequence[str], where: str) -> list[str]:
    """A line on classes that have one label; none if each has its own."""
    last = {labels[name]: name for name in classes}
    if len(last) == len(classes):
        return []
    name = next(name for name in classes if last[labels[name]] != name)
    first = f"{name!r} and {last[labels[name]]!r} have {labels[name]}"
    return [f"{where}: {len(classes):,} classes have {len(last):,} labels, since some share one (first: {first})"]


def _checked(labels: Mapping[str, int], where: str) -> Mapping[str, int]:
    for name, label in labels.items():
        if not 0 <= label <= _LARGEST:
            raise InputError(
                f"{where} gives class {name!r} the label {label}: an ID sample needs the index of its class, 0 or more."
            )
    return labels


def _read(file: Path) -> dict[str, int]:
    text = read_text(file, "labels")
    found: dict[str, int] = {}
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row] or [[]]
        named = [cell.strip().lower() for cell in header]
        numbers_first = len(named) == 2 and named[0] in _NUMBERS and named[1] not in _NUMBERS
        pairs = [(name, int(label)) for name, label in (row[::-1] if numbers_first else row for row in rows)]
    except ValueError as error:
        raise InputError(f"{file} must be a CSV with a header and two columns, class_name,label: {error}.") from error
    if len(header) == 2 and INTEGER.fullmatch(header[1].strip()):
        raise InputError(f"{file} has no header: its first line labels {header[0]!r}. Put class_name,label above it.")
    for name, label in pairs:
        if found.setdefault(name, label) != label:
            raise InputError(f"{file} gives class {name!r} the labels {found[name]} and {label}: it must be one.")
    return found
