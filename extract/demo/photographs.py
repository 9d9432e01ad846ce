"""Real images that packages bring along: photographs of things that ImageNet has a class for, and images of none of its classes."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from featurestore.errors import MissingError
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

_SKIMAGE, _SKLEARN = ("skimage", "data"), ("sklearn", "datasets", "images")

PHOTOGRAPHS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "camera.png": (_SKIMAGE, "n04485082"),  # tripod
    "chelsea.png": (_SKIMAGE, "n02123045"),  # tabby
    "china.jpg": (_SKLEARN, "n03877845"),  # palace
    "coffee.png": (_SKIMAGE, "n07920052"),  # espresso
    "rocket.jpg": (_SKIMAGE, "n03773504"),  # missile
}
"""Photographs of a thing that is one of ImageNet's classes: where they lie, and the class's wnid."""
OTHERS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "cell.png", "chessboard_GRAY.png", "coins.png", "color.png", "grass.png", "gravel.png", "hubble_deep_field.jpg",
            "ihc.png", "microaneurysms.png", "moon.png", "phantom.png", "retina.jpg", "text.png",
        ),
        _SKIMAGE,
    ),
    "flower.jpg": _SKLEARN,  # a dahlia
}  # fmt: skip
"""Images of no class of ImageNet's. Left out are those of which one may argue: a silhouette of a horse, a motorcycle, a brick wall."""


def write_photographs(out: Path) -> tuple[Path, Path]:
    """Write the photographs into a folder for each class, and the other images into one folder.

    Args:
        out: The folder that gets the two; created if missing. Files that are there are kept.

    Returns:
        Where the photographs are, and where the others.

    Raises:
        MissingError: A package is not installed, or does not bring an image along.
    """
    photographs, others = out / "photographs", out / "others"
    for name, (place, wnid) in PHOTOGRAPHS.items():
        _write(photographs / wnid / name, place, name)
    for name, place in OTHERS.items():
        _write(others / "other" / name, place, name)
    return photographs, others


def _write(path: Path, place: tuple[str, ...], name: str) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    package, *folders = place
    try:
        file: Traversable = files(package).joinpath(*folders, name)
        content = file.read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        library = {"skimage": "scikit-image", "sklearn": "scikit-learn"}[package]
        raise MissingError(f"The image {name} comes with {library}: pip install {library}.") from error
    write_whole(path, content, scratch=path.parents[2])
