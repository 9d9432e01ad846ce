"""The catalog as a DuckDB file: a lake's views, questions and their documentation, for any DuckDB client."""

from __future__ import annotations

import glob
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb

from featurestore.errors import InputError, StorageError, one_line
from featurestore.query import catalog
from featurestore.sql_text import from_uris, quote, sql_list
from featurestore.staging import clear_abandoned, staged
from featurestore.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.sql_text import FromFiles
    from featurestore.storage import Storage

NEEDS = "1.5.2"
"""The oldest DuckDB that reads the file: the one that `pyproject.toml` asks for. Those before 1.5 refuse to open it, with a sentence."""

_IDENTITY = "catalog_identity"
_SNAPSHOT = (
    "The lake that this catalog shows, as it was then: what is added later is seen once the catalog is made again"
)


def write_catalog(storage: Storage, out: Path) -> None:
    """Write a DuckDB file with every view and question over a lake as it is now.

    The file holds none of the lake's data. If the lake lies in the file's folder or below it, both may be moved together: the views find
    the lake beside the file, wherever a client opens it from. Table `stored.snapshot` says which lake it is, and which DuckDB reads it.

    Args:
        storage: The lake's storage.
        out: The file; an older catalog there is replaced.

    Raises:
        InputError: The file's folder does not exist, or the file is there and is no catalog.
        StorageError: The lake cannot be read, or the file not be written.
    """
    _check_out(out)
    clear_abandoned(out.parent)
    with staged(out.parent) as file:
        try:
            _fill(file, storage, out)
            file.replace(out)
        except (duckdb.Error, OSError) as error:
            raise StorageError(
                f"Cannot write the catalog {out} of the lake at {storage.location}: {one_line(error)}"
            ) from error
        finally:
            _log(file).unlink(missing_ok=True)
    # A log that a killed client left belongs to the file that was there before.
    _log(out).unlink(missing_ok=True)


def _fill(file: Path, storage: Storage, out: Path) -> None:
    identity = uuid4().hex
    with duckdb.connect(file, config={"storage_compatibility_version": f"v{NEEDS}"}) as connection:
        if storage.folder is None:
            storage.register(connection)
        catalog.create(connection, storage, from_files=_from_files(storage, out, identity), checking="now")
        connection.execute(f"create macro stored.{_IDENTITY}() as {quote(identity)}")
        connection.execute(
            "create table stored.snapshot (lake varchar, made timestamptz, writer varchar, needs varchar)"
        )
        row = [storage.location, datetime.now(UTC), f"featurestore {__version__}", f"DuckDB {NEEDS} or newer"]
        connection.execute("insert into stored.snapshot values (?, ?, ?, ?)", row)
        connection.execute(f"comment on table stored.snapshot is {quote(_SNAPSHOT)}")


def _from_files(storage: Storage, out: Path, identity: str) -> FromFiles:
    """How the views find the fragments: relative to the file where the lake lies below its folder, else by their URIs."""
    root, folder = storage.folder and storage.folder.resolve(), out.parent.resolve()
    if root is None or not root.is_relative_to(folder):
        return partial(from_uris, storage)
    below = root.relative_to(folder).as_posix()
    return partial(
        _beside, folder=str(folder), name=out.name, below="" if below == "." else f"{below}/", identity=identity
    )


def _beside(keys: Sequence[str], options: str, *, folder: str, name: str, below: str, identity: str) -> str:
    """SQL's FROM that reads files beside the catalog, and follows the catalog when it is moved.

    DuckDB resolves relative paths against the client's working directory, and a view may not look up where its database
    lies. But the client's setting `temp_directory` is `<database>.tmp` of the database that it opened unless someone changed it. Where that
    is not of our name (the catalog was attached to another database, or renamed), the views use the folder in which the catalog was made.
    Where it is, the database may still be another catalog of the same name, to which ours was attached: so it is asked for its identity,
    in SQL that is put together only then, since no other database would answer.
    """
    temporary = "current_setting('temp_directory')"
    here, made = (
        f"regexp_replace(parse_dirpath({temporary}), '([*?[])', '[\\1]', 'g')",
        quote(glob.escape(folder)),
    )
    opened = _name_when_opened(name).replace('"', '""')
    root = f"""case when "{opened}".stored.{_IDENTITY}() = {quote(identity)} then {here} else {made} end"""
    paths = sql_list(glob.escape(f"/{below}{key}") for key in keys)
    before, after = f"from read_parquet(list_transform({paths}, lambda path: (", f") || path), {options})"
    is_of_our_name = f"parse_filename({temporary}) = {quote(f'{name}.tmp')}"
    chosen = f"case when {is_of_our_name} then {quote(root)} else {quote(made)} end"
    return f"from query({quote(before)} || {chosen} || {quote(after)})"


@cache
def _name_when_opened(file_name: str) -> str:
    """What DuckDB calls a database of a file of that name: mostly what stands before the first dot."""
    with TemporaryDirectory() as folder, duckdb.connect(Path(folder, file_name)) as connection:
        (name,) = connection.execute("select current_database()").fetchall()[0]
    return str(name)


def _check_out(out: Path) -> None:
    if not out.parent.is_dir():
        raise InputError(f"There is no folder {out.parent} to write {out.name} into: make it first.")
    if (out.exists() or out.is_symlink()) and not _is_catalog(out):
        raise InputError(
            f"{out} is there already and is no catalog of featurestore: give another name, or move it away."
        )


def _is_catalog(file: Path) -> bool:
    try:
        with duckdb.connect(file, read_only=True) as connection:
            connection.execute("from stored.snapshot")
    except duckdb.Error:
        return False
    return True


def _log(file: Path) -> Path:
    """DuckDB's write-ahead log of a file."""
    return file.with_name(f"{file.name}.wal")
