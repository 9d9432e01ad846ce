"""SQL that reads fragments, and the literals that it is made of."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from featurestore.layout.tables import Table
    from featurestore.storage import Storage

FromFiles: TypeAlias = Callable[[Sequence[str], str], str]
"""From keys in a storage, and options of `read_parquet`, to SQL's FROM that reads them."""


def from_uris(storage: Storage, keys: Sequence[str], options: str) -> str:
    """SQL's FROM that reads files where the storage has them."""
    return from_paths(map(storage.uri, keys), options)


def from_paths(paths: Iterable[str], options: str, condition: str = "") -> str:
    """SQL's FROM that reads files, with options of `read_parquet`, if a condition holds."""
    files = sql_list(map(glob.escape, paths))
    return f"from read_parquet({f'if({condition}, {files}, [])' if condition else files}, {options})"


def scan(table: Table, keys: Sequence[str], from_files: FromFiles) -> str:
    """A table's rows; columns that were added to it since a fragment was written are null there."""
    columns = ", ".join(_column(column, keys) for column in table.sql_types)
    options = f"hive_partitioning = true, hive_types_autocast = false, union_by_name = {bool(table.added)}"
    rows = from_files(keys, options)
    if not table.added:
        return f"{rows} select {columns}"
    none = ", ".join(f'null::{table.sql_types[name]} as "{name}"' for name in table.added)
    return f"from ({rows} union all by name select {none} where false) select {columns}"


def _column(name: str, keys: Sequence[str]) -> str:
    """A column, of which DuckDB before 2.0 takes the value `null` in a path for no value."""
    folder = f"{name}=null/"
    return f'coalesce("{name}", \'null\') as "{name}"' if any(folder in key for key in keys) else f'"{name}"'


def sql_list(texts: Iterable[str]) -> str:
    """A list of texts as a SQL literal."""
    return f"[{', '.join(map(quote, texts))}]"


def quote(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"
