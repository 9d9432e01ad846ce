"""SQL as text: files with a documented header, literals, and what reads fragments; without a database."""

from featurestore.sql_text.files import SqlFiles
from featurestore.sql_text.header import TOPICS, SqlFile, Value
from featurestore.sql_text.scans import FromFiles, from_paths, from_uris, quote, scan, sql_list

__all__ = [
    "TOPICS",
    "FromFiles",
    "SqlFile",
    "SqlFiles",
    "Value",
    "from_paths",
    "from_uris",
    "quote",
    "scan",
    "sql_list",
]
