"""Garbage: what lies in a lake, looks like ours, and no current manifest names.

Order matters, since jobs may write meanwhile. The lake is listed first and its manifests are read afterwards, so that
what a job committed in between is seen as named. An object counts as old from the latest of these moments: when it was
written; when the youngest fragment of the same unfinished job was; when the manifest that named it was superseded. So a
job that runs for days keeps its first fragments, and a reader keeps the version that it opened, for the grace period.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.errors import LakeError
from featurestore.layout.tables import TABLES
from featurestore.partitions import inventory, reading
from featurestore.quantities import bytes_text
from featurestore.staging import STAGED
from featurestore.storage import Entry, LocalStorage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta

    from featurestore.layout.manifest import Manifest
    from featurestore.partitions.inventory import Holding
    from featurestore.storage import Storage

_WORKERS = 16
_NOW = datetime.max.replace(tzinfo=UTC)
"""The age of what was superseded while we looked: younger than any grace period."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What was, or would be, deleted; and what is garbage too, but younger than the grace period."""

    deleted: tuple[Entry, ...]
    kept: tuple[Entry, ...]


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
    staged = list(_staged(storage))
    held = {name: inventory.holdings(storage, table) for name, table in TABLES.items()}
    if not any(holding.manifests for holdings in held.values() for holding in holdings):
        return Collection((), ())
    deleted: list[Entry] = []
    kept: list[Entry] = []
    for name, holdings in held.items():
        own = [entry for entry in staged if entry.key.startswith(f"{name}/")]
        ages = [*_garbage(storage, name, holdings), *((entry, entry.modified) for entry in own)]
        doomed = [entry for entry, since in ages if since <= cutoff]
        kept += [entry for entry, since in ages if since > cutoff]
        if not dry_run:
            _delete(storage, doomed)
        deleted += doomed
    return Collection(tuple(deleted), tuple(kept))


def unnamed(
    holding: Holding, current: Manifest | None, superseded: Mapping[int, Manifest | None]
) -> list[tuple[Entry, datetime]]:
    """The garbage of one partition, manifests first, each with the moment since which it is garbage.

    Args:
        holding: What was listed in the partition's folder.
        current: Its newest manifest, read after the listing; None if the partition does not exist.
        superseded: The older manifests that were listed, by version; None where one cannot be read.
    """
    if current is None:
        # A manifest that is there and then is not: someone is deleting the partition by hand.
        return [] if holding.manifests else _by_age(holding, holding.fragments, {})
    since = _superseded_at(holding, current, superseded)
    old = [entry for version, entry in sorted(holding.manifests.items()) if version < current.version]
    named = _named(current)
    fragments = {key: entry for key, entry in holding.fragments.items() if key not in named}
    return [(entry, max(entry.modified, since[entry.key])) for entry in old] + _by_age(holding, fragments, since)


def _garbage(storage: Storage, table: str, holdings: Sequence[Holding]) -> list[tuple[Entry, datetime]]:
    current = {inventory.folder_of(manifest): manifest for manifest in reading.snapshot(storage, TABLES[table])}
    found: list[tuple[Entry, datetime]] = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        for holding in holdings:
            newest = current.get(holding.folder)
            old = [version for version in holding.manifests if newest and version < newest.version]
            loaded = pool.map(lambda entry: _load(storage, entry), [holding.manifests[version] for version in old])
            found += unnamed(holding, newest, dict(zip(old, loaded, strict=True)))
    return found


def _load(storage: Storage, entry: Entry) -> Manifest | None:
    """A superseded manifest; an unreadable one names nothing."""
    try:
        return inventory.load(storage, entry)
    except LakeError:
        return None


def _superseded_at(
    holding: Holding, current: Manifest, superseded: Mapping[int, Manifest | None]
) -> dict[str, datetime]:
    """When each superseded manifest, and each fragment that one named, stopped being current."""
    since: dict[str, datetime] = {}
    for version, successor in pairwise([*sorted(superseded), current.version]):
        end = holding.manifests[successor].modified if successor in holding.manifests else _NOW
        manifest = superseded[version]
        for key in (holding.manifests[version].key, *(_named(manifest) if manifest else ())):
            since[key] = max(end, since.get(key, end))
    return since


def _by_age(
    holding: Holding, fragments: Mapping[str, Entry], since: Mapping[str, datetime]
) -> list[tuple[Entry, datetime]]:
    """Fragments with their ages: those of one job are as young as its youngest."""
    youngest: dict[str, datetime] = {}
    for key, entry in holding.fragments.items():
        youngest[_job(key)] = max(entry.modified, youngest.get(_job(key), entry.modified))
    return [(entry, max(youngest[_job(key)], since.get(key, entry.modified))) for key, entry in fragments.items()]


def _job(key: str) -> str:
    """What the fragments of one target have in common: their folder and fingerprint."""
    return key.rpartition("-")[0]


def _named(manifest: Manifest) -> set[str]:
    return {path for part in manifest.parts for path, _ in reading.files(manifest, part)}


def _staged(storage: Storage) -> Iterator[Entry]:
    """Files that a killed job was still writing; only a local lake has any, and hides them."""
    if not isinstance(storage, LocalStorage):
        return
    for table in TABLES:
        for folder, _, names in os.walk(storage.root / table):
            for path in (Path(folder) / name for name in names if name.startswith(STAGED)):
                yield from _entry(storage.root, path)


def _entry(root: Path, path: Path) -> list[Entry]:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return []
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return [Entry(path.relative_to(root).as_posix(), status.st_size, modified)]


def _delete(storage: Storage, doomed: Sequence[Entry]) -> None:
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


def _table(entry: Entry) -> str:
    return entry.key.partition("/")[0]


def _amount(entries: Sequence[Entry]) -> str:
    count = "1 object" if len(entries) == 1 else f"{len(entries):,} objects"
    return f"{count}, {bytes_text(sum(entry.bytes for entry in entries))}"
