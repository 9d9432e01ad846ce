"""Lakes of small random activations that are scored in earnest: as many files as a real study leaves, and few bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.lakes.tables import activations, put, put_dataset, put_head, put_rows
from featurestore.verbs import VerbLake

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import TypeAlias

    Datasets: TypeAlias = Mapping[str, tuple[str, int, int]]

WIDTH, CLASSES = 16, 6
DATASETS = {
    "train": ("fit", 1200, CLASSES),
    "test": ("id", 120, CLASSES),
    "far": ("ood", 90, CLASSES),
    "unit-tests": ("ood", 90, CLASSES),
}
"""Role, samples and classes of each dataset."""


def make_scored_lake(
    location: Path, models: int, datasets: Datasets = DATASETS, detectors: Sequence[str] = ()
) -> VerbLake:
    """Make a lake in which every model has activations, statistics, geometry, metrics, and scores of all usual detectors.

    Args:
        location: Where.
        models: How many.
        datasets: Role, samples and classes of each dataset, by name.
        detectors: These detectors in the place of all usual ones.
    """
    lake = VerbLake(location)
    for name, (role, count, classes) in datasets.items():
        names = [f"c{number % classes}" for number in range(count)]
        labels = (np.arange(count) % CLASSES).tolist()
        put_dataset(lake, name, role, names, labels, classes=classes)
    for number in range(models):
        _put_model(lake, f"model-{number:03d}", number, datasets)
    lake.score(detector=detectors or None, say=None, progress=None)
    return lake


def _put_model(lake: VerbLake, model: str, number: int, datasets: Datasets) -> None:
    random = np.random.default_rng(number)
    means, bias = 2 * random.standard_normal((CLASSES, WIDTH)), random.standard_normal(CLASSES).astype(np.float32)
    network = {"architecture": "vit", "weights_sha256": f"{number:064x}"}
    row = {"pretraining": ("in21k", "in1k")[number % 2], "weight_decay": 0.1 * (number % 3), "source": "benchmark"}
    row |= {"num_classes": CLASSES, "feature_dim": WIDTH, **network}
    put_rows(lake, "models", {"model": model}, row, ingredients=network)
    put_head(lake, model, means.astype(np.float32), bias)
    for name, (role, count, _) in datasets.items():
        labels = np.arange(count) % CLASSES
        noise = random.standard_normal((count, WIDTH))
        feature = (noise + (means[labels] if role != "ood" else 0)).astype(np.float32)
        logits = feature @ means.astype(np.float32).T + bias
        rows = activations(np.arange(count), [None] * count if role == "ood" else labels, feature, logits)
        put(lake, "activations", {"model": model, "dataset": name}, rows, {"dataset_digest": name, **network})
