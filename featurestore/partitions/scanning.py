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
    if not _vectors(table):
        return _scan(table, uris, options, {name: empty.schema[name] for name in table.columns.names})
    if whole:
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
    return pl.DataFrame({name: [values[name]] for name in table.path_columns})


def _vectors(table: Table) -> list[str]:
    return [field.name for field in table.columns if field.type == pa.list_(pa.float32())]


def _scan(
    table: Table, uris: Sequence[str], options: Options, schema: Mapping[str, pl.DataType] | None = None
) -> pl.LazyFrame:
    """Scan files of one schema; a folder `NAME=VALUE` above the lake is no column of it."""
    folders = [folder.partition("=")[0] for folder in uris[0].split("/")[:-1] if folder.count("=") == 1]
    hive = dict.fromkeys(folders, pl.String())
    frame = pl.scan_parquet(
        list(uris),
        hive_partitioning=True,
        schema=None if schema is None else dict(schema),
        hive_schema=hive,
        missing_columns="raise" if schema is None else "insert",  # added to the table since the fragment was written
        glob=False,
        storage_options=dict(options) if options else None,
    )
    return frame.select(*table.path_columns, pl.exclude(*folders))
