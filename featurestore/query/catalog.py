"""The DuckDB catalog: every table of a lake as a view, over explicit file lists."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from featurestore.errors import InputError, StorageError, one_line
from featurestore.held import Held
from featurestore.layout.tables import TABLES
from featurestore.names import pick
from featurestore.query import published
from featurestore.query.stored_tables import StoredTables
from featurestore.sql_text import SqlFiles, header, quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from featurestore.query.stored_tables import Checking, Chosen
    from featurestore.sql_text import FromFiles
    from featurestore.sql_text.header import Parameter, SqlFile
    from featurestore.storage import Storage

_NAMED = re.compile(r'"(table|function)_name":"([^"\\]*)"')
"""Of a syntax tree as JSON, what names tables, views and functions; none of ours needs a backslash."""
_FOLDER = Path(__file__).parents[2] / "sql"
"""Beside the package, in a checkout and where it is installed alike; never imported, since a user may have a module `sql`, too."""


@cache
def views() -> SqlFiles:
    """The views of `sql/views/`, by name."""
    return _folder("views")


@cache
def macros() -> SqlFiles:
    """The macros of `sql/macros/`, by name: a table macro where the header has columns, else an expression."""
    return _folder("macros")


@cache
def questions() -> SqlFiles:
    """The questions of `sql/questions/`, by name."""
    return _folder("questions")


def connect(
    storage: Storage | None,
    names: Iterable[str] | None = None,
    held: Held | None = None,
    without: Collection[str] = (),
    chosen: Chosen | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with a lake's views, macros and questions, which carry their documentation as comments.

    Args:
        storage: The lake's storage; None where nothing but published numbers is read.
        names: The views, macros and questions that are needed, without comments, beside those that they read; all if None.
        held: What the lake holds, where it was read already.
        without: The tables of which stale parts are left out.
        chosen: Of some tables, the values that rows have in columns of their paths: no others are read, nor compared.

    Where all are made, nothing is known of what will be asked: then each table is compared with its manifests when SQL first reads it.

    Raises:
        CorruptionError: A fragment is missing or altered.
        StorageError: The lake cannot be read.
    """
    connection = duckdb.connect()
    try:
        # A question reads hundreds of small files, and fragments never change.
        connection.execute("set parquet_metadata_cache = true")
        checking: Checking = "now" if names is not None else "read"
        create(connection, storage, names, held=held, checking=checking, without=without, chosen=chosen)
    except duckdb.Error as error:
        raise unreadable(error, storage.location if storage else "") from error
    return connection


def create(
    connection: duckdb.DuckDBPyConnection,
    storage: Storage | None,
    names: Iterable[str] | None = None,
    from_files: FromFiles | None = None,
    *,
    held: Held | None = None,
    checking: Checking = "never",
    without: Collection[str] = (),
    chosen: Chosen | None = None,
) -> None:
    """Create a lake's views and macros in an empty database, and each question as a table macro.

    Args:
        connection: The database.
        storage: The lake's storage; None where nothing but published numbers is read.
        names: The views, macros and questions that are needed, without comments, beside those that they read; all if None.
        from_files: From keys in the storage, and options of `read_parquet`, to SQL's FROM that reads them; by default by the storage's URIs.
        held: What the lake holds, where it was read already.
        checking: When to compare the fragments with their manifests, as DuckDB would not notice a flipped bit: now, or when SQL reads
            a table, which needs this process, or never.
        without: The tables of which stale parts are left out.
        chosen: Of some tables, the values that rows have in columns of their paths: no others are read, nor compared.

    Raises:
        CorruptionError: A fragment is missing or altered.
    """
    # In Jupyter without ipywidgets DuckDB has no bar, and refuses to be told so.
    with suppress(duckdb.InvalidInputException):
        connection.execute("set enable_progress_bar = false")
    # The name of a table that is not there is no variable of the program that runs the SQL.
    connection.execute("set python_enable_replacements = false")
    connection.execute("create schema stored")
    held = held or (Held(storage) if storage else None)
    if held:
        read = set().union(*map(_views_behind, _files() if names is None else names))
        held.read(sorted(read & TABLES.keys()))
    stored = StoredTables(connection, held, from_files, checking, without, chosen or {})
    if chosen:
        stored.name_all()
    builder = _Builder(connection, stored, commenting=names is None)
    with stored.vouched():
        for name in sorted(_files() if names is None else names):
            builder.create(name)


def naming(view: str, column: str, chosen: Collection[str] = ()) -> str:
    """SQL's FROM with the names that a column of a view has, also where only some rows of it are read.

    Args:
        view: The view.
        column: The column.
        chosen: The tables of which only some rows are read.
    """
    if view not in chosen or column not in TABLES[view].path_columns:
        return view
    kept = f"stored = {quote(view)} and key = {quote(column)}"
    return f"(from stored.names select name as {column} where {kept})"


def unreadable(error: duckdb.Error, location: str = "") -> StorageError:
    """What to raise where DuckDB cannot read a lake."""
    return StorageError(f"DuckDB cannot read the lake{f' at {location}' if location else ''}: {one_line(error)}")


def named_in(sql: str) -> set[str]:
    """The views, macros and questions that a SELECT names; empty for all else."""
    tables, functions = _names(sql)
    return set(tables & views().keys() | functions & macros().keys() | functions & questions().keys())


def views_behind(sql: str) -> set[str]:
    """The views that a SELECT reads: itself, and through views, macros and questions; empty for all else."""
    return set().union(*map(_views_behind, named_in(sql)))


@cache
def _views_behind(name: str) -> frozenset[str]:
    return (frozenset({name}) & views().keys()).union(*map(_views_behind, _sources(name)))


@cache
def _sources(name: str) -> frozenset[str]:
    """The views, macros and questions that one of them names."""
    file = _files()[name]
    # A macro may be an expression.
    select = f"select {file.body}" if file.arguments and not file.columns else file.sql
    return frozenset(named_in(select) - {name})


@cache
def _names(sql: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names of tables and of functions in a SELECT."""
    found = _NAMED.findall(_serialized(sql))
    tables, functions = ({name.lower() for kind, name in found if kind == wanted} for wanted in ("table", "function"))
    return frozenset(tables), frozenset(functions)


def syntax_tree(sql: str) -> dict[str, Any]:
    """DuckDB's syntax tree of SELECT statements, or what is wrong with them."""
    tree: dict[str, Any] = json.loads(_serialized(sql))
    return tree


def _serialized(sql: str) -> str:
    """The same as JSON; in its texts, quotes stand behind a backslash."""
    (tree,) = parser().execute("select json_serialize_sql($1::varchar)", [sql]).fetchall()[0]
    return str(tree)


def parser() -> duckdb.DuckDBPyConnection:
    """A connection that only parses, of a database that is opened once: that takes longer than parsing does."""
    return _parsing().cursor()


@cache
def _parsing() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@dataclass(frozen=True, slots=True)
class _Builder:
    """Creates views, macros and questions in a database, each once and after those that it reads."""

    connection: duckdb.DuckDBPyConnection
    stored: StoredTables
    commenting: bool
    done: set[str] = field(default_factory=set)

    def create(self, name: str) -> None:
        """Create one with its comments, after those that it reads."""
        if name in self.done:
            return
        self.done.add(name)
        for source in sorted(_sources(name)):
            self.create(source)
        if name in views():
            self._create_view(views()[name])
        elif name in macros():
            self._create_macro(macros()[name])
        else:
            self._create_question(questions()[name])

    def _create_view(self, view: SqlFile) -> None:
        if view.name in TABLES:
            self.stored.create(view.name)
        elif view.name == "published":
            self.connection.from_arrow(published.table()).create("stored.published")
        self.connection.execute(f"create view {view.name} as {view.sql}")
        if self.commenting:
            self.connection.execute(f"comment on view {view.name} is {quote(view.title)}")
            for column, text in view.columns.items():
                self.connection.execute(f"comment on column {view.name}.{column} is {quote(text)}")

    def _create_macro(self, macro: SqlFile) -> None:
        arguments = ", ".join(
            a.name if a.default is None else f"{a.name} := {a.default}" for a in macro.arguments.values()
        )
        kind, body = ("table", macro.sql) if macro.columns else ("", f"({macro.body})")
        self.connection.execute(f"create macro {macro.name}({arguments}) as {kind} {body}")
        if self.commenting:
            self.connection.execute(f"comment on macro {kind} {macro.name} is {quote(macro.title)}")

    def _create_question(self, question: SqlFile) -> None:
        """Create a question as a table macro.

        Its parameters end in `_`: a macro's parameter hides every column of the same name. Its name may be a word of SQL.
        """
        parameters = ", ".join(f"{p.name}_ := {_literal(p)}" for p in question.parameters.values())
        body = header.PARAMETER_USE.sub(r"\1_", question.sql)
        self.connection.execute(f'create macro "{question.name}"({parameters}) as table {body}')
        if self.commenting:
            self.connection.execute(f'comment on macro table "{question.name}" is {quote(question.question)}')


def _literal(parameter: Parameter) -> str:
    type_ = {"text": "varchar", "integer": "bigint", "number": "double"}[parameter.type]
    return "null" if parameter.default is None else f"{quote(str(parameter.default))}::{type_}"


@cache
def _files() -> SqlFiles:
    return SqlFiles({**views().readers, **macros().readers, **questions().readers})


def documented(name: str) -> Mapping[str, str]:
    """The columns of a view or macro with their descriptions.

    Raises:
        MissingError: There is none of that name; the message names the nearest.
    """
    known = {**macros().readers, **views().readers}
    return known[pick("view or macro", name, known)]().columns


@cache
def _file(folder: str, name: str) -> SqlFile:
    text = (_FOLDER / folder / f"{name}.sql").read_text(encoding="utf-8")
    return header.parse(text, name, f"sql/{folder}/{name}.sql", documented)


def _folder(name: str) -> SqlFiles:
    """The files of a folder of `sql/`."""
    names = sorted(file.stem for file in (_FOLDER / name).glob("*.sql"))
    if not names:
        raise InputError(f"The installed package has no sql/{name}: install featurestore again.")
    return SqlFiles({file: partial(_file, name, file) for file in names})
