"""A lake's answers, held in memory: sections and studies ask the same queries, and each is executed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from analysis.rows.memo import Memo
from featurestore.lake import Lake

if TYPE_CHECKING:
    from featurestore.query import Filters, Value


class CachingLake(Lake):
    """A lake that executes each query or question once; whoever asks it again reads the rows that were found.

    Args:
        lake: The lake.
    """

    def __init__(self, lake: Lake) -> None:
        vars(self).update(vars(lake))
        self._answers = Memo()

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """The result of a SQL query, as it was when it was first asked."""
        ask = super().sql
        return self._answers.get(query, lambda: _in_memory(ask(query)))

    def ask(self, question: str, filters: Filters | None = None, /, **parameters: Value) -> duckdb.DuckDBPyRelation:
        """The answer to a question, as it was when it was first asked."""
        ask = super().ask
        key = (question, filters, *sorted(parameters.items()))
        return self._answers.get(key, lambda: _in_memory(ask(question, filters, **parameters)))


def _in_memory(answer: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    return duckdb.connect().from_arrow(answer.to_arrow_table())
