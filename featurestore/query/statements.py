"""Running SQL on a lake, typed or a question's: its statements, what they return, and DuckDB's errors as the lake's own."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb

from featurestore import errors
from featurestore.errors import InputError, LakeError, first_line, one_line
from featurestore.held import complaints
from featurestore.names import nearest
from featurestore.query import catalog

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    import polars as pl
    import pyarrow as pa
    from duckdb.sqltypes import DuckDBPyType

    from featurestore.held import Held
    from featurestore.sql_text.header import SqlFile, Value
    from featurestore.storage import Storage

_FROM_PYTHON = re.compile(r"executing the UDF: (CorruptionError|StorageError|MissingError): ([^\n]*)")
_UNKNOWN_TABLE = re.compile(r"Table with name (\S+) does not exist")
# Types whose values frames hold as they are, and those that they hold but cannot always show (infinite dates, bytes).
_PLAIN = frozenset(
    {
        *(
            "boolean",
            "tinyint",
            "smallint",
            "integer",
            "bigint",
            "utinyint",
            "usmallint",
            "uinteger",
            "ubigint",
            "hugeint",
        ),
        *("float", "double", "decimal", "varchar", "enum", "uuid", "null", "list", "array", "struct", "tuple", "map"),
    }
)
_HELD = frozenset(
    {
        *(
            "date",
            "time",
            "timestamp",
            "timestamp_s",
            "timestamp_ms",
            "timestamp_ns",
            "timestamp with time zone",
            "blob",
        ),
    }
)
_SIMPLE = frozenset({"boolean", "tinyint", "smallint", "integer", "bigint", "hugeint", "double", "varchar"})
"""Types whose values Python has, too."""
_FEW = 20_000
"""Rows that are fetched without polars."""
_NUMBERS = _PLAIN - {"boolean", "varchar", "enum", "uuid", "null", "list", "array", "struct", "tuple", "map"}
_NESTED = {"list", "array", "struct", "tuple", "map"}
_WITH_ROWS = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.MULTI,  # PIVOT
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.PRAGMA,
    duckdb.StatementType.CALL,
    duckdb.StatementType.EXECUTE,
}


def is_complete(text: str) -> bool:
    """Whether a text ends with a semicolon, apart from comments; one in a string, name or comment is none.

    >>> is_complete("select 1;"), is_complete("select 1"), is_complete("select ';")
    (True, False, False)
    """
    encoded = text.encode()
    tokens = [offset for offset, kind in duckdb.tokenize(text) if kind != duckdb.token_type.comment]
    return bool(tokens) and encoded[tokens[-1] : tokens[-1] + 1] == b";"


def connect_for(
    storage: Storage, text: str, held: Held | None = None, without: Collection[str] = ()
) -> duckdb.DuckDBPyConnection:
    """A connection with the views that a text's statements need: all, where one of them names none, as `show tables` does.

    Args:
        storage: The lake's storage.
        text: The statements.
        held: What the lake holds, where it was read already.
        without: The tables of which stale parts are left out.

    Raises:
        InputError: DuckDB cannot parse the text.
        StorageError: The lake cannot be read.
    """
    needed = [catalog.named_in(statement) for statement, _ in _split(catalog.parser(), text)]
    return catalog.connect(storage, set().union(*needed) if all(needed) else None, held, without)


def rests_on(held: Held, text: str, without: Collection[str] = ()) -> list[str]:
    """Sentences on what is stale, mixed or partial of what a text's statements read; arguments as of `connect_for`."""
    statements = [statement for statement, _ in _split(catalog.parser(), text)]
    return complaints(held, set().union(*map(catalog.views_behind, statements)), without=without)


def results(connection: duckdb.DuckDBPyConnection, text: str, location: str) -> Iterator[duckdb.DuckDBPyRelation]:
    """Run the statements of a text one after the other, each when the one before it has been looked at.

    Args:
        connection: A connection with the views that they need.
        text: Any number of statements.
        location: The lake, for messages.

    Yields:
        The rows of each statement that returns some.

    Raises:
        InputError: DuckDB refuses a statement.
        StorageError: DuckDB cannot read the lake.
    """
    for statement, kind in _split(connection, text):
        relation = _run(connection, statement, location)
        if relation is not None and kind in _WITH_ROWS:
            yield relation


def result(connection: duckdb.DuckDBPyConnection, text: str, location: str) -> duckdb.DuckDBPyRelation:
    """The rows of the one statement of a text.

    Raises:
        InputError: There are more statements, or none, or DuckDB refuses it, or it returns no rows.
        StorageError: DuckDB cannot read the lake.
    """
    found = _split(connection, text)
    if not found:
        raise InputError("There is no statement: give a SELECT.")
    if len(found) > 1:
        raise InputError(
            f"There are {len(found)} statements, and one relation: run them on the connection of `connect()`."
        )
    relation = _run(connection, found[0][0], location)
    if relation is None:
        raise InputError("The statement returns no rows: give a SELECT.")
    return relation


def question_result(
    connection: duckdb.DuckDBPyConnection, question: SqlFile, parameters: Mapping[str, Value], location: str
) -> duckdb.DuckDBPyRelation:
    """The rows of a question, whose file and line are named where DuckDB refuses it.

    Raises:
        InputError: DuckDB refuses it.
        StorageError: DuckDB cannot read the lake.
    """
    values = dict(parameters) or None
    try:
        return connection.sql(question.sql, params=values)
    except duckdb.Error as error:
        place = question.place(_with_line(connection, question, values, error))
        raise _explained(error, f"{place}: DuckDB refuses the SQL", location) from error


def fetch_plain(
    relation: duckdb.DuckDBPyRelation, what: str = "the query"
) -> tuple[list[str], list[bool], list[tuple[Any, ...]]] | None:
    """What `fetch` gives, as Python's values; None where there are many rows, or values that are no texts, numbers or truths.

    A query of many rows is run as far as is needed to see that, and again by who fetches them.

    Args:
        relation: The query.
        what: What it is, for messages.

    Returns:
        The columns' names, whether each holds numbers, and the rows.

    Raises:
        InputError: DuckDB fails at a row.
        StorageError: DuckDB cannot read the lake.
    """
    names, types = list(relation.columns), [type_.id for type_ in relation.types]
    if not _SIMPLE.issuperset(types) or len({*names}) < len(names):
        return None
    try:
        rows = relation.limit(_FEW + 1).fetchall()
    except duckdb.Error as error:
        raise _explained(error, f"DuckDB cannot run {what}") from error
    return (names, [type_ not in {"varchar", "boolean"} for type_ in types], rows) if len(rows) <= _FEW else None


def fetch(relation: duckdb.DuckDBPyRelation, what: str = "the query", *, typed: bool = False) -> pl.DataFrame:
    """Run a query to its end; DuckDB reads files and converts values only now.

    Args:
        relation: The query.
        what: What it is, for messages.
        typed: Whether dates, times and blobs keep their types; else they are texts as DuckDB writes them, as are in either
            case values of types that frames do not know, such as intervals and unions.

    Raises:
        InputError: DuckDB fails at a row, or a value cannot be converted.
        StorageError: DuckDB cannot read the lake.
    """
    from polars.exceptions import PanicException, PolarsError

    try:
        frame: pl.DataFrame = _with_texts(relation, _PLAIN | _HELD if typed else _PLAIN).pl()
    except duckdb.Error as error:
        raise _explained(error, f"DuckDB cannot run {what}") from error
    except (PanicException, PolarsError) as error:
        raise InputError(
            f"A value of {what} cannot be converted ({first_line(error)}): cast its column to text, `::varchar`."
        ) from error
    return frame


def fetch_arrow(relation: duckdb.DuckDBPyRelation, what: str = "the query") -> pa.Table:
    """What `fetch` gives, in Arrow's types; arguments and errors as of `fetch`."""
    try:
        return relation.to_arrow_table()
    except duckdb.Error as error:
        raise _explained(error, f"DuckDB cannot run {what}") from error


def fetch_values(
    relation: duckdb.DuckDBPyRelation, what: str = "the query"
) -> tuple[list[str], list[bool], list[tuple[Any, ...]]]:
    """What `fetch` gives, as Python's values, with lists and dictionaries; arguments and errors as of `fetch_plain`, whatever there is."""
    try:
        relation = _with_texts(relation, _PLAIN - {"enum", "uuid"})
        numeric = [type_.id in _NUMBERS for type_ in relation.types]
        return list(relation.columns), numeric, relation.fetchall()
    except duckdb.Error as error:
        raise _explained(error, f"DuckDB cannot run {what}") from error


def _with_texts(relation: duckdb.DuckDBPyRelation, kept: frozenset[str]) -> duckdb.DuckDBPyRelation:
    """The same rows, with texts in the place of values of all but some types."""
    columns = list(zip(relation.columns, relation.types, strict=True))
    odd = [not _is_of(type_, kept) for _, type_ in columns]
    cast = (
        f"#{place}::varchar as {_quoted(name)}" if is_odd else f"#{place}"
        for place, ((name, _), is_odd) in enumerate(zip(columns, odd, strict=True), start=1)
    )
    return relation.project(", ".join(cast)) if any(odd) else relation


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_of(type_: DuckDBPyType, kinds: frozenset[str]) -> bool:
    """Whether a type and all inside it are of some kinds."""
    if type_.id not in kinds:
        return False
    inside = type_.children if type_.id in _NESTED else []
    return all(isinstance(child, int | list) or _is_of(child, kinds) for _, child in inside)


def _split(connection: duckdb.DuckDBPyConnection, text: str) -> list[tuple[str, duckdb.StatementType]]:
    """The statements of a text, and what they are; as texts, since DuckDB 1.5 makes several statements without a text of a PIVOT."""
    encoded = text.encode()
    ends = [offset + 1 for offset, _ in duckdb.tokenize(text) if encoded[offset : offset + 1] == b";"]
    texts = [encoded[start:end].decode() for start, end in pairwise([0, *ends, len(encoded)])]
    try:
        parsed = [(each, connection.extract_statements(each)) for each in texts]
        return [(each, found[-1].type) for each, found in parsed if found]
    except duckdb.Error as error:
        raise _explained(error, "DuckDB refuses the query") from error


def _run(connection: duckdb.DuckDBPyConnection, statement: str, location: str) -> duckdb.DuckDBPyRelation | None:
    try:
        return connection.sql(statement)
    except duckdb.Error as error:
        raise _explained(error, "DuckDB refuses the query", location) from error


def _explained(error: duckdb.Error, verdict: str, location: str = "") -> LakeError:
    """DuckDB's error as the lake's: files that cannot be read, or SQL on which DuckDB has a verdict.

    On an unknown table it names the nearest that there is, since DuckDB knows just those that are needed.
    """
    if found := _FROM_PYTHON.search(str(error)):
        # What the catalog found when SQL was about to read a table.
        return getattr(errors, found[1])(found[2])  # type: ignore[no-any-return]
    if isinstance(error, duckdb.IOException):
        return catalog.unreadable(error, location)
    unknown = _UNKNOWN_TABLE.search(str(error))
    if unknown is None:
        return InputError(f"{verdict}: {one_line(error)}")
    known = [*catalog.views(), *(f"{question}()" for question in catalog.questions())]
    return InputError(f"{verdict}: there is no table {unknown[1]!r}: {nearest(unknown[1], known)}")


def _with_line(
    connection: duckdb.DuckDBPyConnection, question: SqlFile, values: dict[str, Value] | None, error: duckdb.Error
) -> str:
    """DuckDB's message on the body alone, since then it names the line."""
    try:
        connection.execute(question.body, values)
    except duckdb.Error as repeated:
        return str(repeated)
    return str(error)
