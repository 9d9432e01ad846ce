"""The tables of a lake as views over explicit lists of files, which are what their manifests say."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, TypeAlias

import duckdb

from featurestore.fragments import opening, row_counts
from featurestore.layout import paths
from featurestore.layout.tables import TABLES
from featurestore.sql_text import from_paths, quote, scan, sql_list

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from featurestore.held import Held
    from featurestore.layout.manifest import Fragment, Manifest, Part
    from featurestore.layout.tables import Table
    from featurestore.sql_text import FromFiles
    from featurestore.storage import Storage

Checking: TypeAlias = Literal["now", "read", "never"]
"""When fragments are compared with their manifests: before a view is made, when SQL reads a table, or never."""
Chosen: TypeAlias = "Mapping[str, Mapping[str, str]]"
"""Of tables, columns of their paths with the one value that is read."""
UNASKED = 256_000_000
"""Bytes of a table that are brought from a bucket before anyone asked for it; of more, it is read there."""
VOUCHED = 1 << 30
"""Bytes of activations that are hashed before SQL reads some of them: of more, a question would wait for models that it does not ask for."""
_GATHERED = "hive_partitioning = false"
_WRITTEN = "format parquet, compression zstd, row_group_size 8192"
"""Rows lie in order of detectors: of one of them, few groups of rows are read."""
_IS_WHOLE = "is_as_manifests_say"
"""A function of the database: raises where a fragment of a table is not what its manifest says."""


@dataclass(frozen=True, slots=True)
class StoredTables:
    """Creates `stored.NAME` in a database for tables of a lake.

    Attributes:
        connection: The database.
        held: What the lake holds; None for tables without rows.
        from_files: How files are read; by default where they lie, or on this machine if they were brought.
        checking: When the fragments are compared with their manifests.
        without: The tables of which stale parts are left out.
        chosen: Of some tables, the values that parts have in their keys of which anything is read.
        unread: Of each table, what compares its fragments before SQL reads them.
    """

    connection: duckdb.DuckDBPyConnection
    held: Held | None
    from_files: FromFiles | None
    checking: Checking
    without: Collection[str]
    chosen: Chosen = field(default_factory=dict)
    unread: dict[str, Callable[[], None]] = field(default_factory=dict)

    @contextlib.contextmanager
    def vouched(self) -> Iterator[None]:
        """Have the tables that are made inside compared once for each statement that reads them, if that is when it is to be done."""
        armed: dict[str, Callable[[], None]] = {}

        def vouch(table: str) -> bool:
            if table in armed:
                armed[table]()
            return True

        if self.checking == "read":
            self.connection.create_function(_IS_WHOLE, vouch)
        yield
        armed |= self.unread  # only now: DuckDB looks at what a view reads when it is made, too

    def create(self, name: str) -> None:
        """Create `stored.NAME` over a table's rows, or an empty one with the same columns."""
        gathered = self._gathered(name)
        if gathered:
            self.connection.execute(f"create view stored.{name} as {gathered}")
            return
        found = [file for manifest in (self.held.of(name) if self.held else ()) for file in self._files(manifest)]
        if found and self.held:
            from_files = self.from_files or self._from_here_or_there(self.held.storage, found)
            if self.from_files and self.checking == "now" and self.held.storage.folder and _is_vouched(found):
                row_counts.vouch(self.held.storage, found)
            rows = scan(TABLES[name], [key for key, _ in found], from_files)
            self.connection.execute(f"create view stored.{name} as {rows}")
            if self.checking == "read" and _is_vouched(found):
                self.unread[name] = partial(row_counts.vouch, self.held.storage, found)
        else:
            columns = ", ".join(f'"{column}" {type_}' for column, type_ in TABLES[name].sql_types.items())
            self.connection.execute(f"create table stored.{name} ({columns})")

    def name_all(self) -> None:
        """Create `stored.names`: of the tables that are read in part, which names all their parts have in their keys."""
        self.connection.execute("create table stored.names (stored varchar, key varchar, name varchar)")
        for table in self.chosen:
            held = self.held.of(table) if self.held else ()
            parts = [{**one.key, **part.key} for one in held for part in self._current_parts(one)]
            for key in TABLES[table].path_columns:
                names = sql_list(sorted({part[key] for part in parts}))
                self.connection.execute(
                    f"insert into stored.names select {quote(table)}, {quote(key)}, unnest({names}::varchar[])"
                )

    def _files(self, manifest: Manifest) -> Iterator[tuple[str, Fragment]]:
        """The fragments of a partition that are read, with their keys in the storage."""
        wanted = self.chosen.get(manifest.table, {}).items()
        if any(manifest.key.get(key, value) != value for key, value in wanted):
            return
        for part in self._current_parts(manifest):
            if all(part.key.get(key, value) == value for key, value in wanted):
                yield from (file for file in manifest.files(part) if file[1].rows)

    def _current_parts(self, manifest: Manifest) -> list[Part]:
        """The parts of a partition that answers may read, with rows."""
        current = self.held.current_parts(manifest, self.without) if self.held else []
        return [part for part in current if any(fragment.rows for fragment in part.fragments)]

    def _gathered(self, name: str) -> str:
        """SQL that reads a table's rows where they are gathered, but for those of parts that are left out; nothing where they are not."""
        asked = self.checking == "now" and self.from_files is None and name not in self.chosen
        whole = self.held.gathered(name) if self.held and asked else None
        if self.held is None or whole is None:
            return ""
        files = whole.files(partial(gather, self.held.storage))
        if not files:
            return ""
        left_out = []
        for one in self.held.of(name):
            kept = self.held.current_parts(one, self.without)
            if len(kept) < len(one.parts):
                left_out += [{**one.key, **part.key} for part in one.parts if part not in kept]
        return f"{from_paths(map(str, files), _GATHERED)}{_but_for(TABLES[name].path_columns, left_out)}"

    def _from_here_or_there(self, storage: Storage, found: Sequence[tuple[str, Fragment]]) -> FromFiles:
        """How to read fragments of a table: on this machine where they lie here or are brought, else in their store."""
        now = self.checking == "now" and _is_vouched(found)
        brought = opening.bring(storage, found, hashing=now, at_most=None if self.checking == "now" else UNASKED)
        table = found[0][0].partition("/")[0]
        whole = f"{_IS_WHOLE}({quote(table)})" if self.checking == "read" else ""
        if now and brought is None:
            opening.check(storage, found)
        if now:
            row_counts.compare(found, row_counts.places(storage, found, brought), self.connection)
        if brought is not None:
            return lambda _, options: from_paths(map(str, brought), options, whole)
        storage.register(self.connection)
        return lambda keys, options: from_paths(map(storage.uri, keys), options, whole)


def gather(
    storage: Storage, table: Table, earlier: Path | None, dropped: Sequence[str], manifests: Sequence[Manifest]
) -> bytes:
    """A Parquet file of a table's rows: those of an earlier file but for some partitions', and those of fragments, which are hashed first.

    Args:
        storage: The lake's storage.
        table: The table.
        earlier: The earlier file, if there is one.
        dropped: The folders of the partitions that are left out of it.
        manifests: What else the file is to have the rows of.
    """
    found = [file for one in manifests for part in one.parts for file in one.files(part) if file[1].rows]
    row_counts.vouch(storage, found)
    sources = []
    if earlier:
        keys = [paths.partition_key(table, folder) or {} for folder in dropped]
        sources.append(f"{from_paths([str(earlier)], _GATHERED)}{_but_for(table.keys, keys)}")
    if found:
        from_files: FromFiles = lambda keys, options: from_paths(map(storage.uri, keys), options)  # noqa: E731
        sources.append(scan(table, [key for key, _ in found], from_files))
    if not sources:
        nothing = ", ".join(f'null::{type_} as "{name}"' for name, type_ in table.sql_types.items())
        sources.append(f"select {nothing} where false")
    order = ", ".join(name for name in ("detector", *table.keys) if name in table.sql_types)
    with TemporaryDirectory() as folder, duckdb.connect() as connection:  # one that remembers none of these files
        file = Path(folder) / "rows.parquet"
        rows = " union all by name ".join(f"({source})" for source in sources)
        connection.execute(f"copy (from ({rows}) order by {order}) to {quote(str(file))} ({_WRITTEN})")
        return file.read_bytes()


def _but_for(names: Sequence[str], keys: Sequence[Mapping[str, str]]) -> str:
    """SQL's WHERE that leaves rows out, by the values of some columns."""
    left_out = ", ".join(f"({', '.join(quote(key[name]) for name in names)})" for key in keys)
    return f" where ({', '.join(names)}) not in ({left_out})" if left_out else ""


def _is_vouched(found: Sequence[tuple[str, Fragment]]) -> bool:
    """Whether the fragments of a table are compared with their manifests before SQL reads any of them."""
    return not found[0][0].startswith(f"{opening.STREAMED}/") or sum(of.bytes for _, of in found) <= VOUCHED
