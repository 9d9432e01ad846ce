"""Scanning: fragments as one polars LazyFrame, whatever the widths and precisions of their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featurestore.tables import Table


def scan(
    table: Table, partitions: Sequence[Sequence[str]], options: Mapping[str, str] | None, *, whole: bool
) -> pl.LazyFrame:
    """Scan the files of partitions.

    Args:
        table: Their table.
        partitions: URIs of each partition's files.
        options: How polars reaches their store; None for local files.
        whole: Whether they are all of one partition, so that vectors may keep their own width and precision.
    """
    if not partitions:
        return pl.DataFrame(table.sql_schema.empty_table()).lazy()
    vectors = [field.name for field in table.columns if field.type == pa.list_(pa.float32())]
    if not vectors or whole:
        return _scan(table, [uri for uris in partitions for uri in uris], options)
    as_lists = pl.col(vectors).cast(pl.List(pl.Float32))
    return pl.concat([_scan(table, uris, options).with_columns(as_lists) for uris in partitions])


def _scan(table: Table, uris: Sequence[str], options: Mapping[str, str] | None) -> pl.LazyFrame:
    """Scan files of one schema; a folder `NAME=VALUE` above the lake is no column of it."""
    folders = [folder.partition("=")[0] for folder in uris[0].split("/")[:-1] if folder.count("=") == 1]
    hive = dict.fromkeys(folders, pl.String())
    frame = pl.scan_parquet(
        list(uris),
        hive_partitioning=True,
        hive_schema=hive,
        glob=False,
        storage_options=dict(options) if options else None,
    )
    return frame.select(*table.path_columns, pl.exclude(*folders))
