"""How benchmarks are judged is set by the command, stored, and listed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from analysis.lineage.benchmark_settings import BenchmarkSettings, read_settings, write_settings
from benchmarks.lakes import put_dataset

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.pipeline import Commands


def test_what_is_set_is_kept_until_it_is_set_otherwise(lake: Lake) -> None:
    """Nothing is written where nothing changes, so that lakes in which nobody set anything hold nothing of it."""
    assert not write_settings(lake, "main", BenchmarkSettings())
    assert lake.partitions("benchmarks") == []
    assert write_settings(lake, "main", BenchmarkSettings(without_overlaps=True))
    assert not write_settings(lake, "main", BenchmarkSettings(without_overlaps=True))
    assert read_settings(lake) == {"main": BenchmarkSettings(without_overlaps=True)}
    assert write_settings(lake, "main", BenchmarkSettings())
    assert read_settings(lake) == {"main": BenchmarkSettings()}


def test_the_command_sets_and_lists(fresh: Commands) -> None:
    assert "There is no lake" in fresh.refused("benchmark", "set", "main", "--without-overlaps")
    assert "There is no lake" in fresh.refused("benchmark", "list")
    fresh.location.mkdir()
    assert "There is no benchmark yet" in fresh.ok("benchmark", "list")
    for name, role, benchmarks in (
        ("train", "fit", ["main", "b"]),
        ("x", "id", ["main"]),
        ("far", "ood", ["main", "b"]),
    ):
        put_dataset(fresh.lake, name, role, ["c"], [0], benchmarks=benchmarks)
    assert "did you mean 'main'" in fresh.refused("benchmark", "set", "mian", "--without-overlaps")
    assert "--without-overlaps or --with-overlaps" in fresh.refused("benchmark", "set", "main")
    assert "main is judged without overlaps from the next" in fresh.ok("benchmark", "set", "main", "--without-overlaps")
    assert "main is judged without overlaps already" in fresh.ok("benchmark", "set", "main", "--without-overlaps")
    rows = json.loads(fresh.ok("benchmark", "list", "--format", "json"))
    common = {"fit_dataset": "train", "val_dataset": None, "ood_datasets": 1}
    assert rows == [
        {"benchmark": "b", "id_dataset": None, "without_overlaps": False, **common},
        {"benchmark": "main", "id_dataset": "x", "without_overlaps": True, **common},
    ]
    assert "with overlaps from the next" in fresh.ok("benchmark", "set", "main", "--with-overlaps")
    assert "true" not in fresh.ok("benchmark", "list", "--format", "csv")


def test_what_is_set_goes_with_the_benchmark(fresh: Commands) -> None:
    fresh.location.mkdir()
    put_dataset(fresh.lake, "x", "id", ["c"], [0])
    fresh.ok("benchmark", "set", "main", "--without-overlaps")
    fresh.ok("benchmark", "remove", "main")
    assert read_settings(fresh.lake) == {}
    fresh.ok("verify", "--deep")
