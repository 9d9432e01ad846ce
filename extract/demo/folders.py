"""Reading the demo's image folders: one subfolder per class, labels in the order of the subfolders' names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LabelledFiles:
    """The images of one folder.

    Attributes:
        paths: One file per image, sorted by class and name.
        labels: One label per image, from 0.
        classes: How many classes there are.
        digest: sha256 over the names, labels and bytes of the images.
    """

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    classes: int
    digest: str


def read_folder(folder: Path) -> LabelledFiles:
    """List the PNG images of a folder with one subfolder per class.

    Args:
        folder: What `write_digits` wrote.

    Returns:
        The images with their labels.

    Raises:
        InputError: If there are none.
    """
    classes = sorted(path for path in folder.glob("*") if path.is_dir())
    labelled = [(path, label) for label, directory in enumerate(classes) for path in sorted(directory.glob("*.png"))]
    if not labelled:
        raise InputError(f"no images in {folder}: expected CLASS/NAME.png, as write_digits writes them")
    return LabelledFiles(
        paths=tuple(path for path, _ in labelled),
        labels=tuple(label for _, label in labelled),
        classes=len(classes),
        digest=_digest(labelled),
    )


def _digest(labelled: list[tuple[Path, int]]) -> str:
    digest = hashlib.sha256()
    for path, label in labelled:
        digest.update(f"{label} {path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
