"""A pool of models with literal numbers, and lakes that hold it, written by the real writer."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
ALIKE = {
    "architecture": "vit_small_patch16_224",
    "input_size": 32,
    "augmentation": "light",
    "finetune_dataset": "digits",
    "finetune_steps": 500,
    "soup_of": None,
    "recipe": "{}",
    "model_kwargs": '{"img_size":32}',
}


def read_csv(name: str) -> list[dict[str, Any]]:
    """Rows of a CSV file, numbers as numbers and empty cells as None."""

    def value(text: str) -> Any:
        try:
            return float(text) if text else None
        except ValueError:
            return text

    with (HERE / name).open(encoding="utf-8") as file:
        return [{key: value(text) for key, text in row.items()} for row in csv.DictReader(file)]


@dataclass(frozen=True, slots=True)
class Pool:
    """Models with recipe and accuracy, and their metrics, as rows."""

    models: list[dict[str, Any]]
    metrics: list[dict[str, Any]]

    def of(self, *names: str) -> Pool:
        """The pool of just these models."""
        return Pool([m for m in self.models if m["model"] in names], [r for r in self.metrics if r["model"] in names])

    def levelled(self) -> Pool:
        """The pool with all accuracies and metrics equal: everything is a tie."""
        return Pool(
            [m | {"accuracy": 0.5} for m in self.models], [r | {"fpr95": 0.25, "auroc": 0.75} for r in self.metrics]
        )


def write_pool(lake: Lake, pool: Pool, put: Callable[..., Any]) -> None:
    for model in pool.models:
        name, accuracy = model["model"], model["accuracy"]
        recipe = ALIKE | {key: value for key, value in model.items() if key not in {"model", "accuracy"}}
        put(lake, "models", {"model": name}, {key: [value] for key, value in recipe.items()})
        if accuracy is not None:
            put(lake, "accuracy", {"model": name, "dataset": "id"}, {"n": [100], "top1": [accuracy], "top5": [1.0]})
        # Accuracy on another dataset must not be taken for that on the ID test set.
        put(lake, "accuracy", {"model": name, "dataset": "fit"}, {"n": [100], "top1": [0.999], "top5": [1.0]})
    for benchmark, name in sorted({(row["benchmark"], row["model"]) for row in pool.metrics}):
        rows = [row for row in pool.metrics if (row["benchmark"], row["model"]) == (benchmark, name)]
        columns = {key: [row[key] for row in rows] for key in rows[0] if key not in {"benchmark", "model"}}
        columns["n_ood"] = [int(n) for n in columns["n_ood"]]
        put(lake, "metrics", {"benchmark": benchmark, "model": name}, columns | {"id_dataset": ["id"] * len(rows)})


@pytest.fixture(scope="session")
def pools() -> dict[str, Pool]:
    whole = Pool(read_csv("models.csv"), read_csv("metrics.csv"))
    return {
        "whole": whole,
        "one model": whole.of("wd"),
        "no recipe": whole.of("base", "unknown"),
        "two pairs": whole.of("base", "wd", "scratch"),
        "ties": whole.levelled(),
        "none": whole.of(),
    }


@pytest.fixture(scope="session")
def lakes(pools: dict[str, Pool], put: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lake]:
    found = {}
    for name, pool in pools.items():
        found[name] = Lake(tmp_path_factory.mktemp("lake"))
        write_pool(found[name], pool, put)
    return found
