"""Splits of a dataset that lie side by side, as folders or as files: one of them must be chosen, since each is a set of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_KINDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_BESIDE = frozenset({"image", "images", "img", "imgs", "set", "data", "split", "jpg", "jpeg", "png"})
_WORDS = re.compile(r"[A-Za-z]+")
_NUMBERED = re.compile(r"(.+)-\d{5}-of-\d{5}")


@dataclass(frozen=True, slots=True)
class SplitFolders:
    """Folders of which each is a split.

    Attributes:
        level: How many folders lie above them.
        names: Their names, in order.
        shared: Whether all images share the folders above, so that classes are below.
    """

    level: int
    names: tuple[str, ...]
    shared: bool

    def refusal(self, location: str) -> str:
        """What to say to a user who chose none."""
        return (
            f"The folders in {location} are splits ({', '.join(self.names)}), which are different datasets: "
            f"choose one with --split {self.names[0]}; if they are classes, give their images with --format csv."
        )

    def chosen(self, split: str, location: str) -> str:
        """The folder of the split that the user names.

        Raises:
            InputError: There is none, or there are several.
        """
        return choose_split(self.names, split, location)

    def class_of(self, path: str) -> str | None:
        """The class of an image: the folder below its split, or above where those differ; None where it has none."""
        folders = path.split("/")[:-1]
        rest = folders[self.level + 1 :] if self.shared else folders
        return rest[0] if rest else None


def is_split(name: str) -> bool:
    """Whether a name is that of a split, and nothing else."""
    return _of_folder(name) is not None


def choose_split(names: Sequence[str], split: str, location: str) -> str:
    """The one of the names that a user means, as it is written or by its kind.

    Raises:
        InputError: There is none, or there are several.
    """
    found = [name for name in names if name == split] or [name for name in names if _is_split(name, split)]
    if len(found) != 1:
        raise InputError(f"{location} has no one split {split!r}: --split is one of {', '.join(names)}.")
    return found[0]


def split_folders(paths: Iterable[str]) -> SplitFolders | None:
    """The folders that are splits: the first level where all images have one, and all are called as splits are, or several of them.

    Below folders that differ, they must be two or more: a class may hold one folder of that name. Beside `train` and `val`,
    `extra` is a split, too; beside `train` alone, other folders are classes as it is one.
    """
    left, shared, level = [path.split("/")[:-1] for path in paths], True, 0
    while left and all(len(folders) > level for folders in left):
        names = {folders[level] for folders in left}
        if _several_kinds(names) or (shared and all(map(_of_folder, names))):
            return SplitFolders(level, tuple(sorted(names)), shared)
        shared, level = shared and len(names) == 1, level + 1
    return None


def splits_of_images(paths: Iterable[str]) -> dict[str, str] | None:
    """The split of each image where the names of all say one, and not all the same: `train_001.png` beside `val_001.png`."""
    found: dict[str, str] = {}
    for path in paths:
        kind = _of_word(path[path.rfind("/") + 1 :].rpartition(".")[0])
        if kind is None:
            return None
        found[path] = kind
    return found if len(set(found.values())) > 1 else None


def _several_kinds(names: Collection[str]) -> bool:
    """Whether names are those of several splits, maybe among others: `train` and `val`, or `birds_train` and `birds_val`."""
    kinds: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for name in names:
        words = [word.lower() for word in _WORDS.findall(name)]
        rest = tuple(word for word in words if word not in _KINDS)
        if kind := _of_word(name):
            kinds[() if _of_folder(name) else rest].add(kind)
    return any(len(found) > 1 for found in kinds.values())


def one_split(location: str, files: Sequence[str], split: str | None, *, adding: bool = True) -> list[str]:
    """The files of the split that is named; all of them if none is, and they are of no two.

    A file's split is what its name, or that of a folder above it, says: `train-00000-of-00005.parquet`, `val/0001.tar`. Names
    that a user wrote out, with braces or `::`, are taken as they are.

    Args:
        location: Where they lie.
        files: The addresses of all of them.
        split: The split, if the user named one.
        adding: Whether the dataset is being added: one that a lake holds is read again as it was.

    Raises:
        InputError: Files are of several splits, of which none is named; or none is of the one that is.
    """
    of = {file: _of_file(file) for file in files}
    names = sorted({name for name in of.values() if name})
    if split is not None:
        exact = [file for file in files if of[file] == split]
        found = exact or [file for file in files if (name := of[file]) and _is_split(name, split)]
        if not found or len({of[file] for file in found}) > 1:
            raise InputError(
                f"{location} has no one split {split!r}: its files say {', '.join(names) or 'none in their names'}."
            )
        return found
    if len(names) > 1 and adding and "::" not in location and "{" not in location:
        raise InputError(
            f"{location} holds several splits ({', '.join(names)}), which are different datasets: choose one with --split {names[0]}, "
            "or write the files' names out with {} or ::."
        )
    return list(files)


def _is_split(name: str, split: str) -> bool:
    """Whether a name is that of a split, as written or as its kind: `val` for `validation`."""
    kind = _KINDS.get(split.lower())
    return name.lower() == split.lower() or (kind is not None and (_of_folder(name) or _of_word(name)) == kind)


def _of_folder(name: str) -> str | None:
    """The kind of split that a folder is called after, and after nothing else: `train`, `val2017`, `test_images`."""
    words = [word.lower() for word in _WORDS.findall(name)]
    kinds = [_KINDS[word] for word in words if word in _KINDS]
    return kinds[0] if len(kinds) == 1 and all(word in _KINDS or word in _BESIDE for word in words) else None


def _of_file(place: str) -> str | None:
    """The split of a file by its address: numbered as the hub numbers them, else a word of its name, else a folder's."""
    *folders, name = place.split("/")
    stem = name.rpartition(".")[0]
    if match := _NUMBERED.fullmatch(stem):
        return match[1]
    return _of_word(stem) or next((folder for folder in reversed(folders) if _of_folder(folder)), None)


def _of_word(stem: str) -> str | None:
    kinds = [_KINDS[word.lower()] for word in _WORDS.findall(stem) if word.lower() in _KINDS]
    return kinds[0] if len(set(kinds)) == 1 else None
