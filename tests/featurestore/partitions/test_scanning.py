from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from benchmarks.lakes import put
from featurestore import Lake
from featurestore.layout.tables import TABLES, VECTOR_DTYPES
from featurestore.partitions.encoding import vector_array

KEYS = [(table, column) for table in TABLES for column in TABLES[table].path_columns]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Every table with the partitions of all combinations of two values; vectors of several widths and precisions."""
    lake = Lake(tmp_path_factory.mktemp("full"))
    for table in TABLES.values():
        for number, values in enumerate(itertools.product("ab", repeat=len(table.path_columns))):
            put(lake, table.name, dict(zip(table.path_columns, values, strict=True)), rows(table.name, number))
    return lake


def rows(table: str, number: int) -> dict[str, Any]:
    """Two rows of a table."""
    columns: dict[str, Any] = {}
    for field in TABLES[table].columns:
        if field.type == pa.list_(pa.float32()):
            dtype = sorted(VECTOR_DTYPES)[number % 2]
            columns[field.name] = vector_array(field.name, np.full((2, 2 + number), number), dtype, np.arange(2))
        elif pa.types.is_list(field.type):
            columns[field.name] = pa.array([[], None], field.type)
        else:
            value = {pa.string(): str(number), pa.bool_(): bool(number)}.get(field.type, number)
            columns[field.name] = pa.array([value] * 2, field.type)
    return columns


def fragments(lake: Lake, table: str, column: str = "", value: str = "") -> set[Path]:
    found = (Path(lake.location) / table).rglob("*.parquet")
    return {path for path in found if not column or f"/{column}={value}/" in str(path)}


@pytest.mark.parametrize(("table", "column"), KEYS)
def test_a_condition_on_the_path_opens_just_its_fragments(full: Lake, tmp_path: Path, table: str, column: str) -> None:
    """Predicates reach the list of files: whatever else a query does, all other fragments may be gone."""
    shutil.copytree(Path(full.location) / table, tmp_path / "lake" / table)
    lake, expected = Lake(tmp_path / "lake"), full.scan(table).collect().filter(pl.col(column) == "b")
    scan, other = lake.scan(table), TABLES[table].columns.names[0]
    for fragment in fragments(lake, table) - fragments(lake, table, column, "b"):
        fragment.unlink()
    queries = {
        "equal": scan.filter(pl.col(column) == "b"),
        "other columns too": scan.filter(pl.col(other).is_null() | pl.col(other).is_not_null(), pl.col(column) == "b"),
        "among": scan.filter(pl.col(column).is_in(["b", "c"])),
        "after a choice of columns": scan.select(column, other).filter(pl.col(column) > "a"),
        "grouped": scan.filter(pl.col(column) == "b").group_by(column).agg(pl.col(other).count()),
    }
    for name, query in queries.items():
        assert query.collect()[column].unique().to_list() == ["b"], name
    assert queries["equal"].collect().equals(expected)


@pytest.mark.parametrize("table", TABLES)
def test_a_condition_that_says_little_loses_no_row(full: Lake, table: str) -> None:
    """Only what a condition excludes for certain is left out: the answer is that of reading everything first."""
    scan, first = full.scan(table), pl.col(TABLES[table].path_columns[0])
    other, everything = pl.col(TABLES[table].columns.names[0]), scan.collect()
    assert everything.height == 2 * len(fragments(full, table))
    for condition in (
        (first == "b") | other.is_not_null(),
        ~(first == "b"),
        (first == "b") & other.is_not_null(),
        (first == "c"),
        (first == "b") ^ other.is_null(),
        first.str.contains("b") & (first != "a"),
    ):
        assert scan.filter(condition).collect().equals(everything.filter(condition))
    assert scan.head(1).collect().height == 1
    assert scan.select(pl.len()).collect().item() == everything.height
