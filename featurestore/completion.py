"""What may come next in SQL that is being typed: columns of the views at hand, views, questions, functions, keywords."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]*)?$")
_SOURCE = re.compile(r"\b(?:from|join)\s+([a-z_][a-z0-9_]*)(?:\s+(?:as\s+)?([a-z_][a-z0-9_]*))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of a database.

    Attributes:
        columns: Each view's columns with their meanings.
        titles: What each view is.
        questions: What each question, which is a function that makes a table, answers.
        functions: The other functions.
        keywords: The words of SQL.
    """

    columns: Mapping[str, Mapping[str, str]]
    titles: Mapping[str, str]
    questions: Mapping[str, str]
    functions: Sequence[str]
    keywords: Sequence[str]

    def complete(self, text: str) -> Iterator[tuple[str, str, str]]:
        """What the text's last word may become, the likeliest first.

        Args:
            text: All that stands before the cursor.

        Yields:
            The word that is begun, what it may become, and what that is.
        """
        match = _WORD.search(text)
        begun = match[0] if match else ""
        table, dot, begun = begun.rpartition(".")
        seen = set()
        for word, meaning in self._columns_of(table, text) if dot else self._words(text, begun):
            if word.lower().startswith(begun.lower()) and word not in seen:
                seen.add(word)
                yield begun, word, meaning

    def _words(self, text: str, begun: str) -> Iterator[tuple[str, str]]:
        for view in self._sources(text).values():
            yield from self.columns[view].items()
        yield from self.titles.items()
        yield from ((f"{name}()", question) for name, question in self.questions.items())
        if begun:
            yield from (item for columns in self.columns.values() for item in columns.items())
            yield from ((f"{name}(", "function") for name in self.functions)
            yield from ((word, "") for word in self.keywords)

    def _columns_of(self, name: str, text: str) -> Iterator[tuple[str, str]]:
        view = self._sources(text).get(name.lower(), name.lower())
        yield from self.columns.get(view, {}).items()

    def _sources(self, text: str) -> dict[str, str]:
        """The views that a text names after FROM and JOIN, by their names and aliases."""
        found = {}
        for view, alias in _SOURCE.findall(text):
            if view.lower() in self.columns:
                found[view.lower()] = view.lower()
                if alias:
                    found[alias.lower()] = view.lower()
        return found


def vocabulary(connection: duckdb.DuckDBPyConnection) -> Vocabulary:
    """The words of a lake's whole catalog."""
    columns: dict[str, dict[str, str]] = {}
    for view, column, comment in _rows(
        connection,
        "select table_name, column_name, coalesce(comment, '') from duckdb_columns() "
        "where schema_name = 'main' and not internal order by table_name, column_index",
    ):
        columns.setdefault(view, {})[column] = comment
    titles = dict(
        _rows(
            connection,
            "select view_name, coalesce(comment, '') from duckdb_views() where schema_name = 'main' and not internal order by 1",
        )
    )
    questions = dict(
        _rows(
            connection,
            "select function_name, any_value(coalesce(comment, '')) from duckdb_functions() where function_type = 'table_macro' and not internal group by 1 order by 1",
        )
    )
    functions = [
        name
        for (name,) in _rows(
            connection,
            "select distinct function_name from duckdb_functions() where regexp_full_match(function_name, '[a-z][a-z0-9_]*') order by 1",
        )
    ]
    keywords = [name for (name,) in _rows(connection, "select distinct keyword_name from duckdb_keywords() order by 1")]
    return Vocabulary(columns, titles, questions, [name for name in functions if name not in questions], keywords)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[str, ...]]:
    return connection.execute(sql).fetchall()
