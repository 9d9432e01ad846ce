"""scikit-learn's bundled digit images as image folders: seven digits in distribution, three held out."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featurestore.errors import MissingError
from featurestore.staging import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

HELD_OUT = (3, 4, 9)
IMAGE_SIZE = 32
FIT_SHARE = 0.7
PRETRAIN_SHARE_OF_HELD_OUT = 0.5
SEED = 0
BRIGHTEST = 16
COMPLETE = ".complete"
"""Written last: the number of images."""


@dataclass(frozen=True, slots=True)
class DigitFolders:
    """Image folders with one subfolder per class.

    Attributes:
        pretrain: All ten digits: the images of `fit`, and those half of the held-out digits that are not in `near_ood`.
        fit: The seven in-distribution digits; trains the models and fits the detectors.
        id: The same seven digits, other images.
        near_ood: The three held-out digits.
    """

    pretrain: Path
    fit: Path
    id: Path
    near_ood: Path


def write_digits(out: Path) -> DigitFolders:
    """Write the digit images as 32x32 grayscale PNG files named after their position in scikit-learn's data.

    The split is seeded and stratified by digit. Files that are already there are kept, so that a killed run is
    continued and a complete one is skipped.

    Args:
        out: The folder that gets the four image folders; created if missing.

    Returns:
        Where the image folders are.

    Raises:
        MissingError: If scikit-learn is not installed.
    """
    folders = DigitFolders(pretrain=out / "pretrain", fit=out / "fit", id=out / "id", near_ood=out / "near-ood")
    if _is_complete(out):
        return folders
    images, digits = _load()
    out.mkdir(parents=True, exist_ok=True)
    planned = list(_plan(folders, digits))
    for path, position in planned:
        if not path.exists():
            write_whole(path, _png(images[position]), scratch=out)
    write_whole(out / COMPLETE, str(len(planned)).encode(), scratch=out)
    return folders


def _is_complete(out: Path) -> bool:
    """Whether an earlier run ended and its files are all there: then scikit-learn need not be loaded."""
    marker = out / COMPLETE
    return marker.is_file() and marker.read_text(encoding="ascii") == str(sum(1 for _ in out.glob("*/*/*.png")))


def _load() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingError(
            "the demo's images come with scikit-learn, which is not installed: pip install 'featurestore[demo]'"
        ) from error
    bunch = load_digits()
    return bunch.images, bunch.target


def _plan(folders: DigitFolders, digits: NDArray[np.int64]) -> Iterator[tuple[Path, int]]:
    """Every file to write, with the position of its image in scikit-learn's data."""
    generator = np.random.default_rng(SEED)
    for digit in range(10):
        positions = generator.permutation(np.flatnonzero(digits == digit))
        held_out = digit in HELD_OUT
        cut = round(len(positions) * (PRETRAIN_SHARE_OF_HELD_OUT if held_out else FIT_SHARE))
        first, rest = positions[:cut], positions[cut:]
        parts = [(folders.pretrain, first)]
        parts += [(folders.near_ood, rest)] if held_out else [(folders.fit, first), (folders.id, rest)]
        for folder, part in parts:
            for position in part:
                yield folder / f"digit-{digit}" / f"{position:04d}.png", int(position)


def _png(image: NDArray[np.float64]) -> bytes:
    from PIL import Image

    brightness = np.round(image * (255 / BRIGHTEST)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(brightness).resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC).save(buffer, format="PNG")
    return buffer.getvalue()
