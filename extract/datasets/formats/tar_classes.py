"""The class of an image in a tar: what a member beside it says, or its folder."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from extract.datasets.formats.tar_index import PackedObject, TarMember, read_member
from extract.datasets.formats.webdataset import key_of
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_NAME_KEYS = ("class_name", "classname", "label_name", "wnid", "synset")
_LABEL_KEYS = ("label", "cls", "class")


def sidecar_classes(
    shard: Path | PackedObject, members: Mapping[str, TarMember], images: Iterable[str]
) -> dict[str, tuple[str, int | None]]:
    """The class name and, if it is given, the label of each image that a `.cls` or `.json` member describes.

    Raises:
        InputError: Such a member cannot be read, or an image would have two labels.
    """
    found: dict[str, tuple[str, int | None]] = {}
    for image in images:
        key = key_of(image)
        said: dict[str, Any] = {}
        if (member := members.get(key + ".json")) is not None:
            said = _parse(shard, key + ".json", read_member(shard, member))
            _check_one_label(shard, key, said)
        if (member := members.get(key + ".cls")) is not None:
            text = _decode(shard, key + ".cls", read_member(shard, member))
            _check_one_label(shard, key, {**said, ".cls": text})
            said["label"] = text
        described = _class(said)
        if described is not None:
            found[image] = described
    return found


def folder_classes(names: Sequence[str], inside: str | None, location: str, role: str) -> list[str]:
    """Classes by folder: the first one below a folder that is given, or that all images share.

    Args:
        names: All images.
        inside: The folder, if it is given.
        location: The tar's place, whose name is the class of OOD images outside folders.
        role: The dataset's role.

    Raises:
        InputError: It is in doubt which folders are classes, or an ID image lies outside them.
    """
    folders = [_folders(name) for name in names]
    depth = _shared(set(folders)) if inside is None else len(inside.strip("/").split("/"))
    if inside is None and any(len(folder) > depth + 1 for folder in folders):
        deep = next("/".join(folder) for folder in sorted(folders) if len(folder) > depth + 1)
        raise InputError(
            f"{location} has folders in folders, such as {deep}: say which one holds the class folders with --inside."
        )
    outside = next((name for name, folder in zip(names, folders, strict=True) if len(folder) <= depth), None)
    if outside is not None and role != "ood":
        raise InputError(f"{outside} in {location} lies outside a class folder: an ID dataset needs labels.")
    return [folder[depth] if len(folder) > depth else PurePath(location).stem for folder in folders]


def _folders(name: str) -> tuple[str, ...]:
    return tuple(name.split("/")[:-1])


def _shared(folders: Iterable[tuple[str, ...]]) -> int:
    """How many leading folders all images share; at least the last one is left, as the class."""
    ordered = sorted(folders)
    first, last = ordered[0], ordered[-1]
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return min(same, max(len(min(ordered, key=len)) - 1, 0))


def _parse(shard: Path | PackedObject, name: str, content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content)
    except ValueError as error:
        raise InputError(f"{name} in {shard} is not JSON: {error}.") from error
    return said if isinstance(said, dict) else {}


def _decode(shard: Path | PackedObject, name: str, content: bytes) -> str:
    try:
        return content.decode().strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{name} in {shard} is not text: expected a label or a class name.") from error


def _check_one_label(shard: Path | PackedObject, key: str, said: Mapping[str, Any]) -> None:
    """Raise if what lies beside an image says two numbers for its class."""
    numbers = {word: number for word in (*_LABEL_KEYS, ".cls") if (number := _integer(said.get(word))) is not None}
    if len(set(numbers.values())) > 1:
        told = " and ".join(f"{number} ({word})" for word, number in numbers.items())
        raise InputError(f"What lies beside the image {key} in {shard} gives it the labels {told}: it must be one.")


def _integer(label: Any) -> int | None:
    try:
        return int(label) if isinstance(label, str | int) else None
    except ValueError:
        return None


def _class(said: Mapping[str, Any]) -> tuple[str, int | None] | None:
    label = next((said[key] for key in _LABEL_KEYS if isinstance(said.get(key), str | int)), None)
    name = next((str(said[key]) for key in _NAME_KEYS if said.get(key)), None)
    if label is None:
        return None if name is None else (name, None)
    try:
        return name or str(label), int(label)
    except ValueError:
        return name or str(label), None
