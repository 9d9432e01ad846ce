"""Commands that list, on the lake of the pipeline."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.pipeline import Commands


def test_datasets_models_and_detectors_are_listed(commands: Commands) -> None:
    """With names, and in every format; an empty lake has none."""
    rows = list(csv.DictReader(commands.ok("dataset", "list", "--format", "csv").splitlines()))
    assert [(row["dataset"], row["role"]) for row in rows] == [
        ("far", "ood"),
        ("test", "id"),
        ("train", "fit"),
        ("unit-tests", "ood"),
    ]
    models = json.loads(commands.ok("model", "list", "--format", "json"))
    assert [(model["model"], model["weight_decay"]) for model in models] == [("a", 0.1), ("b", 0.2)]
    detectors = list(csv.DictReader(commands.ok("detector", "list", "--format", "csv").splitlines()))
    assert {**next(row for row in detectors if row["detector"] == "msp")} == {
        "detector": "msp", "benchmark": "main", "models": "2", "datasets": "3", "scores": "122",
    }  # fmt: skip
    assert "| far " in commands.ok("dataset", "list", "--format", "markdown")


def test_lists_of_an_empty_lake_are_empty(fresh: Commands) -> None:
    assert "There is no lake" in fresh.refused("model", "list")
    fresh.location.mkdir()
    for kind in ("dataset", "model", "detector"):
        assert "0 rows" in fresh.ok(kind, "list")
