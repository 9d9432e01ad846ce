"""A lake of the size of one ImageNet model, made of clustered random activations whose logits are those of a linear head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.lakes.tables import activations, put, put_dataset, put_head, put_rows
from featurestore import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

WIDTH, CLASSES, FRAGMENT_ROWS = 768, 1000, 16_384
FIT_ROWS, ID_ROWS, NINCO_ROWS, UNIT_TEST_ROWS = 1_281_167, 50_000, 5_879, 6_800
MODEL = "vit-b16"
DATASETS = {"train": "fit", "val": "id", "ninco": "ood", "unit-tests": "ood"}


class World:
    """Class means, a covariance with a spectrum like a ViT's, and a head that reads the means."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.means = rng.standard_normal((CLASSES, WIDTH), np.float32) * 0.6
        spectrum = np.geomspace(1.5, 0.05, WIDTH).astype(np.float32)
        rotation = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0].astype(np.float32)
        self.mixing = spectrum[:, None] * rotation
        self.weight = (self.means * 0.12).astype(np.float32)
        self.bias = (-0.06 * (self.means**2).sum(axis=1)).astype(np.float32)

    def rows(self, seed: int, labels: np.ndarray, far: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Features and logits, float16; `far` moves rows off the classes, as OOD samples are."""
        rng = np.random.default_rng(seed)
        feature = rng.standard_normal((len(labels), WIDTH), np.float32) @ self.mixing + (1 - far) * self.means[labels]
        feature = feature.astype(np.float16)
        return feature, (feature.astype(np.float32) @ self.weight.T + self.bias).astype(np.float16)


def make_lake(location: Path, fit_rows: int = FIT_ROWS) -> Lake:
    """Make the lake, or go on with the one that is there: what it holds whole is not made again.

    Args:
        location: Where.
        fit_rows: Rows of the fit dataset, in the order of their classes, as an image folder lists them.
    """
    lake, world = Lake(location), World()
    sizes = {"train": fit_rows, "val": ID_ROWS, "ninco": NINCO_ROWS, "unit-tests": UNIT_TEST_ROWS}
    for number, (name, role) in enumerate(DATASETS.items()):
        labels = _labels(np.arange(sizes[name]), sizes[name])
        put_dataset(lake, name, role, [f"c{label % 64:03d}" for label in labels], labels, classes=CLASSES)
        key, told = {"model": MODEL, "dataset": name}, {"rows": sizes[name], "dtype": "float16"}
        put(lake, "activations", key, _fragments(world, 1000 * number, sizes[name], ood=role == "ood"), told)
    put_head(lake, MODEL, world.weight, world.bias)
    row = {"architecture": "vit_base_patch16_224", "num_classes": CLASSES, "feature_dim": WIDTH, "source": "benchmark"}
    put_rows(lake, "models", {"model": MODEL}, row)
    return lake


def _labels(sample: np.ndarray, rows: int) -> np.ndarray:
    return sample * CLASSES // rows


def _fragments(world: World, seed: int, rows: int, *, ood: bool) -> Iterator[pa.Table]:
    for number, start in enumerate(range(0, rows, FRAGMENT_ROWS)):
        sample = np.arange(start, min(start + FRAGMENT_ROWS, rows))
        labels = _labels(sample, rows)
        feature, logits = world.rows(seed + number, labels, 0.7 if ood else 0.0)
        yield activations(sample, [None] * len(sample) if ood else labels, feature, logits, "float16")
