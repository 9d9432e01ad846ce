"""Lakes of small random activations that are scored in earnest: as many files as a real study leaves, and few bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.lakes.tables import activations, put, put_dataset, put_head, put_rows
from featurestore.verbs import VerbLake

if TYPE_CHECKING:
    from pathlib import Path

WIDTH, CLASSES = 16, 6
DATASETS = {"train": ("fit", 1200), "test": ("id", 120), "far": ("ood", 90), "unit-tests": ("ood", 90)}
"""Role and samples of each dataset."""


def make_scored_lake(location: Path, models: int) -> VerbLake:
    """Make a lake in which every model has activations, statistics, geometry, metrics, and scores of all usual detectors."""
    lake = VerbLake(location)
    for name, (role, count) in DATASETS.items():
        labels = (np.arange(count) % CLASSES).tolist()
        put_dataset(lake, name, role, [f"c{label}" for label in labels], labels, classes=CLASSES)
    for number in range(models):
        _put_model(lake, f"model-{number:03d}", number)
    lake.score(say=None, progress=None)
    return lake


def _put_model(lake: VerbLake, model: str, number: int) -> None:
    random = np.random.default_rng(number)
    means, bias = 2 * random.standard_normal((CLASSES, WIDTH)), random.standard_normal(CLASSES).astype(np.float32)
    network = {"architecture": "vit", "weights_sha256": f"{number:064x}"}
    row = {"pretraining": ("in21k", "in1k")[number % 2], "weight_decay": 0.1 * (number % 3), "source": "benchmark"}
    row |= {"num_classes": CLASSES, "feature_dim": WIDTH, **network}
    put_rows(lake, "models", {"model": model}, row, ingredients=network)
    put_head(lake, model, means.astype(np.float32), bias)
    for name, (role, count) in DATASETS.items():
        labels = np.arange(count) % CLASSES
        noise = random.standard_normal((count, WIDTH))
        feature = (noise + (means[labels] if role != "ood" else 0)).astype(np.float32)
        logits = feature @ means.astype(np.float32).T + bias
        rows = activations(np.arange(count), [None] * count if role == "ood" else labels, feature, logits)
        put(lake, "activations", {"model": model, "dataset": name}, rows, {"dataset_digest": name, **network})
