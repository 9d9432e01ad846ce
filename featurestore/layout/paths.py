"""Where things lie in a lake: pure builders and parsers of paths, relative to the lake's root."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from featurestore.errors import InputError
from featurestore.names import check_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featurestore.layout.tables import Table

_FRAGMENT = re.compile(r"[0-9a-f]{12}-([0-9]{5,})\.parquet")
# A folder whose name has two `=` is no column to those that read folders as columns, who all decode this.
_EQUALS, _ENCODED = "=", "%3D"
_MANIFEST = re.compile(r"_manifest\.([1-9][0-9]*)\.json")


def partition_path(table: Table, key: Mapping[str, str]) -> str:
    """`activations/model=M/dataset=D`: the folder of a partition.

    Raises:
        InputError: A value of the key is not a slug, nor a view of a model.
    """
    return "/".join([table.name, *_segments(table.keys, key)])


def part_path(table: Table, part_key: Mapping[str, str]) -> str:
    """`detector=msp`: the folder of a part, relative to its partition; empty where a partition has one part."""
    return "/".join(_segments(table.part_keys, part_key))


def fragment_name(fingerprint: str, number: int) -> str:
    """`0123456789ab-00007.parquet`: a fragment's file name."""
    return f"{fingerprint[:12]}-{number:05d}.parquet"


def fragment_number(path: str) -> int | None:
    """The number that a path's file name gives, or None if it is no fragment."""
    match = _FRAGMENT.fullmatch(path.rpartition("/")[2])
    return int(match[1]) if match else None


def manifest_name(version: int) -> str:
    """`_manifest.3.json`: the file name of a partition's third commit."""
    return f"_manifest.{version}.json"


def manifest_version(path: str) -> int | None:
    """The version that a path's file name gives, or None if it is no manifest."""
    match = _MANIFEST.fullmatch(path.rpartition("/")[2])
    return int(match[1]) if match else None


def partition_key(table: Table, folder: str) -> dict[str, str] | None:
    """The key of a partition folder, or None if the folder is not a partition of the table."""
    head, *segments = folder.split("/")
    pairs = [segment.partition("=") for segment in segments]
    if head != table.name or tuple(name for name, _, _ in pairs) != table.keys:
        return None
    return {name: decoded(value) for name, _, value in pairs}


def partition_of(table: Table, path: str) -> str | None:
    """The folder of the partition of which a path is a manifest's or a fragment's, or None if it is no such path."""
    depth = 1 + len(table.keys)
    segments = path.split("/")
    folder, below = "/".join(segments[:depth]), segments[depth:]
    key = partition_key(table, folder)
    inner = tuple(segment.partition("=")[0] for segment in below[:-1])
    is_manifest = len(below) == 1 and manifest_version(path) is not None
    is_fragment = bool(below) and inner == table.part_keys and fragment_number(path) is not None
    if key is None or not (is_manifest or is_fragment):
        return None
    try:
        return partition_path(table, key)
    except InputError:
        return None


def encoded(value: str) -> str:
    """The value of a key's column as it stands in its folder's name.

    >>> encoded("knn@k=50")
    'knn@k%3D50'
    """
    return value.replace(_EQUALS, _ENCODED)


def decoded(value: str) -> str:
    """The value of a key's column from its folder's name.

    >>> decoded("knn@k%3D50")
    'knn@k=50'
    """
    return value.replace(_ENCODED, _EQUALS)


def _segments(names: tuple[str, ...], key: Mapping[str, str]) -> list[str]:
    return [f"{name}={encoded(check_key(name, key[name]))}" for name in names]
