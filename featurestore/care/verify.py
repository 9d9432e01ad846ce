"""Verifying: manifests against the fragments that they name, and, on demand, every row of every fragment."""

from __future__ import annotations

import hashlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.care.expectations import CurrentPartitions, expectation
from featurestore.care.references import dangling
from featurestore.errors import LakeError, first_line
from featurestore.fragments import opening
from featurestore.layout import paths
from featurestore.layout.fingerprint import fingerprint
from featurestore.layout.manifest import Manifest, title
from featurestore.layout.tables import TABLES, VECTOR_DTYPES
from featurestore.partitions import derived_logits, snapshot
from featurestore.progress import silent_bar
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from featurestore.care.expectations import Expectation
    from featurestore.layout.manifest import Fragment, Part
    from featurestore.layout.tables import Table
    from featurestore.partitions.row_rules import Check
    from featurestore.progress import Bar
    from featurestore.storage import Storage, StoredObject

_WHOLE = 1 << 20
"""A fragment elsewhere up to this size is fetched whole for its footer: that is one request."""
_ALTERED = "its sha256 differs: it was altered"
_BLOCK_ROWS = 2048
_HASHED_AT_ONCE = 8 << 20
_VECTOR = pa.list_(pa.float32())
_UNREADABLE = (pa.ArrowException, LakeError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: the partition, the object in the lake, and what is wrong with it."""

    partition: str
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.partition}, {self.path}: {self.problem}"


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """How much was looked at, how many faults were found, and how many manifests have no checksum of themselves."""

    partitions: int
    fragments: int
    bytes: int
    faults: int
    unsealed: int = 0

    def __str__(self) -> str:
        found = "no fault" if not self.faults else "1 fault" if self.faults == 1 else f"{self.faults:,} faults"
        seen = f"{self.partitions:,} partitions, {self.fragments:,} fragments, {bytes_text(self.bytes)}"
        unsealed = f"; {self.unsealed:,} manifests of earlier writers have no checksum, and may be altered unnoticed"
        return f"{seen}: {found}{unsealed if self.unsealed else ''}"


@dataclass(frozen=True, slots=True)
class Look:
    """What can be told of a fragment without reading its rows: its columns that we know, and what is wrong."""

    schema: pa.Schema | None
    problem: str = ""


def verify(
    storage: Storage, say: Callable[[Fault], None], *, deep: bool = False, bar: Bar | None = None
) -> VerifySummary:
    """Check a lake; a fault in one place does not keep the rest from being checked.

    Args:
        storage: The lake's storage.
        say: Is told each fault as it is found.
        deep: Whether to hash every fragment and look at every row too.
        bar: Is told how many fragments there are, and gives a context with a function to call with the number just done.
    """
    found = _newest_manifests(storage)
    current = [manifest for manifest in found if isinstance(manifest, Manifest) and manifest.parts]
    lake = CurrentPartitions(storage, {(manifest.table, *manifest.key.values()): manifest for manifest in current})
    files = [
        (manifest, part, *file) for manifest in current for part in manifest.parts for file in manifest.files(part)
    ]
    # Listed once the manifests are known: what they name is there by then.
    listed = {one.key: one for one in storage.list("")} if storage.folder is None else None
    faults = [fault for fault in found if isinstance(fault, Fault)]
    faults += [Fault(*each) for each in dangling(current, unread=bool(faults))]
    for fault in faults:
        say(fault)
    count = len(faults)
    with ThreadPoolExecutor(storage.at_once) as pool, (bar or silent_bar)(len(files)) as advance:
        looks = pool.map(partial(_look, storage, listed), files)
        for manifest in current:
            for fault in _faults(lake, manifest, looks, advance, deep=deep):
                say(fault)
                count += 1
    unsealed = sum(not manifest.sealed for manifest in found if isinstance(manifest, Manifest))
    return VerifySummary(len(current), len(files), sum(fragment.bytes for *_, fragment in files), count, unsealed)


def manifest_problems(manifest: Manifest) -> Iterator[str]:
    """What a manifest says that cannot be, whatever lies beside it."""
    table = TABLES[manifest.table]
    for part in manifest.parts:
        if tuple(part.key) != table.part_keys:
            yield f"its {_called(part)} should have the key {', '.join(table.part_keys) or 'of the partition alone'}"
        elif part.fingerprint != fingerprint(table.name, {**manifest.key, **part.key}, part.ingredients):
            yield f"the fingerprint of its {_called(part)} is not that of its ingredients: it was altered"
        if number := table.rows_problem(part.rows):
            yield f"its {_called(part)} {number}"
    files = Counter(fragment.path for part in manifest.parts for fragment in part.fragments)
    parts = Counter(_called(part) for part in manifest.parts)
    yield from (f"it names {name} {times} times" for name, times in (files + parts).items() if times > 1)


def _newest_manifests(storage: Storage) -> list[Manifest | Fault]:
    """The current manifest of each partition, or why it cannot be read."""
    with ThreadPoolExecutor(storage.at_once) as pool:
        listed = pool.map(partial(snapshot.newest, storage), TABLES.values())
        found = [(table, place) for table, of in zip(TABLES.values(), listed, strict=True) for place in of.items()]
        return list(pool.map(lambda each: _load(storage, each[0], *each[1]), found))


def _load(storage: Storage, table: Table, folder: str, found: snapshot.Found) -> Manifest | Fault:
    try:
        return snapshot.load_found(storage, found)
    except LakeError as error:
        return Fault(title(table.name, paths.partition_key(table, folder) or {}), found.path, str(error))


def _look(
    storage: Storage, listed: Mapping[str, StoredObject] | None, file: tuple[Manifest, Part, str, Fragment]
) -> Look:
    """Look at a fragment's size, which a listing may have told, and its footer; a small one elsewhere is hashed, too."""
    manifest, part, path, fragment = file
    try:
        found = listed.get(path) if listed else None
        size = storage.size(path) if listed is None else found.bytes if found else None
        if problem := fragment.size_problem(size):
            return Look(None, problem)
        if found and fragment.bytes <= _WHOLE:
            data = opening.listed_content(storage, path, fragment, found.tag)
            if data is None:
                return Look(None, _ALTERED)
            opened: pa.NativeFile = pa.BufferReader(data)
        else:
            opened = storage.open_input(path, size)
        with opened as source, pq.ParquetFile(source) as file_:
            rows, schema = opening.rows_of(file_.metadata), file_.schema_arrow
    except _UNREADABLE as error:
        return Look(None, f"it cannot be read: {first_line(error)}")
    table = TABLES[manifest.table]
    without = None if derived_logits.are_stored(part.ingredients) else "logits"
    known = pa.schema([field for field in schema if field.name in table.columns.names])
    return Look(known, fragment.rows_problem(rows) or _schema_problem(table, schema, without))


def _faults(
    lake: CurrentPartitions, manifest: Manifest, looks: Iterator[Look], advance: Callable[[int], None], *, deep: bool
) -> Iterator[Fault]:
    """All that is wrong with one partition; takes as many of the looks as the partition has fragments."""
    for problem in manifest_problems(manifest):
        yield Fault(manifest.title, manifest.path, problem)
    for part in manifest.parts:
        called = title(manifest.table, {**manifest.key, **part.key})
        expected = expectation(lake, manifest, part) if deep else None
        own = list(islice(looks, len(part.fragments)))
        for path, problem in _problems(lake.storage, manifest, part, own, expected):
            yield Fault(called, path, problem)
        if expected and expected.rows == part.rows and expected.conclusion():
            yield Fault(called, manifest.folder, expected.conclusion())
        advance(len(part.fragments))


def _problems(
    storage: Storage, manifest: Manifest, part: Part, looks: Sequence[Look], expected: Expectation | None
) -> Iterator[tuple[str, str]]:
    """What is wrong with each fragment of a part; the rows are read only of those that look right."""
    first = next((look.schema for look in looks if not look.problem), None)
    for (path, fragment), look in zip(manifest.files(part), looks, strict=True):
        problem = look.problem or _width_problem(first, look.schema)
        if problem:
            yield path, problem
        elif expected and look.schema is not None:
            found = _inside(storage, path, fragment, look.schema.names, expected.checks)
            yield from ((path, said) for said in found)


def _called(part: Part) -> str:
    return "part " + ", ".join(f"{name} {value}" for name, value in part.key.items()) if part.key else "only part"


def _schema_problem(table: Table, schema: pa.Schema, without: str | None = None) -> str:
    """What is wrong with a fragment's columns, or an empty text; each version may have added some at the end."""
    first = len(table.columns) - len(table.added)
    names = table.columns.names[: max(first, len(schema))]
    if schema.names[: len(names)] != names:
        return f"it has the columns {', '.join(schema.names)} instead of {', '.join(names)}"
    wrong = [
        name
        for name in names
        if not _is_stored_as(table.columns.field(name).type, schema.field(name).type, absent=name == without)
    ]
    return f"its column {wrong[0]} is of the type {schema.field(wrong[0]).type}" if wrong else ""


def _width_problem(first: pa.Schema | None, other: pa.Schema | None) -> str:
    """Which vector differs in width or precision between two fragments of one part, or an empty text."""
    if first is None or other is None:
        return ""
    vectors = [field for field in first if pa.types.is_fixed_size_list(field.type) and field.name in other.names]
    wrong = [field for field in vectors if other.field(field.name).type != field.type]
    if not wrong:
        return ""
    return f"its {wrong[0].name} is {_vector_text(other.field(wrong[0].name).type)}, elsewhere {_vector_text(wrong[0].type)}"


def _inside(
    storage: Storage, path: str, fragment: Fragment, columns: Sequence[str], checks: Sequence[Check]
) -> Iterator[str]:
    """Hash a fragment and look at these columns of each of its rows, in blocks; each check speaks once at most.

    Rows of a fragment whose hash differs are not looked at: nothing in it is to be trusted.
    """
    try:
        if _sha256(storage, path) != fragment.sha256:
            yield _ALTERED
            return
        left = list(checks)
        with storage.open_input(path) as source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            for rows in file.iter_batches(batch_size=_BLOCK_ROWS, columns=list(columns), use_threads=False):
                said = [(check, check(rows)) for check in left]
                left = [check for check, problem in said if problem is None]
                yield from (problem for _, problem in said if problem)
    except _UNREADABLE as error:
        yield f"it cannot be read: {first_line(error)}"


def _is_stored_as(column: pa.DataType, stored: pa.DataType, *, absent: bool) -> bool:
    """Whether a column of SQL may be stored so: vectors have a width and a precision, and lists differ in names only."""
    if column == _VECTOR and not absent:
        return bool(
            pa.types.is_fixed_size_list(stored) and stored.value_type in [getattr(pa, name)() for name in VECTOR_DTYPES]
        )
    if pa.types.is_list(column):
        return bool(pa.types.is_list(stored) and stored.value_type == column.value_type)
    return bool(stored == column)


def _sha256(storage: Storage, path: str) -> str:
    digest = hashlib.sha256()
    with storage.open_input(path) as source:
        while block := source.read(_HASHED_AT_ONCE):
            digest.update(block)
    return digest.hexdigest()


def _vector_text(stored: pa.DataType) -> str:
    return f"{stored.list_size} x {stored.value_type}" if pa.types.is_fixed_size_list(stored) else str(stored)
