"""SQL that is typed or piped: where a statement ends, and what is in a text with several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from featurestore.errors import InputError, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence


def is_complete(text: str) -> bool:
    """Whether a text ends with a semicolon, apart from comments; one in a string, name or comment is none.

    >>> is_complete("select 1;"), is_complete("select 1"), is_complete("select ';")
    (True, False, False)
    """
    encoded = text.encode()
    tokens = [offset for offset, kind in duckdb.tokenize(text) if kind != duckdb.token_type.comment]
    return bool(tokens) and encoded[tokens[-1] : tokens[-1] + 1] == b";"


def split(connection: duckdb.DuckDBPyConnection, text: str) -> Sequence[duckdb.Statement]:
    """The statements of a text.

    Raises:
        InputError: DuckDB cannot parse it.
    """
    try:
        return connection.extract_statements(text)
    except duckdb.Error as error:
        raise InputError(f"DuckDB refuses the query: {one_line(error)}") from error
