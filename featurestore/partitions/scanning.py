"""Scanning: fragments as one polars LazyFrame, whatever the widths and precisions of their vectors.

A condition on columns of the path opens only the fragments that it leaves: these are chosen here, before polars hears of them,
and compared with their manifests before it reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from polars.io.plugins import register_io_source

from featurestore.layout.paths import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from featurestore.layout.tables import Table

    Options = Mapping[str, str] | None


def scan(
    table: Table,
    partitions: Sequence[Sequence[str]],
    options: Options,
    *,
    whole: bool,
    vouch: Callable[[Sequence[str]], None] = lambda _: None,
) -> pl.LazyFrame:
    """Scan the files of partitions.

    Args:
        table: Their table.
        partitions: URIs of each partition's files.
        options: How polars reaches their store; None for local files.
        whole: Whether they are all of one partition, so that vectors may keep their own width and precision.
        vouch: Is called with the files that are about to be read, and raises what is wrong with them.
    """
    schema = pl.DataFrame(table.sql_schema.empty_table()).schema
    if not partitions:
        return pl.DataFrame(schema=schema).lazy()
    if whole and _vectors(table):
        vouch(partitions[0][:1])  # which tells the width
        schema = _scan(table, partitions[0], options).collect_schema()
    if not _vectors(table):
        partitions = [[uri] for uris in partitions for uri in uris]  # parts of one may be of several detectors
    return register_io_source(_Source(table, partitions, options, schema, vouch), schema=schema)


@dataclass(frozen=True, slots=True)
class _Source:
    """Partitions as polars asks for them: some columns of the rows for which a predicate holds."""

    table: Table
    partitions: Sequence[Sequence[str]]
    options: Options
    schema: pl.Schema
    vouch: Callable[[Sequence[str]], None]

    def __call__(
        self, columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        frame = self._frame(self.partitions if predicate is None else self._chosen(predicate))
        if predicate is not None:
            frame = frame.filter(predicate)
        if columns is not None:
            frame = frame.select(columns)
        if rows is not None:
            frame = frame.head(rows)
        yield from frame.collect_batches(chunk_size=size)

    def _chosen(self, predicate: pl.Expr) -> list[Sequence[str]]:
        """The partitions in which the predicate may hold."""
        keys = pl.DataFrame([_key(self.table, uris[0]) for uris in self.partitions])
        held = _may_hold(predicate, keys)
        return [uris for uris, holds in zip(self.partitions, held, strict=True) if holds]

    def _frame(self, chosen: Sequence[Sequence[str]]) -> pl.LazyFrame:
        uris = [uri for uris in chosen for uri in uris]
        self.vouch(uris)
        vectors = {name: self.schema[name] for name in _vectors(self.table)}
        if not uris:
            return pl.DataFrame(schema=self.schema).lazy()
        if not any(isinstance(type_, pl.List) for type_ in vectors.values()):
            return _scan(self.table, uris, self.options)
        # Their widths and precisions differ from partition to partition.
        scans = [_scan(self.table, uris, self.options) for uris in chosen]
        return pl.concat([scan.with_columns(pl.col(name).cast(of) for name, of in vectors.items()) for scan in scans])


def _may_hold(predicate: pl.Expr, keys: pl.DataFrame) -> list[bool]:
    """Of each row of values of the path's columns, whether a predicate can hold: it cannot if one of its ANDs does not."""
    parts = predicate.meta.pop()
    if len(parts) == 2 and (parts[1] & parts[0]).meta.eq(predicate):
        both = (_may_hold(part, keys) for part in parts)
        return [first and second for first, second in zip(*both, strict=True)]
    if not set(predicate.meta.root_names()) <= set(keys.columns):
        return [True] * keys.height
    held = keys.select(predicate.fill_null(value=False).alias("holds"))["holds"].to_list()
    return held if len(held) == keys.height else held * keys.height


def _key(table: Table, uri: str) -> dict[str, str]:
    """The values of the path's columns."""
    values = dict(folder.split("=", 1) for folder in uri.split("/")[:-1] if "=" in folder)
    return {name: decoded(values[name]) for name in table.path_columns}


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
