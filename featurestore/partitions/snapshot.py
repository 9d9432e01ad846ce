"""What a lake holds now: the manifest that counts of each partition."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from featurestore.errors import CorruptionError, MissingError
from featurestore.layout import basis, paths
from featurestore.layout import manifest as manifests
from featurestore.machine import collector_paused, each

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from featurestore.layout.manifest import Manifest
    from featurestore.layout.tables import Table
    from featurestore.storage import LakeCache, Storage

_AT_A_TIME = 1024


class Found(NamedTuple):
    """A manifest as a listing told of it: where it lies, and the mark that it has there, if any."""

    path: str
    mark: str = ""


def latest(storage: Storage, table: Table, key: Mapping[str, str]) -> Manifest | None:
    """The newest manifest of one partition, or None if the partition does not exist."""
    found = latest_commit(storage, table, key)
    return found if found and found.parts else None


def latest_commit(storage: Storage, table: Table, key: Mapping[str, str]) -> Manifest | None:
    """The newest manifest of one partition, also where it says that the partition was removed; None if there is none."""
    folder = paths.partition_path(table, key)
    found = _newest_below(storage, folder).get(folder)
    return load_all(storage, [found])[0] if found else None


def current(storage: Storage, table: Table, **key: str) -> list[Manifest]:
    """The newest manifests of the partitions that a table has, in order of their keys.

    Args:
        storage: The lake's storage.
        table: The table.
        key: Keep only the partitions with these values, e.g. `model="vit-b"`.
    """
    return [manifest for manifest in current_commits(storage, table, **key) if manifest.parts]


def current_commits(storage: Storage, table: Table, **key: str) -> list[Manifest]:
    """What `current` gives, and the manifests of partitions that were removed; arguments as there."""
    found = newest(storage, table, **key)
    with collector_paused():
        return load_all(storage, list(found.values()))


def newest(storage: Storage, table: Table, **key: str) -> dict[str, Found]:
    """The newest manifest of each partition of a table, by the partition's folder; arguments as of `current`."""
    levels = [f"{name}={paths.encoded(key[name]) if name in key else ''}" for name in table.keys]
    given = next((place for place, name in enumerate(table.keys) if name not in key), len(levels))
    below = _newest_below(storage, "/".join([table.name, *levels[:given]]), levels[given:])
    found = {}
    for folder, one in sorted(below.items()):
        own = paths.partition_key(table, folder)
        if own and all(own[name] == value for name, value in key.items() if name in own):
            found[folder] = one
    return found


def load(storage: Storage, path: str) -> Manifest:
    """Read a manifest where it lies, and check that it describes the partition that it lies in.

    Raises:
        CorruptionError: It is not a manifest, or that of another partition or version.
        FormatError: It was written in a newer format.
    """
    return _parsed(storage.get(path), path)


def load_found(storage: Storage, found: Found) -> Manifest:
    """What `load` reads, of a manifest that a listing has just told of: from the cache, if it is there under that mark."""
    return load_all(storage, [found])[0]


def load_all(storage: Storage, found: Sequence[Found]) -> list[Manifest]:
    """Read manifests: those that the cache has under the marks that a listing has just given them, from there.

    Raises:
        MissingError: One is not there any more.
        CorruptionError: One is not what it should be; see `load`.
    """
    cache = storage.cache
    if cache is None:
        return each(lambda one: load(storage, one.path), found, storage.at_once)
    # Some at a time: their bytes are several times what is made of them.
    some = [found[start : start + _AT_A_TIME] for start in range(0, len(found), _AT_A_TIME)]
    return [manifest for part in some for manifest in _load_some(storage, cache, part)]


def _load_some(storage: Storage, cache: LakeCache, found: Sequence[Found]) -> list[Manifest]:
    held = [cache.read_marked(*one) if one.mark else None for one in found]
    lacking = [one for one, data in zip(found, held, strict=True) if data is None]
    read = dict(zip(lacking, storage.get_all([one.path for one in lacking]), strict=True))
    for one, data in read.items():
        if one.mark:
            cache.keep_marked(*one, data)
    return [_parsed(data or read[one], one.path) for one, data in zip(found, held, strict=True)]


def _parsed(data: bytes, path: str) -> Manifest:
    manifest = basis.compared(manifests.from_json(data, path))
    if manifest.path != path:
        raise CorruptionError(f"{path} describes {manifest.title}: it was moved or altered.")
    return manifest


def keep_manifests(storage: Storage, tables: Iterable[Table]) -> None:
    """Bring the manifests of whole tables that the cache lacks into it, for who will look at them one by one."""
    cache = storage.cache
    if cache is None:
        return
    with ThreadPoolExecutor(storage.at_once) as pool:
        found = [one for of in pool.map(partial(newest, storage), tables) for one in of.values() if one.mark]
    lacking = [one for one in found if cache.read_marked(*one) is None]
    with contextlib.suppress(MissingError):  # replaced and collected meanwhile: whoever looks at it lists anew
        for one, data in zip(lacking, storage.get_all([one.path for one in lacking]), strict=True):
            cache.keep_marked(*one, data)


def _newest_below(storage: Storage, prefix: str, levels: Sequence[str] = ()) -> dict[str, Found]:
    """Per folder so many levels below a prefix (see `Storage.marked_in`), the manifest with the highest version."""
    found: dict[str, tuple[int, Found]] = {}
    for key, mark in storage.marked_in(prefix, levels):
        version = paths.manifest_version(key)
        if version is not None:
            folder = key.rpartition("/")[0]
            found[folder] = max(found.get(folder, (0, Found(""))), (version, Found(key, mark)))
    return {folder: one for folder, (_, one) in found.items()}
