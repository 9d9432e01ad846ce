"""Large tables on disk: what ten thousand small partitions hold, gathered in a few files outside of the lake.

Their manifests take seconds to read, and DuckDB takes longer to open their fragments than to read them. So they are dealt into
segments of some hundred, and what a segment held is kept beside what is kept of lakes in buckets. Nothing of it can be out of date:

- Manifests are kept with the size, the times and the number of their file, and of each folder on the way to it, which are looked at
  each time. Whatever is written, replaced or removed changes one of them, and is read again.
- Rows are kept of fragments whose sha256 was found to be what their manifests say, under these digests: they are those of the lake
  while its manifests name the same. Their own file is hashed by each process that reads it.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias
from zlib import crc32

from featurestore.errors import MissingError
from featurestore.fragments import verdicts
from featurestore.held.looks import MODEL, entries, is_as_seen, look_at
from featurestore.held.packing import packed, unpacked
from featurestore.layout.manifest import Fragment
from featurestore.layout.tables import TABLES
from featurestore.machine import collector_paused, cores
from featurestore.partitions import snapshot
from featurestore.settings import read_settings
from featurestore.storage import LakeCache
from featurestore.storage.caches import cache_settings
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from featurestore.layout.manifest import Manifest
    from featurestore.layout.tables import Table
    from featurestore.storage import Storage

    Gather: TypeAlias = Callable[[Table, Path | None, Sequence[str], Sequence[Manifest]], bytes]
    """Makes a Parquet file: of the rows of an earlier one but for those of some partitions' folders, and of partitions' fragments."""

GATHERED = ("models", "accuracy", "calibration", "metrics", "selective", "geometry")
"""The tables that are: their partitions are of one model, and hold rows that questions read together."""
AT_LEAST = 192
"""Models that a table has for this to be worth it."""
_PER_SEGMENT = 256
_FOLDER = "gathered"


@dataclass(frozen=True)
class Segment:
    """The partitions of some hundred models, as they are now.

    Attributes:
        storage: The lake's storage.
        cache: Where what they hold is kept.
        table: The table.
        name: What the segment is called there: the table, and its number among how many.
        folders: The models' folders, in order.
    """

    storage: Storage
    cache: LakeCache
    table: Table
    name: str
    folders: Sequence[str]

    @cached_property
    def manifests(self) -> dict[str, Manifest]:
        """The manifests of the partitions that exist, by their folders.

        Raises:
            MissingError: One was replaced and collected meanwhile.
        """
        kept = self._kept("manifests")
        looks: dict[str, Any] = {}
        found: dict[str, Manifest] = {}
        unread: list[str] = []
        for folder in self.folders:
            seen, ours = kept.get(folder, (None, ()))
            if seen and is_as_seen(self.storage.uri(folder), seen):
                looks[folder] = seen, ours
                found |= {one[0]: unpacked(self.table, one) for one in ours}
            else:
                unread.append(folder)
        for folder in unread:
            seen, newest = look_at(self.storage.uri(folder), self.table)
            read = snapshot.load_all(self.storage, [snapshot.Found(f"{folder}/{path}") for path in newest])
            found |= {one.folder: one for one in read}
            looks[folder] = seen, [packed(one) for one in read]
        if unread or looks.keys() != kept.keys():
            self._keep("manifests", {folder: look for folder, look in looks.items() if look[0]})
        return {folder: manifest for folder, manifest in found.items() if manifest.parts}

    def rows(self, gather: Gather) -> Path | None:
        """A file with the rows of all its fragments; None if there is no room for it.

        Args:
            gather: Makes it.
        """
        wanted = {folder: _content(manifest) for folder, manifest in self.manifests.items()}
        kept = self._kept("rows")
        file = self._file(kept)
        if file is not None and kept["of"] == wanted:
            return file
        same = {folder for folder, content in wanted.items() if kept["of"].get(folder) == content} if file else set()
        dropped = [folder for folder in kept["of"] if folder not in same] if file else []
        data = gather(self.table, file, dropped, [one for folder, one in self.manifests.items() if folder not in same])
        digest = hashlib.sha256(data).hexdigest()
        if not self.cache.keep(f"{self.name}.parquet", digest, data):
            return None
        kept = {"of": wanted, "sha256": digest, "bytes": len(data)}
        self._keep("rows", kept)
        return self._file(kept)

    def look(self) -> None:
        """Hash the file of rows that was kept, if there is one, so that this process knows it."""
        self._file(self._kept("rows"))

    def _file(self, kept: dict[str, Any]) -> Path | None:
        """The file of rows that was kept, if it is whole; this process hashes it once."""
        if not kept:
            return None
        place = self.cache.place(f"{self.name}.parquet", kept["sha256"])
        if verdicts.problem(str(place), Fragment(place.name, 0, kept["bytes"], kept["sha256"])):
            return None
        self.cache.holds(f"{self.name}.parquet", kept["sha256"], kept["bytes"])  # which notes that it is in use
        return place

    @property
    def _mark(self) -> str:
        """Differs where another version keeps other things."""
        return json.dumps([__version__, self.table.sql_types])

    def _kept(self, what: str) -> dict[str, Any]:
        data = self.cache.read_marked(f"{self.name}.{what}.json", self._mark)
        return dict(json.loads(data)) if data is not None else {}

    def _keep(self, what: str, document: dict[str, Any]) -> None:
        text = json.dumps(document, separators=(",", ":"))
        self.cache.keep_marked(f"{self.name}.{what}.json", self._mark, text.encode())


@dataclass(frozen=True)
class GatheredTable:
    """A table whose partitions are gathered.

    Attributes:
        segments: All of them.
        folder: The folder in which they are kept.
    """

    segments: Sequence[Segment]
    folder: str = field(default="")

    @cached_property
    def manifests(self) -> list[Manifest]:
        """The manifests of the partitions that exist, in order of their keys."""
        with collector_paused():
            found = {folder: one for each in self.segments for folder, one in each.manifests.items()}
            return [found[folder] for folder in sorted(found)]

    def files(self, gather: Gather) -> list[Path] | None:
        """Files that hold all rows; None if there is no room for them."""
        with ThreadPoolExecutor(cores()) as pool:  # to hash a file, Python is not needed
            list(pool.map(Segment.look, self.segments))
        found = [one.rows(gather) for one in self.segments if one.manifests]
        return [file for file in found if file is not None] if None not in found else None


def gathered(storage: Storage, table: str) -> GatheredTable | None:
    """A table as it is gathered; None where it has few partitions, lies elsewhere, or nothing may be kept.

    Args:
        storage: The lake's storage.
        table: The table's name.
    """
    if table not in GATHERED or storage.folder is None:
        return None
    found = TABLES[table]
    try:
        folders = _folders(storage, found)
    except OSError:  # whoever reads it as it lies says so
        return None
    settings = cache_settings(read_settings()) if len(folders) >= AT_LEAST else None
    if settings is None or not settings.limit:
        return None
    cache = LakeCache(settings, storage.uri(""))
    count = 1 << max(0, (len(folders) // _PER_SEGMENT).bit_length() - 1)
    dealt: list[list[str]] = [[] for _ in range(count)]
    for folder in folders:
        dealt[crc32(folder.encode()) % count].append(folder)
    segments = [
        Segment(storage, cache, found, f"{_FOLDER}/{table}/{number:04d}-of-{count:04d}", sorted(inside))
        for number, inside in enumerate(dealt)
    ]
    whole = GatheredTable(segments, str(cache.folder))
    try:
        _ = whole.manifests
    except (MissingError, OSError):  # replaced meanwhile, or unreadable
        return None
    return whole


def _folders(storage: Storage, table: Table) -> list[str]:
    """The folders of the models of a table."""
    folders = [table.name]
    for key in table.keys[: table.keys.index(MODEL) + 1]:
        folders = [
            f"{folder}/{name}"
            for folder in folders
            for name, is_folder in entries(storage.uri(folder))
            if is_folder and name.startswith(f"{key}=")
        ]
    return folders


def _content(manifest: Manifest) -> str:
    """What tells a partition's rows from all others."""
    fragments = [fragment.sha256 for part in manifest.parts for fragment in part.fragments if fragment.rows]
    return fragments[0] if len(fragments) == 1 else hashlib.sha256(" ".join(fragments).encode()).hexdigest()
