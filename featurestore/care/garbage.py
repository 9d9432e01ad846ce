"""Garbage: what lies in a lake, looks like ours, and no current manifest names.

A removed partition goes in two collections: first its older manifests and fragments, then, with nothing left to hide, the
manifest that says so. Whoever lists while it goes never sees an older one as the newest.

Order matters, since jobs may write meanwhile. The lake is listed first and its manifests are read afterwards, so that
what a job committed in between is seen as named. An object counts as old from the latest of these moments: when it was
written; when the youngest fragment of the same unfinished job was; when the manifest that named it was superseded. So a
job that runs for days keeps its first fragments, and a reader keeps the version that it opened, for the grace period.
However short that is, what no manifest ever named is kept for ten minutes, since a job may be about to commit it; and manifests
are read once more right before anything is deleted.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from featurestore.errors import LakeError
from featurestore.layout import paths
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Collection as Keys
    from collections.abc import Mapping, Sequence

    from featurestore.layout.manifest import Manifest
    from featurestore.layout.tables import Table
    from featurestore.storage import Storage, StoredObject

    Aged: TypeAlias = tuple[StoredObject, datetime]

_WORKERS = 16
_COMMITTED_WITHIN = timedelta(minutes=10)
"""A job that runs commits what it wrote, or writes more of it, within this time."""
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
    """What was, or would be, deleted; what is garbage too, but younger than the grace period; and of that, what a job may be writing."""

    deleted: tuple[StoredObject, ...]
    kept: tuple[StoredObject, ...]
    unfinished: tuple[StoredObject, ...] = ()


def collect(
    storage: Storage,
    grace: timedelta,
    *,
    dry_run: bool = False,
    now: datetime | None = None,
    unfinished_for: timedelta = _COMMITTED_WITHIN,
) -> Collection:
    """Delete what no current manifest names and nothing has touched for the grace period.

    A lake in which no partition exists is left alone: it may not be a lake.

    Args:
        storage: The lake's storage.
        grace: How old garbage must be.
        dry_run: Delete nothing.
        now: The present; by default the clock's.
        unfinished_for: How old, at least, what no manifest ever named must be, since a job may be about to commit it.

    Raises:
        CorruptionError: A current manifest cannot be read: nothing more is deleted, since it may name anything.
    """
    now = now or datetime.now(UTC)
    cutoff, recent = _cutoff(now, grace), _cutoff(now, unfinished_for)
    staged = {name: list(storage.leftovers(name)) for name in TABLES}
    stored = {name: stored_partitions(storage, table) for name, table in TABLES.items()}
    if not any(partition.manifests for partitions in stored.values() for partition in partitions):
        return Collection((), ())
    deleted: list[StoredObject] = []
    kept: list[StoredObject] = []
    unfinished: list[StoredObject] = []
    for name, partitions in stored.items():
        found, once_named = _garbage(storage, name, partitions)
        ages = [*found, *((entry, entry.modified) for entry in staged[name])]
        at_work = [e for e, since in ages if recent < since <= cutoff and e.key not in once_named]
        spared = {entry.key for entry in at_work}
        doomed = [entry for entry, since in ages if since <= cutoff and entry.key not in spared]
        kept += [entry for entry, since in ages if since > cutoff or entry.key in spared]
        unfinished += at_work
        if not dry_run:
            doomed = _delete(storage, name, doomed)
        deleted += doomed
    return Collection(tuple(deleted), tuple(kept), tuple(unfinished))


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


def _garbage(storage: Storage, table: str, partitions: Sequence[StoredPartition]) -> tuple[list[Aged], Keys[str]]:
    """The garbage of a table, and the keys of that which a manifest named once, or which is one."""
    current = {manifest.folder: manifest for manifest in snapshot.current_commits(storage, TABLES[table])}
    found: list[Aged] = []
    once_named: set[str] = set()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for partition in partitions:
            newest = current.get(partition.folder)
            old = [version for version in partition.manifests if newest and version < newest.version]
            loaded = list(pool.map(lambda entry: _load(storage, entry), [partition.manifests[n] for n in old]))
            found += unnamed(partition, newest, dict(zip(old, loaded, strict=True)))
            once_named |= {entry.key for entry in partition.manifests.values()}
            once_named |= {key for manifest in loaded if manifest for key in _named(manifest)}
    return found, once_named


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


def _delete(storage: Storage, table: str, doomed: Sequence[StoredObject]) -> list[StoredObject]:
    """Delete what no manifest names even now, and return it; manifests last, so that what they named is still known should this fail."""
    if not doomed:
        return []
    named = {key for manifest in snapshot.current_commits(storage.afresh(), TABLES[table]) for key in _named(manifest)}
    gone = [entry for entry in doomed if entry.key not in named]
    with ThreadPoolExecutor(_WORKERS) as pool:
        for are_manifests in (False, True):
            keys = [entry.key for entry in gone if (paths.manifest_version(entry.key) is not None) == are_manifests]
            list(pool.map(lambda key: storage.delete([key]), keys))
    return gone


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
    if collection.unfinished:
        lines.append(
            f"{_amount(collection.unfinished)} of these are less than ten minutes old and named by no manifest yet: a job may be "
            "writing them, so they are kept in any case"
        )
    return lines


def _table(entry: StoredObject) -> str:
    return entry.key.partition("/")[0]


def _amount(entries: Sequence[StoredObject]) -> str:
    count = "1 object" if len(entries) == 1 else f"{len(entries):,} objects"
    return f"{count}, {bytes_text(sum(entry.bytes for entry in entries))}"
