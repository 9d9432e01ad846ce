"""The DuckDB catalog: every table of a lake as a view, over explicit file lists."""

from __future__ import annotations

import glob
import json
import re
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import duckdb

from featurestore.errors import InputError, one_line
from featurestore.layout.tables import TABLES
from featurestore.names import nearest
from featurestore.partitions import snapshot
from featurestore.query import header, published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from featurestore.query.header import Parameter, SqlFile, Value
    from featurestore.storage import Storage

    Files: TypeAlias = Callable[[Sequence[str]], str]

_UNKNOWN_TABLE = re.compile(r"Table with name (\S+) does not exist")


@cache
def views() -> Mapping[str, SqlFile]:
    """The views of `sql/views/`, by name."""
    return _folder("views")


@cache
def macros() -> Mapping[str, SqlFile]:
    """The macros of `sql/macros/`, by name: a table macro where the header has columns, else an expression."""
    return _folder("macros")


@cache
def questions() -> Mapping[str, SqlFile]:
    """The questions of `sql/questions/`, by name."""
    return _folder("questions")


def read(text: str, name: str, origin: str) -> SqlFile:
    """Read a view, macro or question and check its syntax, for files of the package and of users alike.

    Args:
        text: The file's text.
        name: Its name without the ending.
        origin: Its path, for messages.

    Raises:
        InputError: The header or the SQL is broken, or is not one SELECT; the message gives file and line.
    """
    file = header.parse(text, name, origin)
    try:
        statements = _parser().extract_statements(_select(file))
    except duckdb.Error as error:
        raise refusal(file, error) from error
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise InputError(f"{file.place('LINE 1:')}: expected one SELECT after the header.")
    return file


def refusal(file: SqlFile, error: duckdb.Error) -> InputError:
    """What to raise where DuckDB refuses a file's body: DuckDB's sentence, with the file and line."""
    return InputError(f"{file.place(str(error))}: DuckDB refuses the SQL: {told(error)}")


def told(error: duckdb.Error) -> str:
    """DuckDB's sentence; on an unknown table the nearest of all views, since DuckDB knows just those that are needed."""
    unknown = _UNKNOWN_TABLE.search(str(error))
    if unknown is None:
        return one_line(error)
    return f"there is no table {unknown[1]!r}: {nearest(unknown[1], views())}"


def explained(
    connection: duckdb.DuckDBPyConnection, file: SqlFile, parameters: Mapping[str, Value], error: duckdb.Error
) -> InputError:
    """As `refusal`, for an error that names no line: the body is bound once more by itself, since then DuckDB names it."""
    try:
        connection.execute(file.body, dict(parameters) or None)
    except duckdb.Error as repeated:
        return refusal(file, repeated)
    return refusal(file, error)


def connect(storage: Storage | None, names: Iterable[str] | None = None) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with a lake's views and macros, which carry their documentation as comments.

    Args:
        storage: The lake's storage; None where nothing that is needed reads a lake.
        names: The views and macros that are needed, without comments; all if None, and those that these read.
    """
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    # A question reads hundreds of small files, and fragments never change.
    connection.execute("set parquet_metadata_cache = true")
    create(connection, storage, names, checking=names is not None)
    return connection


def create(
    connection: duckdb.DuckDBPyConnection,
    storage: Storage | None,
    names: Iterable[str] | None = None,
    files: Files | None = None,
    *,
    checking: bool = False,
) -> None:
    """Create a lake's views and macros in an empty database; with all views, each question as a table macro, too.

    Args:
        connection: The database.
        storage: The lake's storage.
        names: The views and macros that are needed, without comments; all if None, and those that these read.
        files: From keys in the storage to a SQL expression for the list of their paths; by default the storage's URIs.
        checking: Whether to compare the fragments with their manifests first: DuckDB would not notice a flipped bit.

    Raises:
        CorruptionError: A fragment is missing or altered.
    """
    if storage:
        storage.register(connection)
    connection.execute("create schema stored")
    builder = _Builder(
        connection, storage, files or partial(_uris, storage), checking=checking, commenting=names is None
    )
    for name in sorted({**views(), **macros()}) if names is None else names:
        builder.create(name)
    if names is None:
        for question in questions().values():
            builder.create_question(question)


def named_in(sql: str) -> set[str]:
    """The views and macros that a SELECT names; empty for all else."""
    tables, functions = _names(sql)
    return set(tables & views().keys() | functions & macros().keys())


def tables_of(sql: str) -> set[str]:
    """The tables and views that a SELECT reads, itself or through macros, and its common table expressions; empty for all else."""
    tables, functions = _names(sql)
    return set(tables).union(*(_views_of(name) for name in functions & macros().keys()))


@cache
def _names(sql: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names of tables and of functions in a SELECT."""
    (serialized,) = _parser().execute("select json_serialize_sql($1::varchar)", [sql]).fetchall()[0]
    tables, functions = set(), set()

    def note(node: dict[str, Any]) -> dict[str, Any]:
        if node.get("type") == "BASE_TABLE":
            tables.add(node["table_name"].lower())
        elif node.get("type") == "FUNCTION":
            functions.add(node["function_name"].lower())
        return node

    json.loads(serialized, object_hook=note)
    return frozenset(tables), frozenset(functions)


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    """A database that only parses: opening one takes longer than parsing does."""
    return duckdb.connect()


class _Builder:
    """Creates views and macros in a database, each once and after those that it reads."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        storage: Storage | None,
        files: Files,
        *,
        checking: bool,
        commenting: bool,
    ) -> None:
        self._connection, self._storage, self._files = connection, storage, files
        self._checking, self._commenting = checking, commenting
        self._done: set[str] = set()

    def create(self, name: str) -> None:
        """Create a view or macro with its comments; other names are none of the lake's."""
        if name in self._done or name not in {**views(), **macros()}:
            return
        self._done.add(name)
        for source in sorted(_sources(name)):
            self.create(source)
        if name in macros():
            self._create_macro(macros()[name])
        else:
            self._create_view(views()[name])

    def _create_view(self, view: SqlFile) -> None:
        if view.name in TABLES:
            self._create_stored(view.name)
        elif view.name == "published":
            self._connection.from_arrow(published.table()).create("stored.published")
        self._connection.execute(f"create view {view.name} as {view.sql}")
        if self._commenting:
            self._connection.execute(f"comment on view {view.name} is {quote(view.title)}")
            for column, text in view.columns.items():
                self._connection.execute(f"comment on column {view.name}.{column} is {quote(text)}")

    def _create_macro(self, macro: SqlFile) -> None:
        arguments = ", ".join(
            a.name if a.default is None else f"{a.name} := {a.default}" for a in macro.arguments.values()
        )
        kind, body = ("table", macro.sql) if macro.columns else ("", f"({macro.body})")
        self._connection.execute(f"create macro {macro.name}({arguments}) as {kind} {body}")
        if self._commenting:
            self._connection.execute(f"comment on macro {kind} {macro.name} is {quote(macro.title)}")

    def create_question(self, question: SqlFile) -> None:
        """Create a question as a table macro.

        Its parameters end in `_`: a macro's parameter hides every column of the same name.
        """
        parameters = ", ".join(f"{p.name}_ := {_literal(p)}" for p in question.parameters.values())
        body = header.PARAMETER_USE.sub(r"\1_", question.sql)
        self._connection.execute(f"create macro {question.name}({parameters}) as table {body}")
        self._connection.execute(f"comment on macro table {question.name} is {quote(question.question)}")

    def _create_stored(self, name: str) -> None:
        """Create `stored.NAME` over a table's fragments, or an empty one with the same columns."""
        found = [
            (path, fragment)
            for manifest in (snapshot.current(self._storage, TABLES[name]) if self._storage else ())
            for part in manifest.parts
            for path, fragment in manifest.files(part)
            if fragment.rows
        ]
        if self._checking and self._storage:
            snapshot.check(self._storage, found)
        keys = [path for path, _ in found]
        if keys:
            options = "hive_partitioning = true, hive_types_autocast = false, union_by_name = false"
            scan = f"from read_parquet({self._files(keys)}, {options})"
            self._connection.execute(f"create view stored.{name} as {scan}")
        else:
            self._connection.from_arrow(TABLES[name].sql_schema.empty_table()).create(f"stored.{name}")


def sql_list(texts: Iterable[str]) -> str:
    """A list of texts as a SQL literal."""
    return f"[{', '.join(map(quote, texts))}]"


def quote(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _uris(storage: Storage | None, keys: Sequence[str]) -> str:
    return sql_list(glob.escape(storage.uri(key)) for key in keys) if storage else "[]"


def _literal(parameter: Parameter) -> str:
    type_ = {"text": "varchar", "integer": "bigint", "number": "double"}[parameter.type]
    return "null" if parameter.default is None else f"{quote(str(parameter.default))}::{type_}"


@cache
def _sources(name: str) -> frozenset[str]:
    """The views and macros that a view or macro names."""
    tables, functions = _names(views()[name].sql if name in views() else _select(macros()[name]))
    return frozenset((tables & views().keys() | functions & macros().keys()) - {name})


@cache
def _views_of(macro: str) -> frozenset[str]:
    """The views that a macro reads, itself or through other macros."""
    sources = _sources(macro)
    return (sources & views().keys()).union(*(_views_of(name) for name in sources & macros().keys()))


def _select(file: SqlFile) -> str:
    """A file's SQL as a SELECT: a macro may be an expression."""
    return f"select {file.body}" if file.arguments and not file.columns else file.body


def _folder(name: str) -> dict[str, SqlFile]:
    """Read a folder of the installed `sql` package."""
    found = {}
    for file in resources.files("sql").joinpath(name).iterdir():
        if file.name.endswith(".sql"):
            found[Path(file.name).stem] = header.parse(
                file.read_text(encoding="utf-8"), Path(file.name).stem, f"sql/{name}/{file.name}"
            )
    if not found:
        raise InputError(f"The installed package has no sql/{name}: install featurestore again.")
    return dict(sorted(found.items()))
