"""The rows that a lake holds, as its manifests name them: listed, read whole or in blocks, scanned."""

from __future__ import annotations

import copy
import os
import warnings
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Self

from featurestore.errors import InputError, MissingError, StaleWarning
from featurestore.fragments import opening, row_counts
from featurestore.held import ALL, Held, complaints
from featurestore.layout.tables import TABLES
from featurestore.layout.tables import table as table_named
from featurestore.names import check_key, nearest, pick
from featurestore.partitions import snapshot
from featurestore.settings import read_settings
from featurestore.storage import Remembering, open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl
    import pyarrow as pa

    from featurestore.layout.manifest import Manifest, Part
    from featurestore.partitions.derived_logits import Derivation
    from featurestore.partitions.reading import Batch, Block, ReadBlock
    from featurestore.storage import Storage

DEFAULT_LOCATION = "lake"
BATCH_ROWS = 4096


class StoredLake:
    """A lake whose rows are read, without SQL; arguments and errors as of `featurestore.Lake`."""

    def __init__(self, location: str | os.PathLike[str] | None = None) -> None:
        named = location if location is not None else os.environ.get("FEATURESTORE_LAKE") or None
        by_settings = read_settings().lake if named is None else None
        self.location = os.fspath(named if named is not None else by_settings or DEFAULT_LOCATION)
        self.storage = open_storage(self.location, by_settings=bool(by_settings))
        self._without: frozenset[str] = frozenset()
        _check_location(self.storage)

    def __repr__(self) -> str:
        return f"Lake({self.location!r})"

    def __eq__(self, other: object) -> bool:
        """Whether the other is a lake at the same location, and shows the same of it."""
        return isinstance(other, StoredLake) and self._shown == other._shown

    def __hash__(self) -> int:
        return hash(self._shown)

    @property
    def _shown(self) -> tuple[str, frozenset[str]]:
        return self.storage.uri(""), self._without

    def check_exists(self) -> None:
        """Raise if there is no lake at the location.

        Raises:
            MissingError: There is none.
        """
        if not self.storage.exists():
            raise MissingError(
                f"There is no lake at {self.location}: name one with --lake, or begin one with `featurestore dataset add`."
            )

    def current(self) -> Self:
        """This lake without what is stale: `partitions`, `scan`, `sql` and `ask` leave it out, and warn of it but for `partitions`."""
        found = copy.copy(self)
        vars(found)["_without"] = ALL
        return found

    def for_a_job(self, *tables: str) -> Self:
        """This lake for a job that looks at partitions one by one, or asks many questions.

        In a bucket, each table is then listed as a whole and remembered for some seconds: what others write meanwhile is seen a
        little later, what the job writes at once. A lake on disk is returned as it is.

        Args:
            tables: Tables whose manifests will be looked at, all of them.
        """
        if self.storage.folder is not None:
            return self
        found = copy.copy(self)
        vars(found)["storage"] = Remembering(self.storage)
        snapshot.keep_manifests(found.storage, map(table_named, tables))
        return found

    def partitions(self, table: str, **key: str) -> list[Manifest]:
        """The partitions of a table that exist, with all that their manifests say.

        Args:
            table: The table's name.
            key: Keep only partitions with these values, e.g. `model="vit-b"`.

        Raises:
            MissingError: There is no lake, or the table has no such key. A value that no partition has leaves an empty list.
        """
        found = table_named(table)
        _check_key(table, key, found.keys)
        held = snapshot.current(self.storage, found, **key)
        if not held:
            self.check_exists()
        return self._left(Held(self.storage), held)

    def part(self, table: str, **key: str) -> tuple[Manifest, Part]:
        """One part of one partition.

        Args:
            table: The table's name.
            key: All columns of the path, e.g. `model="vit-b", dataset="ninco"`.

        Raises:
            MissingError: The lake does not hold it; the message names the nearest key that it holds.
            InputError: A column of the path is not given.
        """
        found = table_named(table)
        _check_key(table, key, found.path_columns)
        missing = [name for name in found.path_columns if name not in key]
        if missing:
            raise InputError(
                f"One partition of {table} is named by {', '.join(found.path_columns)}: give {missing[0]} too."
            )
        partition_key = {name: key[name] for name in found.keys}
        part_key = {name: key[name] for name in found.part_keys}
        manifest = snapshot.latest(self.storage, found, partition_key)
        part = manifest.part(part_key) if manifest else None
        if manifest is None or part is None:
            raise self._absent(table, {**partition_key, **part_key})
        return manifest, part

    def read(self, table: str, **key: str) -> pa.Table:
        """One part of one partition, whole, without the columns of its path: for small tables.

        Raises:
            MissingError: The lake does not hold it.
        """
        from featurestore.partitions import reading  # which needs numpy and pyarrow, and questions do not

        return reading.read(self.storage, *self.part(table, **key))

    def batches(
        self,
        table: str = "activations",
        *,
        columns: Sequence[str] = ("sample", "feature", "logits"),
        batch_rows: int = BATCH_ROWS,
        **key: str,
    ) -> Iterator[Batch]:
        """Read a partition block by block, in row order, in memory bounded by a few blocks.

        Args:
            table: The table's name.
            columns: What each block holds, in this order.
            batch_rows: Largest number of rows in a block.
            key: The partition's key: `model="vit-b", dataset="ninco"`.

        Yields:
            A named tuple with one numpy array per column (`block.feature`, or `sample, feature, logits = block`): `[n]`, or
            `[n, width]` in the stored precision for a vector column. A missing integer (the label of an OOD sample) is -1. Logits that are not stored (`extract --logits derived`) are
            computed from the features, as float32.

        Raises:
            MissingError: The lake does not hold the partition, or it has no such column.
            CorruptionError: A fragment is missing or altered.
            ConflictError: The logits are not stored, and the head that would give them is gone.
        """
        from featurestore.partitions import reading

        manifest, part = self.part(table, **key)
        derivation = self._derivation(manifest, part, columns)
        if derivation is None:
            blocks = reading.batches(self.storage, manifest, part, columns, batch_rows)
        else:
            stored = reading.batches(self.storage, manifest, part, derivation.read, batch_rows)
            blocks = map(derivation.complete, stored)
        return (reading.Batch(block, columns) for block in blocks)

    def pieces(
        self, table: str = "activations", *, columns: Sequence[str] = ("sample", "feature", "logits"), **key: str
    ) -> list[Callable[[], Batch]]:
        """What `batches` reads, as functions of some thousand rows each that any thread may call, in any order.

        Args:
            table: The table's name.
            columns: What each function returns, in this order.
            key: The partition's key: `model="vit-b", dataset="ninco"`.

        Raises:
            MissingError: The lake does not hold the partition, or it has no such column.
            CorruptionError: A fragment is missing or altered; the functions raise it too.
        """
        from featurestore.partitions import reading

        manifest, part = self.part(table, **key)
        derivation = self._derivation(manifest, part, columns)
        if derivation is None:
            return [partial(_named, piece, columns) for piece in reading.pieces(self.storage, manifest, part, columns)]
        pieces = reading.pieces(self.storage, manifest, part, derivation.read)
        return [partial(_named, piece, columns, derivation.complete) for piece in pieces]

    def scan(self, table: str, **key: str) -> pl.LazyFrame:
        """A table as a polars LazyFrame over just the fragments that the key allows.

        Args:
            table: The table's name.
            key: Keep only rows with these values of the path's columns, e.g. `model="vit-b", detector="msp"`.

        Returns:
            The table's columns. A vector column of one partition (all its keys are given) is an `Array` of the stored
            width and precision; over several partitions, which may differ in both, it is a `List(Float32)`.

        Raises:
            MissingError: There is no lake, the table has no such column in its path, or nothing in the table has such a value; the
                message names the nearest.
        """
        from featurestore.partitions import scanning

        found = table_named(table)
        _check_key(table, key, found.path_columns)
        self.check_exists()
        of_partition = {name: value for name, value in key.items() if name in found.keys}
        held = Held(self.storage)
        if self._without:
            warn_stale(complaints(held, {table}, [key["model"]] if "model" in key else (), self._without))
        files = [
            [
                file
                for part in manifest.parts
                if all(part.key[name] == value for name, value in key.items() if name in part.key)
                for file in manifest.files(part)
            ]
            for manifest in self._left(held, snapshot.current(self.storage, found, **of_partition))
        ]
        if not any(files):
            self._check_values(table, key)
        whole = of_partition.keys() == set(found.keys)
        every = [file for group in files for file in group]
        brought = opening.bring(self.storage, every)
        places = [self.storage.uri(path) for path, _ in every] if brought is None else list(map(str, brought))
        lying, left = dict(zip(places, every, strict=True)), iter(places)
        uris = [list(islice(left, len(group))) for group in files if group]
        options = self.storage.polars_options if brought is None else None

        def vouch(read: Sequence[str]) -> None:
            row_counts.vouch(self.storage, [lying[uri] for uri in read])

        return scanning.scan(found, uris, options, whole=whole, vouch=vouch)

    def _left(self, held: Held, manifests: Sequence[Manifest]) -> list[Manifest]:
        """The manifests without the parts that this lake leaves out."""
        if not self._without:
            return list(manifests)
        left = [(manifest, tuple(held.current_parts(manifest, self._without))) for manifest in manifests]
        return [replace(manifest, parts=parts) for manifest, parts in left if parts]

    def _derivation(self, manifest: Manifest, part: Part, columns: Sequence[str]) -> Derivation | None:
        """What adds logits to a part's blocks, if they are asked for and not stored."""
        from featurestore.partitions import derived_logits

        if "logits" not in columns or derived_logits.are_stored(part.ingredients):
            return None
        model = manifest.key["model"]
        if derived_logits.are_absent(part.ingredients):
            raise MissingError(f"The model {model} has no head, and so no logits: read its features alone.")
        head, rows = self.part("heads", model=model)[1], self.read("heads", model=model)
        return derived_logits.Derivation.of(part, head, rows, columns)

    def _check_values(self, table: str, key: Mapping[str, str]) -> None:
        """Refuse the first value that nothing in the table has."""
        held = [
            {**manifest.key, **part.key}
            for manifest in snapshot.current(self.storage, table_named(table))
            for part in manifest.parts
        ]
        for name, value in key.items():
            pick(f"{name} in {table}", value, {path[name] for path in held})

    def _absent(self, table: str, key: Mapping[str, str]) -> MissingError:
        self.check_exists()
        wanted = ", ".join(f"{name} {value}" for name, value in key.items())
        held = [
            ", ".join(f"{n} {v}" for n, v in {**m.key, **p.key}.items())
            for m in self.partitions(table)
            for p in m.parts
        ]
        return MissingError(f"The lake at {self.location} holds no {table} of {wanted}: {nearest(wanted, held)}")


def warn_stale(sentences: Sequence[str], *, stacklevel: int = 3) -> None:
    """Warn of what an answer rests on, by default the caller of the method that calls this."""
    for sentence in sentences:
        warnings.warn(sentence, StaleWarning, stacklevel=stacklevel)


def _named(piece: ReadBlock, columns: Sequence[str], complete: Callable[[Block], Block] = lambda block: block) -> Batch:
    from featurestore.partitions import reading

    return reading.Batch(complete(piece()), columns)


def _check_key(table: str, key: Mapping[str, str], known: Sequence[str]) -> None:
    for name, value in key.items():
        check_key(pick(f"key of {table}", name, known), value)


def _check_location(storage: Storage) -> None:
    """Refuse a lake below a folder `NAME=…` where NAME is a column: polars and DuckDB would read the folder's value."""
    columns = {column.lower() for table in TABLES.values() for column in table.sql_types}
    named = {storage.uri(""): f"A lake cannot lie at {storage.location}"}
    if storage.cache:
        root = storage.cache.settings.root
        named[str(root)] = f"The cache cannot lie at {root}"
    for place, said in named.items():
        for folder in place.split("/"):
            if "=" in folder and folder.partition("=")[0].lower() in columns:
                raise InputError(
                    f"{said}: its folder {folder!r} would be read as the column {folder.partition('=')[0]!r}. "
                    "Give a path without it."
                )
