"""Writing: fragments first, the manifest last, by exclusive create; at once, or behind the producer."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Semaphore
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import MissingError, StorageError
from featurestore.fragments import opening
from featurestore.layout import manifest as manifests
from featurestore.layout import paths
from featurestore.layout.fingerprint import Ingredients, fingerprint
from featurestore.layout.manifest import Fragment, Manifest, Part
from featurestore.partitions import snapshot
from featurestore.partitions.encoding import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from types import TracebackType

    from featurestore.layout.tables import Table
    from featurestore.storage import Storage

_ATTEMPTS = 100
_NOTES = b"featurestore"


@dataclass(frozen=True, slots=True)
class Target:
    """What a job is about to write: one part of one partition, and everything that determines its content."""

    table: Table
    key: Mapping[str, str]
    ingredients: Ingredients
    part_key: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """sha256 of the table, all keys and the ingredients."""
        return fingerprint(self.table.name, {**self.key, **self.part_key}, self.ingredients)

    @property
    def folder(self) -> str:
        """The partition's folder."""
        return paths.partition_path(self.table, self.key)

    def fragment_path(self, number: int) -> str:
        """The fragment's path relative to the partition."""
        folder = paths.part_path(self.table, self.part_key)
        name = paths.fragment_name(self.fingerprint, number)
        return f"{folder}/{name}" if folder else name

    def part(self, fragments: Sequence[Fragment], details: Mapping[str, Any] | None = None) -> Part:
        """The part that those fragments make."""
        return Part(
            dict(self.part_key), self.fingerprint, dict(self.ingredients), tuple(fragments), dict(details or {})
        )


def find(storage: Storage, target: Target, *, replacing: bool) -> Part | None:
    """Return the target's part if the lake holds it (a cache hit), or None if it is to be made.

    Raises:
        ConflictError: The lake holds it with another fingerprint and `replacing` is false.
    """
    current = snapshot.latest(storage, target.table, target.key)
    existing = current.part(target.part_key) if current else None
    if existing is None or existing.fingerprint == target.fingerprint:
        return existing
    if replacing:
        return None
    raise manifests.conflict(
        target.table.name, {**target.key, **target.part_key}, existing.ingredients, target.ingredients
    )


def find_all(storage: Storage, targets: Iterable[Target]) -> list[Part | None]:
    """What `find` returns for each target where parts may be replaced; each partition's manifest is read once."""
    manifests_of: dict[str, Manifest | None] = {}
    found: list[Part | None] = []
    for target in targets:
        if target.folder not in manifests_of:
            manifests_of[target.folder] = snapshot.latest(storage, target.table, target.key)
        manifest = manifests_of[target.folder]
        part = manifest.part(target.part_key) if manifest else None
        found.append(part if part and part.fingerprint == target.fingerprint else None)
    return found


def write_fragment(
    storage: Storage, target: Target, number: int, rows: pa.Table, notes: Mapping[str, Any] | None = None
) -> Fragment:
    """Write one fragment; it counts only once a manifest names it.

    A fragment never changes once it is there. Another job of an equal target may have written it, in other bytes (another
    GPU, another codec version), and may have committed it: then that one is taken, and these rows are not stored.

    Args:
        storage: The lake's storage.
        target: What is being written.
        number: The fragment's place in the part; equal numbers of equal targets hold equal rows.
        rows: The rows.
        notes: Small JSON values to keep in the file's footer, for `resume`.
    """
    return store_fragment(storage, target, number, encode_fragment(rows, notes), rows.num_rows)


def encode_fragment(rows: pa.Table, notes: Mapping[str, Any] | None) -> pa.Buffer:
    """The first half of `write_fragment`: the Parquet bytes."""
    metadata = {**(rows.schema.metadata or {}), _NOTES: json.dumps(dict(notes or {})).encode()}
    return encode(rows.replace_schema_metadata(metadata))


def store_fragment(storage: Storage, target: Target, number: int, data: pa.Buffer, rows: int) -> Fragment:
    """The second half of `write_fragment`: the bytes into the storage."""
    return _stored(storage, target, number, data, rows)[0]


def _stored(storage: Storage, target: Target, number: int, data: pa.Buffer, rows: int) -> tuple[Fragment, bool]:
    """The fragment that is there now, and whether it is another's, in other bytes."""
    path = target.fragment_path(number)
    key, stored = f"{target.folder}/{path}", memoryview(data).cast("B")
    ours = Fragment(path, rows, data.size, hashlib.sha256(data).hexdigest())
    if not storage.create(key, stored):
        existing = _whole(storage, target, number)
        if existing:
            return existing[0], existing[0] != ours
        storage.put(key, stored)
    opening.keep(storage, key, ours, stored)
    return ours, False


def copy_fragment(storage: Storage, source: str, fragment: Fragment, target: Target, number: int) -> Fragment:
    """Copy a fragment to its place in another part, of equal rows; one that is there and whole is taken, as in `write_fragment`.

    Args:
        storage: The lake's storage.
        source: The fragment's key in it.
        fragment: What its manifest says of it.
        target: The part that it is copied to.
        number: The fragment's place in that part.
    """
    path = target.fragment_path(number)
    if not storage.copy(source, f"{target.folder}/{path}"):
        existing = _whole(storage, target, number)
        if existing:
            return existing[0]
        storage.put(f"{target.folder}/{path}", storage.get(source))
    return replace(fragment, path=path)


def resume(
    storage: Storage, target: Target, besides: Container[int] = ()
) -> dict[int, tuple[Fragment, dict[str, Any]]]:
    """Return the fragments that an earlier, unfinished job of the same target left, by number, with their notes.

    A file that is not whole is left out: it will be written again. So are the numbers that are known already.
    """
    folder = f"{target.folder}/{target.fragment_path(0)}".rpartition("/")[0]
    found = {}
    for entry in storage.list(folder):
        number = paths.fragment_number(entry.key)
        if (
            number is not None
            and number not in besides
            and entry.key == f"{target.folder}/{target.fragment_path(number)}"
        ):
            existing = _whole(storage, target, number)
            if existing:
                found[number] = existing
    return found


def commit(
    storage: Storage,
    table: Table,
    key: Mapping[str, str],
    parts: Sequence[Part],
    *,
    replacing: bool,
    dropping: Callable[[Part], bool] | None = None,
) -> Manifest:
    """Make parts visible, all at once, beside what the partition already holds, but for the parts that are to be dropped.

    Losing a race against equal parts is success; against other parts of the same partition the commit is tried again.

    Raises:
        ConflictError: A part exists with another fingerprint and `replacing` is false.
        StorageError: Other writers kept winning.
    """
    folder = paths.partition_path(table, key)
    for _ in range(_ATTEMPTS):
        current = snapshot.latest_commit(storage.afresh(), table, key)
        planned = manifests.merged(current, table.name, key, parts, replacing=replacing, dropping=dropping)
        if planned is None and current is not None:
            return current
        _check_there(storage, folder, parts)
        if planned and _create(storage, f"{folder}/{paths.manifest_name(planned.version)}", planned):
            return planned
    raise StorageError(f"Could not commit {manifests.title(table.name, key)}: other jobs kept changing it. Try again.")


def drop(storage: Storage, table: Table, key: Mapping[str, str], dropping: Callable[[Part], bool]) -> bool:
    """Let go of parts of a partition, which ceases to exist with its last one; return whether there were any.

    Raises:
        StorageError: Other writers kept winning.
    """
    held = snapshot.latest(storage, table, key)
    if held is None or not any(map(dropping, held.parts)):
        return False
    commit(storage, table, key, (), replacing=True, dropping=dropping)
    return True


def write_part(
    storage: Storage, target: Target, rows: pa.Table, *, replacing: bool, details: Mapping[str, Any] | None = None
) -> bool:
    """Write a part that is one small fragment, unless the lake holds it; return whether it was written.

    Raises:
        ConflictError: The lake holds it with another fingerprint and `replacing` is false.
    """
    if find(storage, target, replacing=replacing):
        return False
    part = target.part([write_fragment(storage, target, 0, rows)], details)
    commit(storage, target.table, target.key, [part], replacing=replacing)
    return True


def _check_there(storage: Storage, folder: str, parts: Sequence[Part]) -> None:
    """A fragment of an earlier attempt may have been collected as garbage since it was found."""
    held = {entry.key: entry.bytes for entry in storage.list(folder)}
    for fragment in (fragment for part in parts for fragment in part.fragments):
        if held.get(f"{folder}/{fragment.path}") != fragment.bytes:
            raise StorageError(
                f"The fragment {folder}/{fragment.path} vanished before it was committed: run the job again."
            )


def _create(storage: Storage, path: str, planned: Manifest) -> bool:
    """Create a manifest; a failure whose outcome is unknown is settled by reading back what is there."""
    try:
        return storage.create(path, manifests.to_json(planned))
    except StorageError:
        if storage.size(path) is None:
            raise
        # Something is there, ours or another's: the next look at the partition tells which.
        return False


def _whole(storage: Storage, target: Target, number: int) -> tuple[Fragment, dict[str, Any]] | None:
    """A stored fragment and its notes, or None if it is not a whole file."""
    path = target.fragment_path(number)
    try:
        data = storage.get(f"{target.folder}/{path}")
        metadata = pq.read_metadata(pa.BufferReader(data))
        notes = json.loads((metadata.metadata or {}).get(_NOTES, b"{}"))
    except (pa.ArrowException, ValueError, MissingError):
        return None
    return Fragment(path, metadata.num_rows, len(data), hashlib.sha256(data).hexdigest()), notes


class FragmentWriter:
    """Writes fragments in the background, in memory bounded by a few of them; a context manager.

    One thread encodes a fragment while others store those before.

    Args:
        storage: The lake's storage.
        room: How many fragments may wait or be under way; who hands over another one waits. Those who hand over several
            at once, and must not wait for them, need room for all of these.
        storers: How many are stored at a time.

    Attributes:
        kept: The fragments that were there already in other bytes, and stayed.
    """

    def __init__(self, storage: Storage, room: int = 2, storers: int = 1) -> None:
        self._storage = storage
        self._encoder = ThreadPoolExecutor(1)
        self._storer = ThreadPoolExecutor(storers)
        self._room = Semaphore(room)
        self.kept: set[Fragment] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._encoder.shutdown(wait=True, cancel_futures=error is not None)
        self._storer.shutdown(wait=True, cancel_futures=error is not None)

    def submit(
        self, target: Target, number: int, rows: Callable[[], pa.Table], notes: Mapping[str, Any] | None = None
    ) -> Future[Fragment]:
        """Write one fragment, once there is room; `rows` is called in the background.

        Returns:
            The fragment to come, or the error that writing it raised.
        """
        self._room.acquire()
        written: Future[Fragment] = Future()
        written.add_done_callback(lambda _: self._room.release())
        self._encoder.submit(self._encode, written, target, number, rows, notes)
        return written

    def _encode(self, written: Future[Fragment], target: Target, number: int, *content: Any) -> None:
        rows, notes = content
        try:
            table = rows()
            self._storer.submit(self._store, written, target, number, encode_fragment(table, notes), table.num_rows)
        except BaseException as error:  # noqa: BLE001 # it belongs to whoever waits for the fragment
            written.set_exception(error)

    def _store(self, written: Future[Fragment], target: Target, number: int, *content: Any) -> None:
        try:
            fragment, is_other = _stored(self._storage, target, number, *content)
            if is_other:
                self.kept.add(fragment)
            written.set_result(fragment)
        except BaseException as error:  # noqa: BLE001 # it belongs to whoever waits for the fragment
            written.set_exception(error)
