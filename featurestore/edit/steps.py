"""Steps of an edit: each is one commit to one partition, in an order that leaves the lake valid after each of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.layout import paths
from featurestore.layout.tables import TABLES
from featurestore.partitions import reading, writing
from featurestore.progress import silent_bar
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from featurestore.layout.fingerprint import Ingredient
    from featurestore.layout.manifest import Fragment, Manifest, Part
    from featurestore.progress import Bar
    from featurestore.storage import Storage


@dataclass(frozen=True, slots=True)
class Step:
    """One commit: parts of a partition go, or a part is written, here or under another key.

    Attributes:
        manifest: The partition as it is now.
        parts: The parts that go, or that which is written anew.
        target: What is written, if anything is.
        rows: The rows of that.
    """

    manifest: Manifest
    parts: tuple[Part, ...]
    target: writing.Target | None = None
    rows: Callable[[], pa.Table] | None = None

    @property
    def verb(self) -> str:
        """What becomes of the partition, in a word."""
        if self.target:
            return "rewritten" if dict(self.target.key) == dict(self.manifest.key) else "written under the new name"
        return "removed" if len(self.parts) == len(self.manifest.parts) else "made smaller"

    def carry_out(self, storage: Storage) -> None:
        """Commit it; nothing is done where that was done before."""
        if self.target and self.rows:
            details = self.parts[0].details
            writing.write_part(storage, self.target, self.rows(), replacing=True, details=details)
            return
        fingerprints = {part.fingerprint for part in self.parts}
        table = TABLES[self.manifest.table]
        writing.drop(storage, table, self.manifest.key, lambda part: part.fingerprint in fingerprints)


@dataclass(frozen=True, slots=True)
class Copy:
    """One commit: parts of a partition are copied to another key or fingerprint, with the same rows.

    Attributes:
        manifest: The partition as it is now.
        pairs: The parts, each with what it becomes; these are of one partition.
    """

    manifest: Manifest
    pairs: tuple[tuple[Part, writing.Target], ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that are copied."""
        return tuple(part for part, _ in self.pairs)

    @property
    def verb(self) -> str:
        """What becomes of the partition, in a word."""
        same = all(dict(target.key) == dict(self.manifest.key) for _, target in self.pairs)
        return "rewritten" if same else "written under the new name"

    def carry_out(self, storage: Storage) -> None:
        """Copy the fragments, then commit them."""
        first = self.pairs[0][1]
        made = [target.part(self._fragments(storage, part, target), part.details) for part, target in self.pairs]
        writing.commit(storage, first.table, first.key, made, replacing=True)

    def _fragments(self, storage: Storage, part: Part, target: writing.Target) -> list[Fragment]:
        return [
            writing.copy_fragment(storage, key, fragment, target, paths.fragment_number(key) or 0)
            for key, fragment in self.manifest.files(part)
        ]


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be done, in order, and what the user should know of it.

    Attributes:
        steps: The commits.
        notes: Lines.
    """

    steps: Sequence[Step | Copy] = ()
    notes: Sequence[str] = ()


def changed_row(
    storage: Storage, manifest: Manifest, columns: Mapping[str, Ingredient], without: Collection[str] = ()
) -> Step:
    """The step that changes values in the only row of a partition, and the ingredients of the same names.

    Args:
        storage: The lake's storage.
        manifest: The partition of the row.
        columns: What the row is to say.
        without: Columns that are to be no ingredients any more.
    """
    (part,) = manifest.parts
    table = TABLES[manifest.table]
    ingredients = {name: value for name, value in {**part.ingredients, **columns}.items() if name not in without}
    target = writing.Target(table, manifest.key, ingredients, {})

    def rows() -> pa.Table:
        (row,) = reading.read(storage, manifest, part).to_pylist()
        return pa.Table.from_pylist([{**row, **columns}], table.columns)

    return Step(manifest, (part,), target, rows)


def carry_out(storage: Storage, edit: Edit, bar: Bar | None = None) -> None:
    """Carry out an edit; a kill at any moment leaves a valid lake, and an edit that is planned afterwards does the rest.

    Args:
        storage: The lake's storage.
        edit: What to do.
        bar: Is told how many commits there are, and gives a context with a function to call with the number just done.

    Raises:
        StorageError: Other writers kept winning a partition.
    """
    with (bar or silent_bar)(len(edit.steps)) as advance:
        for step in edit.steps:
            step.carry_out(storage)
            advance(1)


def summary(edit: Edit, *, dry_run: bool) -> Iterator[str]:
    """What an edit does, a line for each table and one in all."""
    by_table: dict[str, list[Step | Copy]] = defaultdict(list)
    for step in edit.steps:
        by_table[step.manifest.table].append(step)
    if len(by_table) > 1:
        yield from (f"{table}: {_amount(steps)}" for table, steps in by_table.items())
    whole = f"{next(iter(by_table))}:" if len(by_table) == 1 else "in all"
    would = "would free" if dry_run else "frees"
    yield f"{whole} {_amount(edit.steps)}; `featurestore gc` {would} what nothing names any more, after its grace period"


def _amount(steps: Sequence[Step | Copy]) -> str:
    """Partitions, and how much of them goes or is there twice for a while; what is rewritten stays about as large."""
    counts = Counter(step.verb for step in steps)
    said = [f"{count:,} {'partition' if count == 1 else 'partitions'} {verb}" for verb, count in sorted(counts.items())]
    parts = [part for step in steps if step.verb != "rewritten" for part in step.parts]
    rows = sum(part.rows for part in parts)
    amount = f"{rows:,} {'row' if rows == 1 else 'rows'}, {bytes_text(sum(part.bytes for part in parts))}"
    return ", ".join(said or ["nothing"]) + (f": {amount}" if parts else "")
