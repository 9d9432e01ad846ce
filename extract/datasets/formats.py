"""The registry of dataset formats: how images lie on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.datasets.folder import list_folder
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from extract.datasets.listing import Listing

FORMATS: Mapping[str, Callable[[Path, str, Path | None], Listing]] = {"folder": list_folder}


def list_samples(format_: str, location: Path, role: str, labels: Path | None) -> Listing:
    """List a dataset's samples.

    Args:
        format_: Name of the format.
        location: Where the images lie.
        role: `fit`, `id`, `ood` or `val`; OOD samples get no label.
        labels: A CSV file `class_name,label` that overrides the labels.

    Raises:
        MissingError: No format has that name.
        InputError: The images do not lie as the format says.
    """
    return FORMATS[pick("dataset format", format_, FORMATS)](location, role, labels)
