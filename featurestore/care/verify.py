"""Verifying: manifests against the fragments that they name, and, on demand, every row of every fragment."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from featurestore.care import soundness
from featurestore.care.expectations import Held, expectation
from featurestore.errors import LakeError
from featurestore.layout import paths
from featurestore.layout.fingerprint import fingerprint
from featurestore.layout.manifest import Manifest, title
from featurestore.layout.tables import TABLES
from featurestore.partitions import derived_logits, inventory, reading
from featurestore.progress import progress
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from featurestore.care.expectations import Expectation
    from featurestore.care.soundness import Outside
    from featurestore.layout.manifest import Fragment, Part
    from featurestore.partitions.inventory import Holding
    from featurestore.storage import Storage

_WORKERS = 16


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: the partition, the object in the lake, and what is wrong with it."""

    partition: str
    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.partition}, {self.path}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Summary:
    """How much was looked at, and how many faults were found."""

    partitions: int
    fragments: int
    bytes: int
    faults: int

    def __str__(self) -> str:
        found = "no fault" if not self.faults else "1 fault" if self.faults == 1 else f"{self.faults:,} faults"
        seen = f"{self.partitions:,} partitions, {self.fragments:,} fragments, {bytes_text(self.bytes)}"
        return f"{seen}: {found}"


def verify(storage: Storage, report: Callable[[Fault], None], *, deep: bool = False) -> Summary:
    """Check a lake; a fault in one place does not keep the rest from being checked.

    Args:
        storage: The lake's storage.
        report: Is told each fault as it is found.
        deep: Whether to hash every fragment and look at every row too.
    """
    found = _newest_manifests(storage)
    current = [manifest for manifest in found if isinstance(manifest, Manifest)]
    held = Held(storage, {(manifest.table, *manifest.key.values()): manifest for manifest in current})
    files = [
        (manifest, part, *file)
        for manifest in current
        for part in manifest.parts
        for file in reading.files(manifest, part)
    ]
    faults = [fault for fault in found if isinstance(fault, Fault)]
    for fault in faults:
        report(fault)
    count = len(faults)
    with ThreadPoolExecutor(_WORKERS) as pool, progress("verify", len(files)) as advance:
        looks = pool.map(partial(_look, storage), files)
        for manifest in current:
            for fault in _faults(held, manifest, looks, advance, deep=deep):
                report(fault)
                count += 1
    return Summary(len(current), len(files), sum(fragment.bytes for *_, fragment in files), count)


def manifest_problems(manifest: Manifest) -> Iterator[str]:
    """What a manifest says that cannot be, whatever lies beside it."""
    table = TABLES[manifest.table]
    for part in manifest.parts:
        if tuple(part.key) != table.part_keys:
            yield f"its {_called(part)} should have the key {', '.join(table.part_keys) or 'of the partition alone'}"
        elif part.fingerprint != fingerprint(table.name, {**manifest.key, **part.key}, part.ingredients):
            yield f"the fingerprint of its {_called(part)} is not that of its ingredients: it was altered"
    files = Counter(fragment.path for part in manifest.parts for fragment in part.fragments)
    parts = Counter(_called(part) for part in manifest.parts)
    yield from (f"it names {name} {times} times" for name, times in (files + parts).items() if times > 1)


def _newest_manifests(storage: Storage) -> list[Manifest | Fault]:
    """The current manifest of each partition, or why it cannot be read."""
    held = [holding for table in TABLES.values() for holding in inventory.holdings(storage, table) if holding.manifests]
    with ThreadPoolExecutor(_WORKERS) as pool:
        return list(pool.map(partial(_load, storage), held))


def _load(storage: Storage, holding: Holding) -> Manifest | Fault:
    entry = holding.manifests[max(holding.manifests)]
    try:
        return inventory.load(storage, entry)
    except LakeError as error:
        return Fault(title(holding.table.name, holding.key), entry.key, str(error))


def _look(storage: Storage, file: tuple[Manifest, Part, str, Fragment]) -> Outside:
    manifest, part, path, fragment = file
    without = "logits" if derived_logits.are_derived(part.ingredients) else None
    return soundness.outside(storage, TABLES[manifest.table], path, fragment, without=without)


def _faults(
    held: Held, manifest: Manifest, looks: Iterator[Outside], advance: Callable[[int], None], *, deep: bool
) -> Iterator[Fault]:
    """All that is wrong with one partition; takes as many of the looks as the partition has fragments."""
    folder = inventory.folder_of(manifest)
    for problem in manifest_problems(manifest):
        yield Fault(manifest.title, f"{folder}/{paths.manifest_name(manifest.version)}", problem)
    for part in manifest.parts:
        called = title(manifest.table, {**manifest.key, **part.key})
        expected = expectation(held, manifest, part) if deep else None
        own = list(islice(looks, len(part.fragments)))
        for path, problem in _problems(held.storage, manifest, part, own, expected):
            yield Fault(called, path, problem)
        if expected and expected.rows == part.rows and expected.conclusion():
            yield Fault(called, folder, expected.conclusion())
        advance(len(part.fragments))


def _problems(
    storage: Storage, manifest: Manifest, part: Part, looks: Sequence[Outside], expected: Expectation | None
) -> Iterator[tuple[str, str]]:
    """What is wrong with each fragment of a part; the rows are read only of those that look right."""
    first = next((look.schema for look in looks if not look.problem), None)
    for (path, fragment), look in zip(reading.files(manifest, part), looks, strict=True):
        problem = look.problem or soundness.width_problem(first, look.schema)
        if problem:
            yield path, problem
        elif expected:
            yield from ((path, said) for said in soundness.inside(storage, path, fragment, expected.checks))


def _called(part: Part) -> str:
    return "part " + ", ".join(f"{name} {value}" for name, value in part.key.items()) if part.key else "only part"
