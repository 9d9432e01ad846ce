"""ImageNet's 1,000 classes: their wnids, and their ids in the ILSVRC2012 devkit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from featurestore.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = 1_000
WNID = re.compile(r"n\d{8}")


def read_synsets(file: Path, *, by_devkit_id: bool = False) -> dict[int, str]:
    """Read wnids by id: from the devkit's `meta.mat`, or from text with a wnid per line and its id before or after it.

    Args:
        file: The file.
        by_devkit_id: Whether the ids must be the devkit's; else the wnids are numbered by line.

    Raises:
        InputError: The file does not hold 1,000 wnids, or their ids are not the devkit's.
    """
    pairs = _read_devkit(file) if file.suffix == ".mat" else _read_text(file)
    wnids = [wnid for _, wnid in pairs]
    if len(set(wnids)) != CLASSES or len(wnids) != CLASSES:
        raise InputError(f"{file} must hold ImageNet's {CLASSES:,} wnids, each once: it holds {len(set(wnids)):,}.")
    if not by_devkit_id:
        return dict(enumerate(wnids))
    found = {number: wnid for number, wnid in pairs if number is not None}
    if sorted(found) != list(range(1, CLASSES + 1)):
        raise InputError(
            f"{file} must give each wnid its devkit id, 1 to {CLASSES}: take the devkit's meta.mat, or lines `id wnid`."
        )
    if [found[number] for number in sorted(found)] == sorted(wnids):
        raise InputError(
            f"The ids in {file} are places in lexical order, which devkit ids are not: take the devkit's meta.mat."
        )
    return found


def _read_text(file: Path) -> list[tuple[int | None, str]]:
    try:
        lines = [re.split(r"[\s,;]+", line.strip()) for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the synsets {file}: {getattr(error, 'strerror', None) or error}.") from error
    pairs: list[tuple[int | None, str]] = []
    for line in lines:
        wnid = next((word for word in line[:2] if WNID.fullmatch(word)), None)
        number = next((word for word in line[:2] if word.isdecimal()), None)
        if wnid is not None:
            pairs.append((None if number is None else int(number), wnid))
    return pairs


def _read_devkit(file: Path) -> list[tuple[int | None, str]]:
    from scipy.io import loadmat

    try:
        synsets = loadmat(file, squeeze_me=True)["synsets"]
        pairs = [(int(entry["ILSVRC2012_ID"]), str(entry["WNID"])) for entry in synsets]
    except (OSError, KeyError, ValueError, IndexError, TypeError, NotImplementedError) as error:
        raise InputError(f"{file} is not the devkit's meta.mat, with ILSVRC2012_ID and WNID: {error}.") from error
    return [(number, wnid) for number, wnid in pairs if number <= CLASSES]
