"""A SQL session over a lake: statements one after the other on one connection, typed or from a pipe."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING

import duckdb

from featurestore.cli import render
from featurestore.errors import InputError, StorageError, one_line
from featurestore.query import statements

if TYPE_CHECKING:
    from featurestore.lake import Lake

MOST_ROWS = 1000
_WITH_ROWS = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.PRAGMA,
    duckdb.StatementType.CALL,
}


class Session:
    """A connection with every view, macro and question, and the format in which answers are printed.

    Args:
        lake: The lake.
        format_: A format's name.
        most: How many rows a table shows at most; None for all.

    Raises:
        MissingError: There is no lake, or no such format.
    """

    def __init__(self, lake: Lake, format_: str, most: int | None = None) -> None:
        render.check_format(format_)
        lake.check_exists()
        self.lake, self.format, self._most = lake, format_, most

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection, opened when it is first needed."""
        try:
            connection = self.lake.connect()
        except duckdb.Error as error:
            raise StorageError(f"DuckDB cannot read the lake at {self.lake.location}: {one_line(error)}") from error
        # A table's name that is mistyped is no variable of this program.
        connection.execute("set python_enable_replacements = false")
        return connection

    def run(self, text: str) -> None:
        """Run each statement, and print what it returns.

        Raises:
            InputError: DuckDB refuses a statement.
            StorageError: DuckDB cannot read the lake.
        """
        for statement in statements.split(self.connection, text):
            self._run(statement)

    def _run(self, statement: duckdb.Statement) -> None:
        try:
            relation = self.connection.sql(statement.query)
        except duckdb.IOException as error:
            raise StorageError(f"DuckDB cannot read the lake at {self.lake.location}: {one_line(error)}") from error
        except duckdb.Error as error:
            raise InputError(f"DuckDB refuses the query: {one_line(error)}") from error
        if relation is None or statement.type not in _WITH_ROWS:
            return
        if self._most is None or self.format != "table":
            render.show(relation, self.format)
            return
        frame = render.fetch(relation.limit(self._most + 1))
        render.show_frame(frame.head(self._most), self.format)
        if frame.height > self._most:
            sys.stdout.write(f"These are the first {self._most:,}: add a LIMIT, or see all with `.format csv`.\n")


def run_piped(lake: Lake, format_: str) -> None:
    """Run the SQL of standard input.

    Raises:
        InputError: There is none, or DuckDB refuses it.
    """
    text = sys.stdin.read()
    if not text.strip():
        raise InputError(
            'There is no SQL: give it as an argument, as in `featurestore sql "from metrics"`, or in a pipe.'
        )
    Session(lake, format_).run(text)
