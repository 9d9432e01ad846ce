"""Wrong bytes never become numbers: a flipped bit in any file of a lake is found by every reader, or changes no answer."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import polars as pl
import pytest

from benchmarks.lakes import put, put_rows, put_scores
from featurestore import Lake, LakeError
from featurestore.query.statements import results
from tests.conftest import random_activations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Answer = Callable[[str], Any]

ROWS = 40
FLIPS = 2
TABLES = {
    "activations": {"model": "m", "dataset": "d"},
    "samples": {"dataset": "d"},
    "scores": {"benchmark": "main", "model": "m", "dataset": "d", "detector": "msp"},
    "metrics": {"benchmark": "main", "model": "m"},
    "models": {"model": "m"},
}
REFUSALS = (LakeError, duckdb.Error, pl.exceptions.ComputeError)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("flips") / "lake")
    put(lake, "activations", TABLES["activations"], random_activations(ROWS))
    samples = [{"sample": n, "path": f"{n}.png", "bytes": n, "label": n % 2, "class_name": "c"} for n in range(ROWS)]
    put_rows(lake, "samples", TABLES["samples"], *samples)
    numbers = np.random.default_rng(0).random((2, ROWS))
    put_scores(lake, "m", "d", {"msp": tuple(numbers)})
    names = {"detector": "msp", "id_dataset": "d", "aggregation": "pooled", "n_id": ROWS, "n_ood": 5, "auroc": 0.5}
    put_rows(lake, "metrics", TABLES["metrics"], *({**names, "ood_dataset": f"o{n}", "fpr95": n / 9} for n in range(9)))
    put_rows(lake, "models", TABLES["models"], {"params": 86_567_656, "weight_decay": 0.1})
    return lake


def ways(lake: Lake) -> dict[str, Answer]:
    """Each way to read a table; that of a connection that was opened before."""
    connection = lake.connect()

    def read(table: str) -> Any:
        columns = ["sample", "feature"] if table == "activations" else ["sample", "score"]
        if table in {"activations", "scores"}:
            return [
                array.tolist() for block in lake.batches(table, columns=columns, **TABLES[table]) for array in block
            ]
        return lake.read(table, **TABLES[table]).to_pylist()

    return {
        "scan": lambda table: lake.scan(table).collect().to_dicts(),
        "read": read,
        "sql": lambda table: lake.sql(f"from {table}").fetchall(),
        "connection": lambda table: connection.sql(f"from {table}").fetchall(),
        "prompt": lambda table: [rows.fetchall() for rows in results(connection, f"from {table};", "")],
        "filtered": lambda table: connection.sql(f"select count(*) from {table} where #2 is not null").fetchall(),
    }


def outcome(answer: Answer, table: str) -> tuple[Any, str]:
    """What is said of a table, or the sentence why not."""
    try:
        return answer(table), ""
    except REFUSALS as error:
        return None, str(error)


def flipped(path: Path, bit: int) -> bytes:
    """Flip a bit of a file; return what it was."""
    data = path.read_bytes()
    path.write_bytes(bytes([*data[: bit // 8], data[bit // 8] ^ 1 << bit % 8, *data[bit // 8 + 1 :]]))
    return data


@pytest.mark.parametrize("pattern", ["*.parquet", "_manifest.1.json"])
def test_a_flipped_bit_is_found_or_changes_nothing(small: Lake, pattern: str) -> None:
    """In fragments and manifests of each kind, by each way of reading, at seeded places; whole again, it is read as before."""
    reading, random, found = ways(small), np.random.default_rng(7), 0
    for table, name in product(TABLES, reading):
        if pattern != "*.parquet" and name in {"connection", "prompt", "filtered"}:
            continue  # a connection shows the lake as it was
        (path,) = small.storage.folder.joinpath(table).rglob(pattern)  # type: ignore[union-attr]
        right = reading[name](table)
        for bit in random.integers(8 * path.stat().st_size, size=FLIPS):
            whole = flipped(path, int(bit))
            answer, refusal = outcome(reading[name], table)
            path.write_bytes(whole)
            assert answer == right or path.name in refusal, (table, name, bit, refusal)
            found += bool(refusal)
        assert reading[name](table) == right
    assert found == FLIPS * len(TABLES) * (6 if pattern == "*.parquet" else 3)
