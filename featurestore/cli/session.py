"""A SQL session over a lake: statements one after the other on one connection, typed or from a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from featurestore.cli import render
from featurestore.errors import InputError
from featurestore.query import statements

if TYPE_CHECKING:
    import duckdb

    from featurestore.lake import Lake

MOST_ROWS = 1000


class Session:
    """A connection with the views of a lake, and the format in which answers are printed.

    Args:
        connection: The connection.
        location: The lake, for messages.
        format_: A format's name.
        most: How many rows a table shows at most; None for all.

    Raises:
        MissingError: There is no such format.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, location: str, format_: str, most: int | None = None
    ) -> None:
        render.check_format(format_)
        self.connection, self.format = connection, format_
        self._location, self._most = location, most

    def run(self, text: str) -> None:
        """Run each statement, and print what it returns.

        Raises:
            InputError: DuckDB refuses a statement.
            StorageError: DuckDB cannot read the lake.
        """
        for relation in statements.results(self.connection, text, self._location):
            self._show(relation)

    def _show(self, relation: duckdb.DuckDBPyRelation) -> None:
        if self._most is None or self.format != "table":
            render.show(relation, self.format)
            return
        frame = statements.fetch(relation.limit(self._most + 1))
        render.show_frame(frame.head(self._most), self.format)
        if frame.height > self._most:
            sys.stdout.write(f"These are the first {self._most:,}: add a LIMIT, or see all with `.format csv`.\n")


def run_text(lake: Lake, text: str, format_: str) -> None:
    """Run SQL that is known as a whole, with the views that it needs.

    Raises:
        MissingError: There is no lake, or no such format.
        InputError: There is no SQL, or DuckDB refuses it.
        StorageError: DuckDB cannot read the lake.
    """
    render.check_format(format_)
    lake.check_exists()
    if not text.strip():
        raise InputError(
            'There is no SQL: give it as an argument, as in `featurestore sql "from metrics"`, or in a pipe.'
        )
    Session(statements.connect_for(lake.storage, text), lake.location, format_).run(text)
