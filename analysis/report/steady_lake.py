"""A lake that answers each query once: the sections of a report ask the same ones, and shall hear the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.rows.memo import Memo
from featurestore.lake import Lake

if TYPE_CHECKING:
    import duckdb

    from featurestore.query.filters import Filters
    from featurestore.query.header import Value


class SteadyLake(Lake):
    """A lake whose views are made once for each query or question.

    Args:
        lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        self.location, self.storage = lake.location, lake.storage
        self._relations = Memo()

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a SQL query, as it was when it was first asked."""
        first = super().sql
        return self._relations.get(query, lambda: first(query))

    def ask(self, question: str, filters: Filters | None = None, /, **parameters: Value) -> duckdb.DuckDBPyRelation:
        """The answer to a question, as it was when it was first asked."""
        first = super().ask
        key = (question, filters, *sorted(parameters.items()))
        return self._relations.get(key, lambda: first(question, filters, **parameters))
