"""The source images: any folder of images, listed in an order that every machine agrees on."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from PIL import Image

from extract.datasets.formats.walk import IMAGE_SUFFIXES, is_image
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sources:
    """The source images of one folder.

    Attributes:
        root: the folder.
        names: the paths of its images relative to it, with forward slashes, sorted.
        digest: sha256 over the names and the sizes in bytes.
    """

    root: Path
    names: tuple[str, ...]
    digest: str

    def path(self, index: int) -> Path:
        """Give the path of one image."""
        return self.root / self.names[index]


def list_sources(root: Path) -> Sources:
    """List the images below a folder; hidden files and folders are not looked at.

    Raises:
        InputError: the folder is missing, cannot be read, is a file, or holds no image.
    """
    if not root.exists():
        raise InputError(f"there is no folder {root}; name a folder of images to draw the unit-tests from")
    if not root.is_dir():
        raise InputError(f"{root} is a file; name the folder of images to draw the unit-tests from")
    try:
        sizes = {path.relative_to(root).as_posix(): path.stat().st_size for path in _walk(root)}
    except OSError as error:
        raise InputError(
            f"cannot read {error.filename}: {error.strerror}; repair or remove it, then run again"
        ) from error
    if not sizes:
        raise InputError(f"{root} holds no image; the file names that count end in {', '.join(sorted(IMAGE_SUFFIXES))}")
    names = tuple(sorted(sizes))
    listing = "".join(f"{name}\0{sizes[name]}\n" for name in names)
    # A file name need not be valid text: what could not be decoded goes back to the bytes that it was.
    return Sources(root, names, hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest())


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode one image as RGB at its native size.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: the file cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise nearly anything on broken files.
        raise InputError(f"cannot decode the source image {path} ({error}); repair or remove it") from error


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and is_image(name):
                yield Path(folder, name)


def _refuse(error: OSError) -> NoReturn:
    raise error
