"""The DuckDB catalog: every table of a lake as a view, over explicit file lists."""

from __future__ import annotations

import glob
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from featurestore import reading, sqlfile
from featurestore.errors import InputError
from featurestore.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from featurestore.sqlfile import SqlFile
    from featurestore.storage import Storage
    from featurestore.tables import Table


@cache
def views() -> Mapping[str, SqlFile]:
    """The views of `sql/views/`, by name."""
    return _folder("views")


@cache
def questions() -> Mapping[str, SqlFile]:
    """The questions of `sql/questions/`, by name."""
    return _folder("questions")


def connect(storage: Storage, names: Iterable[str] | None = None) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with a lake's views; their columns carry their documentation as comments.

    Args:
        storage: The lake's storage.
        names: The views that are needed; all if None. Others that these read come with them.
    """
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false; create schema stored;")
    storage.register(connection)
    done: set[str] = set()
    for name in sorted(views()) if names is None else names:
        _create(connection, storage, name, done)
    return connection


def tables_of(sql: str) -> set[str]:
    """The names of the tables and views that a statement reads; empty if it does not parse."""
    with duckdb.connect() as connection:
        try:
            return {name.rpartition(".")[2].strip('"') for name in connection.get_table_names(sql)}
        except duckdb.Error:
            return set()


def _create(connection: duckdb.DuckDBPyConnection, storage: Storage, name: str, done: set[str]) -> None:
    """Create a view after those that it reads."""
    if name in done or name not in views():
        return
    done.add(name)
    view = views()[name]
    for source in sorted(_sources(name)):
        _create(connection, storage, source, done)
    if name in TABLES:
        _create_stored(connection, storage, TABLES[name])
    connection.execute(f"create view {name} as {view.sql}")
    connection.execute(f"comment on view {name} is {_quote(view.title)}")
    for column, text in view.columns.items():
        connection.execute(f"comment on column {name}.{column} is {_quote(text)}")


@cache
def _sources(view: str) -> frozenset[str]:
    return frozenset(tables_of(views()[view].sql) - {view})


def _create_stored(connection: duckdb.DuckDBPyConnection, storage: Storage, table: Table) -> None:
    """Create `stored.TABLE` over a table's fragments, or an empty one with the same columns."""
    paths = [
        glob.escape(storage.uri(path))
        for manifest in reading.snapshot(storage, table)
        for part in manifest.parts
        for path, fragment in reading.files(manifest, part)
        if fragment.rows
    ]
    if paths:
        options = "hive_partitioning = true, hive_types_autocast = false, union_by_name = false"
        files = ", ".join(_quote(path) for path in paths)
        connection.execute(f"create view stored.{table.name} as from read_parquet([{files}], {options})")
    else:
        empty = connection.from_arrow(table.sql_schema.empty_table())
        empty.create(f"stored.{table.name}")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _folder(name: str) -> dict[str, SqlFile]:
    """Read a folder of the installed `sql` package."""
    found = {}
    for file in resources.files("sql").joinpath(name).iterdir():
        if file.name.endswith(".sql"):
            found[Path(file.name).stem] = sqlfile.parse(
                file.read_text(encoding="utf-8"), Path(file.name).stem, f"sql/{name}/{file.name}"
            )
    if not found:
        raise InputError(f"The installed package has no sql/{name}: install featurestore again.")
    return dict(sorted(found.items()))
