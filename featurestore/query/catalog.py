"""The DuckDB catalog: every table of a lake as a view, over explicit file lists."""

from __future__ import annotations

import glob
import json
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import duckdb
import pyarrow as pa

from featurestore.errors import InputError, StorageError, one_line
from featurestore.fragments import opening
from featurestore.layout.tables import TABLES
from featurestore.names import pick
from featurestore.partitions.age import Held
from featurestore.query import header, published

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from featurestore.layout.manifest import Fragment
    from featurestore.layout.tables import Table
    from featurestore.query.header import Parameter, SqlFile
    from featurestore.storage import Storage

    FromFiles: TypeAlias = Callable[[Sequence[str], str], str]
    Checking: TypeAlias = Literal["now", "read", "never"]

_FOLDER = Path(__file__).parents[2] / "sql"
"""Beside the package, in a checkout and where it is installed alike; never imported, since a user may have a module `sql`, too."""


UNASKED = 256_000_000
"""Bytes of a table that are brought from a bucket before anyone asked for it; of more, it is read there."""
VOUCHED = 1 << 30
"""Bytes of activations that are hashed before SQL reads some of them: of more, a question would wait for models that it does not ask for."""
_IS_WHOLE = "is_as_manifests_say"
"""A function of the database: raises where a fragment of a table is not what its manifest says."""
_SQL_TYPES = {
    pa.string(): "varchar", pa.int64(): "bigint", pa.float64(): "double",
    pa.list_(pa.string()): "varchar[]", pa.list_(pa.float64()): "double[]",
}  # fmt: skip


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


def connect(
    storage: Storage | None,
    names: Iterable[str] | None = None,
    held: Held | None = None,
    without: Collection[str] = (),
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with a lake's views, macros and questions, which carry their documentation as comments.

    Args:
        storage: The lake's storage; None where nothing but published numbers is read.
        names: The views, macros and questions that are needed, without comments, beside those that they read; all if None.
        held: What the lake holds, where it was read already.
        without: The tables of which stale parts are left out.

    Where all are made, nothing is known of what will be asked: then each table is compared with its manifests when SQL first reads it.

    Raises:
        CorruptionError: A fragment is missing or altered.
        StorageError: The lake cannot be read.
    """
    connection = duckdb.connect()
    try:
        # A question reads hundreds of small files, and fragments never change.
        connection.execute("set parquet_metadata_cache = true")
        create(connection, storage, names, held=held, checking="now" if names is not None else "read", without=without)
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

    Raises:
        CorruptionError: A fragment is missing or altered.
    """
    connection.execute("set enable_progress_bar = false")
    # The name of a table that is not there is no variable of the program that runs the SQL.
    connection.execute("set python_enable_replacements = false")
    connection.execute("create schema stored")
    held = held or (Held(storage) if storage else None)
    if held:
        read = set().union(*map(_views_behind, _files() if names is None else names))
        held.read(sorted(read & TABLES.keys()))
    builder = _Builder(connection, held, from_files, checking, names is None, without)
    vouched: dict[str, Callable[[], None]] = {}
    if checking == "read":
        connection.create_function(_IS_WHOLE, _vouching(vouched))
    for name in sorted(_files() if names is None else names):
        builder.create(name)
    vouched |= builder.unread  # only now: DuckDB looks at what a view reads when it is made, too


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
    tables, functions = set(), set()

    def note(node: dict[str, Any]) -> dict[str, Any]:
        if node.get("type") == "BASE_TABLE":
            tables.add(node["table_name"].lower())
        elif node.get("type") == "FUNCTION":
            functions.add(node["function_name"].lower())
        return node

    syntax_tree(sql, note)
    return frozenset(tables), frozenset(functions)


def syntax_tree(sql: str, each: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> dict[str, Any]:
    """DuckDB's syntax tree of SELECT statements, or what is wrong with them.

    Args:
        sql: The statements.
        each: Is called with each node of the tree, those below it first.
    """
    (serialized,) = parser().execute("select json_serialize_sql($1::varchar)", [sql]).fetchall()[0]
    tree: dict[str, Any] = json.loads(serialized, object_hook=each)
    return tree


@cache
def parser() -> duckdb.DuckDBPyConnection:
    """A database that only parses: opening one takes longer than parsing does."""
    return duckdb.connect()


@dataclass(frozen=True, slots=True)
class _Builder:
    """Creates views, macros and questions in a database, each once and after those that it reads."""

    connection: duckdb.DuckDBPyConnection
    held: Held | None
    from_files: FromFiles | None
    checking: Checking
    commenting: bool
    without: Collection[str]
    done: set[str] = field(default_factory=set)
    unread: dict[str, Callable[[], None]] = field(default_factory=dict)
    """Of each table, what compares its fragments with their manifests before SQL reads them."""

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
            self._create_stored(view.name)
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

    def _create_stored(self, name: str) -> None:
        """Create `stored.NAME` over a table's fragments, or an empty one with the same columns."""
        found = [
            (path, fragment)
            for manifest in (self.held.of(name) if self.held else ())
            for part in (self.held.current_parts(manifest, self.without) if self.held else ())
            for path, fragment in manifest.files(part)
            if fragment.rows
        ]
        if found and self.held:
            from_files = self.from_files or self._from_here_or_there(self.held.storage, found)
            rows = _scan(TABLES[name], [key for key, _ in found], from_files)
            self.connection.execute(f"create view stored.{name} as {rows}")
            if self.checking == "read" and _is_vouched(found):
                self.unread[name] = partial(opening.vouch, self.held.storage, found)
        else:
            self.connection.from_arrow(TABLES[name].sql_schema.empty_table()).create(f"stored.{name}")

    def _from_here_or_there(self, storage: Storage, found: Sequence[tuple[str, Fragment]]) -> FromFiles:
        """How to read fragments of a table: on this machine where they lie here or are brought, else in their store."""
        now = self.checking == "now" and _is_vouched(found)
        brought = opening.bring(storage, found, hashing=now, at_most=None if self.checking == "now" else UNASKED)
        table = found[0][0].partition("/")[0] if self.checking == "read" else ""
        if brought is not None:
            return lambda _, options: _from_paths(map(str, brought), options, table)
        if now:
            opening.check(storage, found)
        storage.register(self.connection)
        return lambda keys, options: _from_paths(map(storage.uri, keys), options, table)


def _is_vouched(found: Sequence[tuple[str, Fragment]]) -> bool:
    """Whether the fragments of a table are compared with their manifests before SQL reads any of them."""
    return not found[0][0].startswith(f"{opening.STREAMED}/") or sum(of.bytes for _, of in found) <= VOUCHED


def _vouching(unread: Mapping[str, Callable[[], None]]) -> Callable[[str], bool]:
    """What the database calls once for each statement that reads a table, before it does."""

    def vouch(table: str) -> bool:
        if table in unread:
            unread[table]()
        return True

    return vouch


def from_uris(storage: Storage, keys: Sequence[str], options: str) -> str:
    """SQL's FROM that reads files where the storage has them."""
    return _from_paths(map(storage.uri, keys), options)


def _from_paths(paths: Iterable[str], options: str, table: str = "") -> str:
    """SQL's FROM that reads files; those of a table only if they are what its manifests say."""
    files = sql_list(map(glob.escape, paths))
    return f"from read_parquet({f'if({_IS_WHOLE}({quote(table)}), {files}, [])' if table else files}, {options})"


def _scan(table: Table, keys: Sequence[str], from_files: FromFiles) -> str:
    """A table's rows; columns that were added to it since a fragment was written are null there."""
    columns = ", ".join(_column(column, keys) for column in table.sql_schema.names)
    options = f"hive_partitioning = true, hive_types_autocast = false, union_by_name = {bool(table.added)}"
    rows = from_files(keys, options)
    if not table.added:
        return f"{rows} select {columns}"
    types = {name: _SQL_TYPES[table.columns.field(name).type] for name in table.added}
    none = ", ".join(f'null::{type_} as "{name}"' for name, type_ in types.items())
    return f"from ({rows} union all by name select {none} where false) select {columns}"


def _column(name: str, keys: Sequence[str]) -> str:
    """A column, of which DuckDB before 2.0 takes the value `null` in a path for no value."""
    folder = f"{name}=null/"
    return f'coalesce("{name}", \'null\') as "{name}"' if any(folder in key for key in keys) else f'"{name}"'


def sql_list(texts: Iterable[str]) -> str:
    """A list of texts as a SQL literal."""
    return f"[{', '.join(map(quote, texts))}]"


def quote(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _literal(parameter: Parameter) -> str:
    type_ = {"text": "varchar", "integer": "bigint", "number": "double"}[parameter.type]
    return "null" if parameter.default is None else f"{quote(str(parameter.default))}::{type_}"


@cache
def _files() -> Mapping[str, SqlFile]:
    return {**views(), **macros(), **questions()}


def documented(name: str) -> Mapping[str, str]:
    """The columns of a view or macro with their descriptions.

    Raises:
        MissingError: There is none of that name; the message names the nearest.
    """
    folders = {file.stem: file.parent.name for file in (*_FOLDER.glob("macros/*.sql"), *_FOLDER.glob("views/*.sql"))}
    return _file(folders[pick("view or macro", name, folders)], name).columns


@cache
def _file(folder: str, name: str) -> SqlFile:
    text = (_FOLDER / folder / f"{name}.sql").read_text(encoding="utf-8")
    return header.parse(text, name, f"sql/{folder}/{name}.sql", documented)


def _folder(name: str) -> dict[str, SqlFile]:
    """Read a folder of `sql/`."""
    names = sorted(file.stem for file in (_FOLDER / name).glob("*.sql"))
    if not names:
        raise InputError(f"The installed package has no sql/{name}: install featurestore again.")
    return {file: _file(name, file) for file in names}
