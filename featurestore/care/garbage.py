"""Garbage: what lies in a lake, looks like ours, and no current manifest names.

A removed partition goes in two collections: first its older manifests and fragments, then, with nothing left to hide, the
manifest that says so. Whoever lists while it goes never sees an older one as the newest.

Order matters, since jobs may write meanwhile. The lake is listed first and its manifests are read afterwards, so that
what a job committed in between is seen as named. An object counts as old from the latest of these moments: when it was
written; when the youngest fragment of the same unfinished job was; when the manifest that named it was superseded. So a
job that runs for days keeps its first fragments, and a reader keeps the version that it opened, for the grace period.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from featurestore.errors import LakeError
from featurestore.layout import paths
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from featurestore.layout.manifest import Manifest
    from featurestore.layout.tables import Table
    from featurestore.storage import Storage, StoredObject

    Aged: TypeAlias = tuple[StoredObject, datetime]

_WORKERS = 16
_NOW = datetime.max.replace(tzinfo=UTC)
"""The age of what was superseded while we looked: younger than any grace period."""


@dataclass(frozen=True, slots=True)
class StoredPartition:
    """The objects in one partition's folder that bear names of ours, whether a manifest names them or not.

    Attributes:
        folder: The partition's folder.
        manifests: Manifests by version.
        fragments: Fragments by their keys in the storage.
    """

    folder: str
    manifests: dict[int, StoredObject] = field(default_factory=dict)
    fragments: dict[str, StoredObject] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collection:
    """What was, or would be, deleted; and what is garbage too, but younger than the grace period."""

    deleted: tuple[StoredObject, ...]
    kept: tuple[StoredObject, ...]


def collect(storage: Storage, grace: timedelta, *, dry_run: bool = False, now: datetime | None = None) -> Collection:
    """Delete what no current manifest names and nothing has touched for the grace period.

    A lake in which no partition exists is left alone: it may not be a lake.

    Args:
        storage: The lake's storage.
        grace: How old garbage must be.
        dry_run: Delete nothing.
        now: The present; by default the clock's.

    Raises:
        CorruptionError: A current manifest cannot be read: nothing more is deleted, since it may name anything.
    """
    cutoff = _cutoff(now or datetime.now(UTC), grace)
    staged = {name: list(storage.leftovers(name)) for name in TABLES}
    stored = {name: stored_partitions(storage, table) for name, table in TABLES.items()}
    if not any(partition.manifests for partitions in stored.values() for partition in partitions):
        return Collection((), ())
    deleted: list[StoredObject] = []
    kept: list[StoredObject] = []
    for name, partitions in stored.items():
        ages = [*_garbage(storage, name, partitions), *((entry, entry.modified) for entry in staged[name])]
        doomed = [entry for entry, since in ages if since <= cutoff]
        kept += [entry for entry, since in ages if since > cutoff]
        if not dry_run:
            _delete(storage, doomed)
        deleted += doomed
    return Collection(tuple(deleted), tuple(kept))


def stored_partitions(storage: Storage, table: Table) -> list[StoredPartition]:
    """List a table once, and sort into partitions what bears names of ours, in order of their folders."""
    found: dict[str, StoredPartition] = {}
    for entry in storage.list(table.name):
        folder = paths.partition_of(table, entry.key)
        if folder is None:
            continue
        partition = found.setdefault(folder, StoredPartition(folder))
        version = paths.manifest_version(entry.key)
        if version is None:
            partition.fragments[entry.key] = entry
        else:
            partition.manifests[version] = entry
    return [found[folder] for folder in sorted(found)]


def unnamed(
    partition: StoredPartition, current: Manifest | None, superseded: Mapping[int, Manifest | None]
) -> list[Aged]:
    """The garbage of one partition, manifests first, each with the moment since which it is garbage.

    Args:
        partition: What was listed in the partition's folder.
        current: Its newest manifest, read after the listing; None if the partition does not exist.
        superseded: The older manifests that were listed, by version; None where one cannot be read.
    """
    if current is None:
        # A manifest that is there and then is not: someone is deleting the partition by hand.
        return [] if partition.manifests else _by_age(partition, partition.fragments, {})
    if not current.parts and not superseded and not partition.fragments:
        return [(entry, entry.modified) for entry in partition.manifests.values()]
    since = _superseded_at(partition, current, superseded)
    old = [entry for version, entry in sorted(partition.manifests.items()) if version < current.version]
    named = _named(current)
    fragments = {key: entry for key, entry in partition.fragments.items() if key not in named}
    return [(entry, max(entry.modified, since[entry.key])) for entry in old] + _by_age(partition, fragments, since)


def _garbage(storage: Storage, table: str, partitions: Sequence[StoredPartition]) -> list[Aged]:
    current = {manifest.folder: manifest for manifest in snapshot.current_commits(storage, TABLES[table])}
    found: list[Aged] = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        for partition in partitions:
            newest = current.get(partition.folder)
            old = [version for version in partition.manifests if newest and version < newest.version]
            loaded = pool.map(lambda entry: _load(storage, entry), [partition.manifests[version] for version in old])
            found += unnamed(partition, newest, dict(zip(old, loaded, strict=True)))
    return found


def _load(storage: Storage, entry: StoredObject) -> Manifest | None:
    """A superseded manifest; an unreadable one names nothing."""
    try:
        return snapshot.load(storage, entry.key)
    except LakeError:
        return None


def _superseded_at(
    partition: StoredPartition, current: Manifest, superseded: Mapping[int, Manifest | None]
) -> dict[str, datetime]:
    """When each superseded manifest, and each fragment that one named, stopped being current."""
    since: dict[str, datetime] = {}
    for version, successor in pairwise([*sorted(superseded), current.version]):
        end = partition.manifests[successor].modified if successor in partition.manifests else _NOW
        manifest = superseded[version]
        for key in (partition.manifests[version].key, *(_named(manifest) if manifest else ())):
            since[key] = max(end, since.get(key, end))
    return since


def _by_age(
    partition: StoredPartition, fragments: Mapping[str, StoredObject], since: Mapping[str, datetime]
) -> list[Aged]:
    """Fragments with their ages: those of one job are as young as its youngest."""
    youngest: dict[str, datetime] = {}
    for key, entry in partition.fragments.items():
        youngest[_job(key)] = max(entry.modified, youngest.get(_job(key), entry.modified))
    return [(entry, max(youngest[_job(key)], since.get(key, entry.modified))) for key, entry in fragments.items()]


def _job(key: str) -> str:
    """What the fragments of one target have in common: their folder and fingerprint."""
    return key.rpartition("-")[0]


def _named(manifest: Manifest) -> set[str]:
    return {path for part in manifest.parts for path, _ in manifest.files(part)}


def _delete(storage: Storage, doomed: Sequence[StoredObject]) -> None:
    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(lambda entry: storage.delete([entry.key]), doomed))


def _cutoff(now: datetime, grace: timedelta) -> datetime:
    try:
        return now - grace
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def summary(collection: Collection, *, dry_run: bool) -> list[str]:
    """What a collection did, a line for each table and one in all."""
    tables = sorted({_table(entry) for entry in collection.deleted})
    lines = [
        f"{table}: {_amount([entry for entry in collection.deleted if _table(entry) == table])}" for table in tables
    ]
    verb = "would be deleted" if dry_run else "deleted"
    lines.append(
        f"{_amount(collection.deleted)} {verb}; {_amount(collection.kept)} kept, younger than the grace period"
    )
    return lines


def _table(entry: StoredObject) -> str:
    return entry.key.partition("/")[0]


def _amount(entries: Sequence[StoredObject]) -> str:
    count = "1 object" if len(entries) == 1 else f"{len(entries):,} objects"
    return f"{count}, {bytes_text(sum(entry.bytes for entry in entries))}"
