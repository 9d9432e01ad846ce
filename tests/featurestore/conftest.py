"""The command in this process, and a small lake to ask."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.lakes import put_rows, put_scores
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]


def python(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """What Python says in a process of its own that finds these packages."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environ, timeout=120)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """Where a server in this process plays S3."""
    from moto.server import ThreadedMotoServer  # slow to import, and few tests ask for it

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Four models: a, b and c are scored; nobody knows c's weight decay, nor d's pretraining and results."""
    lake = Lake(tmp_path_factory.mktemp("four"))
    recipes = {"a": ("in1k", 0.1), "b": ("in21k", 0.3), "c": ("clip-openai", None), "d": (None, 0.3)}
    for name, (pretraining, weight_decay) in recipes.items():
        row = {"params": 10, "pretraining": pretraining, "weight_decay": weight_decay}
        put_rows(lake, "models", {"model": name}, row)
    for name, top1 in {"a": 0.7, "b": 0.8, "c": 0.9}.items():
        put_rows(lake, "accuracy", {"model": name, "dataset": "id"}, {"n": 100, "top1": top1, "top5": 1.0})
        alike = {"id_dataset": "id", "n_id": 100, "n_ood": 10, "auroc": 0.5}
        rows = [
            {"detector": detector, "ood_dataset": ood, "ood_class": ood_class, **alike}
            | {"aggregation": "class" if ood_class else "class_mean", "fpr95": top1 - 0.5 + (detector == "vim") / 4}
            for detector, ood, ood_class in product(("msp", "vim"), ("far", "near"), (None, "x", "y"))
        ]
        put_rows(lake, "metrics", {"benchmark": "main", "model": name}, *rows)
        for dataset in ("id", "far"):
            put_scores(lake, name, dataset, dict.fromkeys(("msp", "vim"), ([0.1, 0.2], [0.5, 0.5])))
    return lake
