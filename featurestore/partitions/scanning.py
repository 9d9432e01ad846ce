"""Scanning: fragments as one polars LazyFrame, whatever the widths and precisions of their vectors.

A condition on columns of the path opens only the fragments that it leaves. Where all fragments have the same columns, polars
sees to that, once it is told the columns and need not look for them in a file. Vectors differ from partition to partition,
and only a look into a file tells how; so these partitions are chosen here, before polars hears of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from featurestore.layout.paths import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from featurestore.layout.tables import Table

    Options = Mapping[str, str] | None


def scan(table: Table, partitions: Sequence[Sequence[str]], options: Options, *, whole: bool) -> pl.LazyFrame:
    """Scan the files of partitions.

    Args:
        table: Their table.
        partitions: URIs of each partition's files.
        options: How polars reaches their store; None for local files.
        whole: Whether they are all of one partition, so that vectors may keep their own width and precision.
    """
    empty = pl.DataFrame(table.sql_schema.empty_table())
    if not partitions:
        return empty.lazy()
    uris = [uri for uris in partitions for uri in uris]
    if whole or not _vectors(table):
        return _scan(table, uris, options)
    return register_io_source(_Source(table, partitions, options), schema=empty.schema)


@dataclass(frozen=True, slots=True)
class _Source:
    """Partitions whose vectors differ, as polars asks for them: some columns of the rows for which a predicate holds."""

    table: Table
    partitions: Sequence[Sequence[str]]
    options: Options

    def __call__(
        self, columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        frame = self._chosen(predicate)
        if predicate is not None:
            frame = frame.filter(predicate)
        if columns is not None:
            frame = frame.select(columns)
        if rows is not None:
            frame = frame.head(rows)
        yield from frame.collect_batches(chunk_size=size)

    def _chosen(self, predicate: pl.Expr | None) -> pl.LazyFrame:
        """The partitions in which the predicate may hold."""
        as_lists = pl.col(_vectors(self.table)).cast(pl.List(pl.Float32))
        chosen = [
            _scan(self.table, uris, self.options).with_columns(as_lists)
            for uris in self.partitions
            if predicate is None or _may_hold(predicate, _key(self.table, uris[0]))
        ]
        return pl.concat(chosen) if chosen else pl.DataFrame(self.table.sql_schema.empty_table()).lazy()


def _may_hold(predicate: pl.Expr, key: pl.DataFrame) -> bool:
    """Whether a predicate can hold for rows with these values of the path's columns: it cannot if one of its ANDs does not."""
    parts = predicate.meta.pop()
    if len(parts) == 2 and (parts[1] & parts[0]).meta.eq(predicate):
        return all(_may_hold(part, key) for part in parts)
    if not set(predicate.meta.root_names()) <= set(key.columns):
        return True
    return bool(key.select(predicate.alias("holds"))["holds"].any())


def _key(table: Table, uri: str) -> pl.DataFrame:
    """The values of the path's columns as one row."""
    values = dict(folder.split("=", 1) for folder in uri.split("/")[:-1] if "=" in folder)
    return pl.DataFrame({name: [decoded(values[name])] for name in table.path_columns})


def _vectors(table: Table) -> list[str]:
    return [field.name for field in table.columns if field.type == pa.list_(pa.float32())]


def _scan(table: Table, uris: Sequence[str], options: Options) -> pl.LazyFrame:
    """Scan files whose vectors are alike; a folder `NAME=VALUE` above the lake is no column of it."""
    folders = [folder.partition("=")[0] for folder in uris[0].split("/")[:-1] if folder.count("=") == 1]
    frame = pl.scan_parquet(
        list(uris),
        hive_partitioning=True,
        schema=_schema(table, uris, options),
        hive_schema=dict.fromkeys(folders, pl.String()),
        missing_columns="insert" if table.added else "raise",  # added to the table since the fragment was written
        extra_columns="ignore",  # of a writer that knew more
        glob=False,
        storage_options=_for_polars(options),
    )
    return frame.select(*table.sql_schema.names)


def _schema(table: Table, uris: Sequence[str], options: Options) -> dict[str, pl.DataType]:
    """The columns of the table, with the width and precision of vectors that the first of these files has."""
    known = pl.DataFrame(table.columns.empty_table()).schema
    vectors = _vectors(table)
    if not vectors:
        return dict(known)
    held = pl.scan_parquet(
        uris[0], hive_partitioning=False, glob=False, storage_options=_for_polars(options)
    ).collect_schema()
    return dict(known) | {name: held[name] for name in vectors if name in held}


def _for_polars(options: Options) -> dict[str, str] | None:
    return dict(options) if options else None
