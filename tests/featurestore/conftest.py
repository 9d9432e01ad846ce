"""The command in this process, and a small lake to ask."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from featurestore import Lake
from featurestore.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """The command in this process: exit code, standard output, standard error."""
    monkeypatch.delenv("FEATURESTORE_LAKE", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["featurestore", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory, put: Callable[..., Any]) -> Lake:
    """Four models: a, b and c are scored; nobody knows c's weight decay, nor d's pretraining and results."""
    lake = Lake(tmp_path_factory.mktemp("four"))
    recipes = {"a": ("in1k", 0.1), "b": ("in21k", 0.3), "c": ("clip-openai", None), "d": (None, 0.3)}
    for name, (pretraining, weight_decay) in recipes.items():
        recipe = {"params": [10], "pretraining": [pretraining], "weight_decay": [weight_decay], "soup_of": [None]}
        put(lake, "models", {"model": name}, recipe)
    for name, top1 in {"a": 0.7, "b": 0.8, "c": 0.9}.items():
        put(lake, "accuracy", {"model": name, "dataset": "id"}, {"n": [100], "top1": [top1], "top5": [1.0]})
        keys = [(d, o, c) for d in ("msp", "vim") for o in ("far", "near") for c in (None, "x", "y")]
        rows = len(keys)
        columns = {
            "detector": [detector for detector, _, _ in keys],
            "id_dataset": ["id"] * rows,
            "ood_dataset": [ood for _, ood, _ in keys],
            "ood_class": [ood_class for _, _, ood_class in keys],
            "aggregation": ["class" if ood_class else "class_mean" for _, _, ood_class in keys],
            "n_id": [100] * rows,
            "n_ood": [10] * rows,
            "fpr95": [top1 - 0.5 + (detector == "vim") / 4 for detector, _, _ in keys],
            "auroc": [0.5] * rows,
        }
        put(lake, "metrics", {"benchmark": "main", "model": name}, columns)
        for dataset in ("id", "far"):
            for detector in ("msp", "vim"):
                path = {"benchmark": "main", "model": name, "dataset": dataset, "detector": detector}
                put(lake, "scores", path, {"sample": [0, 1], "score": [0.1, 0.2], "id_rank": [0.5, 0.5]})
    return lake
