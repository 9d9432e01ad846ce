"""What may come next in SQL that is being typed: columns of the views at hand, views, questions, functions, keywords."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.query import catalog

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
        functions: What each other function is, macros among them.
        keywords: The words of SQL.
    """

    columns: Mapping[str, Mapping[str, str]]
    titles: Mapping[str, str]
    questions: Mapping[str, str]
    functions: Mapping[str, str]
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
            yield from ((f"{name}(", meaning) for name, meaning in self.functions.items())
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
    """The words of a lake's whole catalog, and of the database that reads it."""
    views, macros, questions = catalog.views(), catalog.macros(), catalog.questions()
    functions = {
        **dict.fromkeys(_names(connection, "function_name", "duckdb_functions()"), "function"),
        **{name: macro.title for name, macro in macros.items()},
    }
    return Vocabulary(
        {name: view.columns for name, view in views.items()},
        {name: view.title for name, view in views.items()},
        {name: question.question for name, question in questions.items()},
        {name: meaning for name, meaning in functions.items() if name not in questions},
        _names(connection, "keyword_name", "duckdb_keywords()"),
    )


def _names(connection: duckdb.DuckDBPyConnection, column: str, source: str) -> list[str]:
    relation = connection.sql(f"from {source}").filter(f"regexp_full_match({column}, '[a-z][a-z0-9_]*')")
    return [str(name) for (name,) in relation.unique(column).order(column).fetchall()]
