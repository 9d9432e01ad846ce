"""Steps of an edit: each is one commit to one partition, in an order that leaves the lake valid after each of them."""

from __future__ import annotations

from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from featurestore.layout.tables import TABLES
from featurestore.partitions import reading, writing
from featurestore.quantities import bytes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from featurestore.layout.fingerprint import Ingredient
    from featurestore.layout.manifest import Manifest, Part
    from featurestore.storage import Storage

    Bar: TypeAlias = Callable[[int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Step:
    """One commit: parts of a partition go, or its only part is written anew.

    Attributes:
        manifest: The partition as it is now.
        gone: The parts that go.
        target: What is written in their place, if anything is.
        rows: The rows of that.
        details: Its details.
    """

    manifest: Manifest
    gone: tuple[Part, ...]
    target: writing.Target | None = None
    rows: Callable[[], pa.Table] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def removes(self) -> bool:
        """Whether the partition is removed with it."""
        return self.target is None and len(self.gone) == len(self.manifest.parts)

    def carry_out(self, storage: Storage) -> None:
        """Commit it; nothing is done where that was done before."""
        fingerprints = {part.fingerprint for part in self.gone}
        if self.target and self.rows:
            writing.write_part(storage, self.target, self.rows(), replacing=True, details=self.details)
        else:
            table = TABLES[self.manifest.table]
            writing.drop(storage, table, self.manifest.key, lambda part: part.fingerprint in fingerprints)


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be done, in order, and what the user should know of it.

    Attributes:
        steps: The commits.
        notes: Lines.
    """

    steps: Sequence[Step] = field(default=())
    notes: Sequence[str] = ()


def changed_row(
    storage: Storage, manifest: Manifest, columns: Mapping[str, Ingredient], without: Collection[str] = ()
) -> Step:
    """The step that changes values of a table's only row, which are ingredients of it, too.

    Args:
        storage: The lake's storage.
        manifest: The partition of the row.
        columns: What the row is to say.
        without: Those of the columns that are no ingredients from now on.
    """
    (part,) = manifest.parts
    table = TABLES[manifest.table]
    ingredients = {name: value for name, value in {**part.ingredients, **columns}.items() if name not in without}
    target = writing.Target(table, manifest.key, ingredients, {})

    def rows() -> pa.Table:
        (row,) = reading.read(storage, manifest, part).to_pylist()
        return pa.Table.from_pylist([{**row, **columns}], table.columns)

    return Step(manifest, (part,), target, rows, part.details)


def carry_out(storage: Storage, edit: Edit, bar: Bar | None = None) -> None:
    """Carry out an edit; a kill at any moment leaves a valid lake, and an edit that is planned then does the rest.

    Args:
        storage: The lake's storage.
        edit: What to do.
        bar: Is told how many commits there are, and gives a context with a function to call with the number just done.

    Raises:
        StorageError: Other writers kept winning a partition.
    """
    with (bar or _no_bar)(len(edit.steps)) as advance:
        for step in edit.steps:
            step.carry_out(storage)
            advance(1)


def summary(edit: Edit, *, dry_run: bool) -> Iterator[str]:
    """What an edit does, a line for each table and one in all."""
    by_table: dict[str, list[Step]] = defaultdict(list)
    for step in edit.steps:
        by_table[step.manifest.table].append(step)
    if len(by_table) > 1:
        yield from (f"{table}: {_amount(steps)}" for table, steps in by_table.items())
    whole = "in all" if len(by_table) > 1 else f"{next(iter(by_table))}:"
    would = "would free" if dry_run else "frees"
    yield f"{whole} {_amount(edit.steps)}; `featurestore gc` {would} what nothing names any more, after its grace period"


def _amount(steps: Sequence[Step]) -> str:
    """Partitions, and what leaves the lake; of those that are rewritten, what they are rewritten to is about as large."""
    going = [step for step in steps if step.target is None]
    removed = sum(step.removes for step in going)
    rewritten = len(steps) - len(going)
    said = [
        f"{count:,} {'partition' if count == 1 else 'partitions'} {verb}"
        for verb, count in (("removed", removed), ("made smaller", len(going) - removed), ("rewritten", rewritten))
        if count
    ]
    parts = [part for step in going for part in step.gone]
    rows = sum(part.rows for part in parts)
    freed = f"{rows:,} {'row' if rows == 1 else 'rows'}, {bytes_text(sum(part.bytes for part in parts))}"
    return ", ".join(said or ["nothing"]) + (f": {freed}" if parts else "")


def _no_bar(_: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)
