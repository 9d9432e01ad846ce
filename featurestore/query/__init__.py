"""Questions: SQL files, the views that they read, and their answers."""

from featurestore.query.answer import answer_to, needs_no_lake
from featurestore.query.filters import Filters
from featurestore.query.library import Library, read_library
from featurestore.query.statements import fetch, fetch_arrow, fetch_plain, fetch_values, is_complete
from featurestore.sql_text.header import TOPICS, SqlFile, Value

__all__ = [
    "TOPICS",
    "Filters",
    "Library",
    "SqlFile",
    "Value",
    "answer_to",
    "fetch",
    "fetch_arrow",
    "fetch_plain",
    "fetch_values",
    "is_complete",
    "needs_no_lake",
    "read_library",
]
