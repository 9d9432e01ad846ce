"""A pool of models with literal numbers, and lakes that hold it, written by the real writer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from featurestore import Lake
from tests.sql.pool import (
    Pool,
    drawn_calibration,
    drawn_geometry,
    drawn_logits,
    drawn_metrics,
    drawn_scores,
    drawn_selective,
    drawn_variants,
    interval_of,
    more_models,
    write_pool,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """The real views and macros over an empty lake: a second's work."""
    return Lake(tmp_path_factory.mktemp("empty")).connect()


@pytest.fixture
def connection(catalog: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same, whose empty tables take rows, which are gone after the test."""
    catalog.begin()
    yield catalog
    catalog.rollback()


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    """Put these rows, which have the same columns, in the place of an empty lake's."""
    connection.execute(f"delete from stored.{table}")
    if rows:
        marks = ", ".join("?" for _ in rows[0])
        statement = f"insert into stored.{table} ({', '.join(rows[0])}) values ({marks})"
        connection.executemany(statement, [list(row.values()) for row in rows])


@pytest.fixture(scope="session")
def pools() -> dict[str, Pool]:
    models, metrics = (
        pl.read_csv(HERE / name, infer_schema_length=None).to_dicts() for name in ("models.csv", "metrics.csv")
    )
    metrics = [row | {"id_dataset": "id"} for row in metrics]
    more = more_models(models[0])
    of_base = [row for row in metrics if (row["model"], row["benchmark"]) == ("base", "main")]
    metrics += drawn_metrics(of_base, [model["model"] for model in more])
    metrics += drawn_variants(of_base)
    for row in metrics:
        row |= {"aupr_in": row["auroc"] ** 2, "aupr_out": (1 - row["fpr95"]) * row["auroc"], **interval_of(row)}
    of_mistakes = drawn_selective(metrics), drawn_calibration(models + more)
    whole = Pool(models + more, metrics, drawn_scores(), drawn_logits(), drawn_geometry(), *of_mistakes)
    return {
        "whole": whole,
        "one model": whole.of("wd"),
        "no recipe": whole.of("base", "unknown"),
        "two pairs": whole.of("base", "wd", "scratch"),
        "ties": whole.levelled(),
        "none": whole.of(),
    }


@pytest.fixture(scope="session")
def lakes(pools: dict[str, Pool], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lake]:
    found = {}
    for name, pool in pools.items():
        found[name] = Lake(tmp_path_factory.mktemp("lake"))
        write_pool(found[name], pool)
    return found
