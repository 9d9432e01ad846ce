"""The folder that the paths of a list are relative to: the one that was said, the list's own, or one that holds the images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets.formats.walk import sizes_below
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FOLDERS_OF_IMAGES = ("images_largescale", "images_classic", "images_medical", "images", "data")
_LEVELS = 4


def locate(file: Path, paths: Sequence[str], said: Path | str | None) -> tuple[Path, list[int]]:
    """The folder that a list's paths are relative to, and the sizes of its images; see `find_root` and `sizes_below`."""
    root = find_root(file, paths, said)
    if said is not None:
        return root, sizes_below(root, paths, file)
    return root, sizes_below(root, paths, file, "correct the list, or say with --root in which folder its images are")


def find_root(file: Path, paths: Sequence[str], said: Path | str | None) -> Path:
    """The folder that a list's paths are relative to.

    If nothing is said, it is the list's own folder if that holds its first image; else the only one of the folders above,
    and of their folders of images, that holds the first, the middle and the last.

    Raises:
        InputError: Several folders hold them.
    """
    if said is not None or not paths or (file.parent / paths[0]).is_file():
        return Path(said or file.parent)
    probes = {paths[0], paths[len(paths) // 2], paths[-1]}
    found = [folder for folder in _near(file) if all((folder / path).is_file() for path in probes)]
    if len(found) > 1:
        raise InputError(
            f"The paths in {file} could be relative to {' or '.join(map(str, found))}: say which with --root."
        )
    return found[0] if found else file.parent


def _near(file: Path) -> Iterator[Path]:
    for folder in file.absolute().parents[:_LEVELS]:
        yield folder
        yield from (folder / name for name in _FOLDERS_OF_IMAGES)
