from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import featurestore as fs
from benchmarks.lakes import put, put_head, put_scores
from featurestore import InputError, Lake
from featurestore.layout.tables import TABLES
from featurestore.stored_lake import DEFAULT_LOCATION
from tests.conftest import random_activations


@pytest.fixture
def three_detectors(lake: Lake) -> Lake:
    for model in ("a", "b"):
        for dataset in ("x", "y"):
            put_scores(lake, model, dataset, dict.fromkeys(("msp", "gen", "knn"), ([1.0], [0.5])))
    return lake


@pytest.mark.parametrize(
    ("key", "fragments"),
    [
        ({}, 12),
        ({"model": "a"}, 6),
        ({"detector": "gen"}, 4),
        ({"model": "b", "detector": "gen"}, 2),
        ({"benchmark": "main", "model": "b", "dataset": "x", "detector": "gen"}, 1),
    ],
)
def test_a_scan_opens_only_what_the_key_allows(three_detectors: Lake, key: dict[str, str], fragments: int) -> None:
    """Pruning is by path: with all other fragments gone, the rows of the key are still there, and only they."""
    for path in Path(three_detectors.location).rglob("*.parquet"):
        if not all(f"/{name}={value}/" in str(path) for name, value in key.items()):
            path.unlink()
    rows = three_detectors.scan("scores", **key).collect()
    assert rows.height == fragments == len(list(Path(three_detectors.location).rglob("*.parquet")))
    assert all(rows[name].unique().to_list() == [value] for name, value in key.items())


@pytest.mark.parametrize("table", TABLES)
def test_a_scan_has_the_table_s_columns(lake: Lake, table: str) -> None:
    """An empty table is a typed empty frame, and rows of that table have the same columns and types."""
    empty = lake.scan(table).collect()
    assert empty.is_empty()
    assert empty.schema == pl.DataFrame(TABLES[table].sql_schema.empty_table()).schema
    integers = [field.name for field in TABLES[table].columns if field.type == "int64"]
    path = dict.fromkeys(TABLES[table].path_columns, "007")
    put(lake, table, path, {name: [1] for name in integers} or {TABLES[table].columns.names[0]: [None]})
    assert lake.scan(table).collect().schema == empty.schema


def test_models_of_other_widths_and_precisions_scan_together(lake: Lake) -> None:
    """Over several partitions vectors are lists; within one they are arrays as they are stored."""
    tables = {
        "a": random_activations(4, width=3, dtype="float16"),
        "b": random_activations(5, width=6, dtype="float32", seed=1),
    }
    for model, table in tables.items():
        put(lake, "activations", {"model": model, "dataset": "d"}, table)
    both = lake.scan("activations").collect().sort("model", "sample")
    assert both.schema["feature"] == pl.List(pl.Float32)
    assert both["feature"].to_list() == [v for t in tables.values() for v in t["feature"].to_pylist()]
    one = lake.scan("activations", model="b", dataset="d").collect()
    assert one.schema["feature"] == pl.Array(pl.Float32, 6)
    np.testing.assert_array_equal(one["feature"].to_numpy(), np.array(tables["b"]["feature"].to_pylist(), np.float32))
    assert lake.sql("select model, len(feature) from activations group by all order by all").fetchall() == [
        ("a", 3),
        ("b", 6),
    ]


@pytest.mark.parametrize("folder", ["model=x", "Model=x", "sample=3", "detector=msp"])
def test_a_lake_below_a_folder_that_reads_as_a_column_is_refused(tmp_path: Path, folder: str) -> None:
    """There, hive-style readers would take the folder's value for the column's: wrong answers without a word."""
    with pytest.raises(InputError, match=f"its folder '{folder}' would be read as the column"):
        Lake(tmp_path / folder / "lake")


@pytest.mark.parametrize(
    ("value", "expected"), [("elsewhere", "elsewhere"), ("", DEFAULT_LOCATION), (None, DEFAULT_LOCATION)]
)
def test_the_default_location(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: str) -> None:
    """$FEATURESTORE_LAKE if it says something, else ./lake; an argument wins over both."""
    monkeypatch.delenv("FEATURESTORE_LAKE", raising=False)
    if value is not None:
        monkeypatch.setenv("FEATURESTORE_LAKE", value)
    assert Lake().location == expected
    assert Lake("here").location == "here"
    assert repr(Lake("here")) == "Lake('here')"


def test_the_settings_file_names_the_lake_unless_the_environment_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`featurestore.toml` counts from any folder below it."""
    (tmp_path / "below").mkdir()
    (tmp_path / "featurestore.toml").write_text('lake = "s3://bucket/study"\n')
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.delenv("FEATURESTORE_LAKE", raising=False)
    monkeypatch.delenv("FEATURESTORE_CONFIG", raising=False)
    assert Lake().location == "s3://bucket/study"
    monkeypatch.setenv("FEATURESTORE_LAKE", "elsewhere")
    assert Lake().location == "elsewhere"


def test_keys_that_are_there_but_not_together_leave_no_rows(lake: Lake) -> None:
    """None of them is misspelt: the combination is what has not been made."""
    put_scores(lake, "a", "x", {"msp": ([1.0], [0.5])})
    put_scores(lake, "b", "x", {"knn": ([1.0], [0.5])})
    assert lake.scan("scores", model="a", detector="knn").collect().is_empty()


def test_lakes_are_equal_where_they_lie_in_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the place is written; what is no lake is equal to none."""
    monkeypatch.chdir(tmp_path)
    here, other = Lake("lake"), Lake("other")
    assert here == Lake("./lake") == Lake(tmp_path / "lake") == fs.Lake("lake")
    assert here != other
    assert here != "lake"
    assert here != here.current() == Lake("lake").current()
    assert len({here, Lake(tmp_path / "lake"), other}) == 2
    assert Lake("s3://bucket/lake") == Lake("s3://bucket/lake/") != Lake("s3://bucket/other")


def test_batches_are_tuples_with_names(lake: Lake) -> None:
    """Of any columns in any order, those named like a Python keyword too; they pickle, and say what they hold."""
    put(lake, "activations", {"model": "m", "dataset": "d"}, random_activations(5))
    put_head(lake, "m", np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    (block,) = lake.batches(model="m", dataset="d", columns=("logits", "sample"))
    logits, sample = block
    assert (block.columns, block.sample is sample, block.logits is logits) == (("logits", "sample"), True, True)
    assert repr(block) == "Batch(logits: float16[5, 2], sample: int64[5])"
    with pytest.raises(AttributeError, match="no column 'feature': it has logits, sample"):
        block.feature  # noqa: B018
    again = pickle.loads(pickle.dumps(block))
    assert again.columns == block.columns
    np.testing.assert_array_equal(again.sample, sample)
    (head,) = lake.batches("heads", model="m", columns=("class", "bias"))
    assert getattr(head, "class").tolist() == [0, 1]
    (piece,) = lake.pieces(model="m", dataset="d", columns=("sample", "feature"))
    assert piece().feature.shape == (5, 3)
