"""What lies in a lake, named by a manifest or not: stored objects sorted into partitions by their names alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from featurestore.errors import CorruptionError, InputError
from featurestore.layout import manifest as manifests
from featurestore.layout import paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from featurestore.layout.manifest import Manifest
    from featurestore.layout.tables import Table
    from featurestore.storage import Entry, Storage


@dataclass(frozen=True, slots=True)
class Holding:
    """The objects in one partition's folder that bear names of ours.

    Attributes:
        table: The partition's table.
        key: The partition's key, from its path.
        folder: The partition's folder.
        manifests: Manifests by version.
        fragments: Fragments by their keys in the storage.
    """

    table: Table
    key: Mapping[str, str]
    folder: str
    manifests: dict[int, Entry] = field(default_factory=dict)
    fragments: dict[str, Entry] = field(default_factory=dict)


def holdings(storage: Storage, table: Table) -> list[Holding]:
    """List a table once, and sort what is found into partitions."""
    return sort(table, storage.list(table.name))


def sort(table: Table, entries: Iterable[Entry]) -> list[Holding]:
    """Sort objects into partitions, in order of their folders; what does not look like ours is left out."""
    found: dict[str, Holding] = {}
    for entry in entries:
        place = _place(table, entry.key)
        if place is None:
            continue
        folder, key = place
        holding = found.setdefault(folder, Holding(table, key, folder))
        version = paths.manifest_version(entry.key)
        if version is None:
            holding.fragments[entry.key] = entry
        else:
            holding.manifests[version] = entry
    return [found[folder] for folder in sorted(found)]


def load(storage: Storage, entry: Entry) -> Manifest:
    """Read a manifest, and check that it describes the partition that it lies in.

    Raises:
        CorruptionError: It is not a manifest, or that of another partition or version.
        FormatError: It was written in a newer format.
    """
    manifest = manifests.from_json(storage.get(entry.key), entry.key)
    if f"{folder_of(manifest)}/{paths.manifest_name(manifest.version)}" != entry.key:
        raise CorruptionError(f"{entry.key} describes {manifest.title}: it was moved or altered.")
    return manifest


def folder_of(manifest: Manifest) -> str:
    """The folder that a manifest's own words put it in."""
    return "/".join([manifest.table, *(f"{name}={value}" for name, value in manifest.key.items())])


def _place(table: Table, path: str) -> tuple[str, dict[str, str]] | None:
    """A partition's folder and key, if the path is that of a manifest or a fragment of the table."""
    depth = 1 + len(table.keys)
    segments = path.split("/")
    folder, below = "/".join(segments[:depth]), segments[depth:]
    key = paths.partition_key(table, folder)
    is_manifest = len(below) == 1 and paths.manifest_version(path) is not None
    if key is None or not (is_manifest or _is_fragment(table, below)) or not _are_slugs(table, key):
        return None
    return folder, key


def _is_fragment(table: Table, below: list[str]) -> bool:
    names = tuple(segment.partition("=")[0] for segment in below[:-1])
    return bool(below) and names == table.part_keys and paths.fragment_number(below[-1]) is not None


def _are_slugs(table: Table, key: Mapping[str, str]) -> bool:
    try:
        paths.partition_path(table, key)
    except InputError:
        return False
    return True
