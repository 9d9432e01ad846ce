"""How many rows files on this machine hold: DuckDB and polars read as many as a file says, whatever its manifest does."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING

from featurestore.errors import StorageError, one_line
from featurestore.fragments import opening

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb

    from featurestore.layout.manifest import Fragment
    from featurestore.storage import Storage

_GROUPS = "select file_name, sum(row_group_num_rows) from parquet_metadata($1) where column_id = 0 group by 1"
_known: set[tuple[str, int]] = set()
"""Which content, by its sha256, was found to hold how many rows."""
_MOST = 1 << 19


def vouch(storage: Storage, fragments: Sequence[tuple[str, Fragment]]) -> None:
    """Make sure of fragments of one table, for readers of the paths that `opening.bring` gave, or else of where they lie.

    Raises:
        CorruptionError: A fragment is missing, or not as its manifest says.
    """
    brought = opening.bring(storage, fragments, hashing=True)
    if brought is None:
        opening.check(storage, fragments)
    compare(fragments, places(storage, fragments, brought))


def places(
    storage: Storage, fragments: Sequence[tuple[str, Fragment]], brought: Sequence[Path] | None = None
) -> list[str]:
    """The files on this machine that hold fragments; none where they are read in a bucket."""
    if brought is not None:
        return list(map(str, brought))
    return [storage.uri(path) for path, _ in fragments] if storage.folder is not None else []


def compare(
    fragments: Sequence[tuple[str, Fragment]],
    files: Sequence[str],
    connection: duckdb.DuckDBPyConnection | None = None,
) -> None:
    """Compare the rows of fragments with their manifests', once in a process; they were hashed before, and no column is read.

    Groups of rows are counted, since the number that a file gives for all of them decides nothing.

    Args:
        fragments: Fragments with their keys in the storage.
        files: The file of each; none where they lie in a bucket, and are not compared.
        connection: Who remembers the files' footers, since it reads them next; by default nobody.

    Raises:
        CorruptionError: One has other rows than its manifest says.
        StorageError: They cannot be read.
    """
    new = {
        place: file
        for place, file in zip(files, fragments, strict=bool(files))
        if (file[1].sha256, file[1].rows) not in _known
    }
    if not new:
        return
    import duckdb  # slow to import, and what computes nothing reads no rows

    try:
        if connection is not None:
            _look(connection, new)
        else:
            with duckdb.connect() as own:
                _look(own, new)
    except duckdb.Error as error:
        raise StorageError(f"Cannot read fragments of the lake: {one_line(error)}") from error
    if len(_known) + len(new) > _MOST:
        _known.clear()
    _known.update((fragment.sha256, fragment.rows) for _, fragment in new.values())


def _look(connection: duckdb.DuckDBPyConnection, files: dict[str, tuple[str, Fragment]]) -> None:
    """All together, which is fast; each alone where that is not what it should be."""
    paths = [glob.escape(path) for path in files]
    (found,) = connection.execute(
        "select count(*) from read_parquet($1, hive_partitioning = false)", [paths]
    ).fetchall()[0]
    if found == sum(fragment.rows for _, fragment in files.values()):
        return
    for place, rows in connection.execute(_GROUPS, [paths]).fetchall():
        path, fragment = files[place]
        if problem := fragment.rows_problem(int(rows)):
            raise opening.corrupt(path, problem)
