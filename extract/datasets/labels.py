"""Labels of classes: none for OOD samples, else from a CSV file, from the source itself, or by lexical order."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from extract.datasets.formats import read_text
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extract.datasets.formats import Found

_LARGEST = 2**31 - 1


def label_of_class(found: Found, role: str, file: Path | None) -> Mapping[str, int]:
    """The label of each class; empty for OOD samples.

    Args:
        found: The images.
        role: The dataset's role.
        file: A CSV file `class_name,label` that overrides the labels.

    Raises:
        InputError: The file cannot be read or lacks a class, or a label is no index.
    """
    if role == "ood":
        return {}
    classes = sorted(set(found.class_names))
    if file is None:
        labels = found.label_of_class or {name: index for index, name in enumerate(classes)}
        return _checked(labels, "The dataset")
    labels = _checked(_read(file), str(file))
    missing = [name for name in classes if name not in labels]
    if missing:
        raise InputError(f"{file} has no label for the class {missing[0]!r} ({len(missing)} classes are missing).")
    return labels


def _checked(labels: Mapping[str, int], where: str) -> Mapping[str, int]:
    for name, label in labels.items():
        if not 0 <= label <= _LARGEST:
            raise InputError(
                f"{where} gives class {name!r} the label {label}: an ID sample needs the index of its class, 0 or more."
            )
    return labels


def _read(file: Path) -> dict[str, int]:
    text = read_text(file, "labels")
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))[1:]
        return {name: int(label) for name, label in rows}
    except ValueError as error:
        raise InputError(f"{file} must be a CSV with a header and two columns, class_name,label: {error}.") from error
