"""A lake of the size of one ImageNet model, made of random activations that are classified as well, and as surely, as a real network's."""

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


CLEAR = {"train": (3.0, 1.0), "val": (2.0, 1.0), "ninco": (2.0, 3.0), "unit-tests": (1.5, 5.0)}
"""Of each dataset, the parameters of the beta distribution of how clearly a sample shows its class."""
FAMILY, ALIKE = 6, 0.5
"""Classes that look alike, and which share of a class's mean they have in common."""
NOISE, PEAK = 0.08, 12.0
"""The spread within a class, as a share of the norm of its mean in each direction; the logit of a sample that is its class's mean."""


class World:
    """Features and logits as a trained ViT gives them.

    Directions of the feature space differ in size as a ViT's do. Classes come in families. A sample shows its class more or less
    clearly, and beside it some other one, mostly of its family; the head reads each class's mean. What comes of it: 80 % of `val`
    and 90 % of `train` are classified correctly, of those in error nearly all among the first five; the largest logit is
    10.1 +- 1.7, the others spread by 1.1 about 0; softmax's mean confidence is 77 %, and its best temperature is 0.85.
    """

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        spectrum = np.geomspace(15, 0.5, WIDTH)
        rotation = np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
        family = rng.standard_normal((CLASSES // FAMILY + 1, WIDTH))[np.arange(CLASSES) // FAMILY]
        means = np.sqrt(ALIKE) * family + np.sqrt(1 - ALIKE) * rng.standard_normal((CLASSES, WIDTH))
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        self.means = (means * spectrum @ rotation).astype(np.float32)
        self.mixing = (NOISE * spectrum[:, None] * rotation).astype(np.float32)
        self.weight = (PEAK * means / spectrum @ rotation).astype(np.float32)
        self.bias = (0.1 * rng.standard_normal(CLASSES)).astype(np.float32)

    def rows(self, seed: int, labels: np.ndarray, dataset: str) -> tuple[np.ndarray, np.ndarray]:
        """Features and logits, float16, of samples that show these classes as clearly as the dataset's do."""
        rng, count = np.random.default_rng(seed), len(labels)
        clear = rng.beta(*CLEAR[dataset], count).astype(np.float32)[:, None]
        relative = np.minimum(labels // FAMILY * FAMILY + rng.integers(0, FAMILY, count), CLASSES - 1)
        other = np.where(rng.random(count) < 0.8, relative, rng.integers(0, CLASSES, count))
        shown = 0.35 if DATASETS[dataset] == "ood" else 0.9
        feature = rng.standard_normal((count, WIDTH), np.float32) @ self.mixing
        feature += clear * self.means[labels] + shown * (1 - clear) * self.means[other]
        feature = feature.astype(np.float16)
        return feature, (feature.astype(np.float32) @ self.weight.T + self.bias).astype(np.float16)


def make_lake(location: Path | Lake, fit_rows: int = FIT_ROWS, judged: float = 1.0) -> Lake:
    """Make the lake, or go on with the one that is there: what it holds whole is not made again.

    Args:
        location: Where, or the lake that is to be filled.
        fit_rows: Rows of the fit dataset, in the order of their classes, as an image folder lists them.
        judged: Which share there is of the rows of the others.
    """
    lake, world = location if isinstance(location, Lake) else Lake(location), World()
    sizes = {"val": ID_ROWS, "ninco": NINCO_ROWS, "unit-tests": UNIT_TEST_ROWS}
    sizes = {"train": fit_rows} | {name: round(judged * rows) for name, rows in sizes.items()}
    for number, (name, role) in enumerate(DATASETS.items()):
        labels = _labels(np.arange(sizes[name]), sizes[name])
        names, digest = [f"c{label % 64:03d}" for label in labels], f"{name} {sizes[name]}"
        put_dataset(lake, name, role, names, labels, classes=CLASSES, digest=digest)
        key, told = {"model": MODEL, "dataset": name}, {"dataset_digest": digest, "dtype": "float16", "world": 2}
        put(lake, "activations", key, _fragments(world, 1000 * number, sizes[name], name), told)
    put_head(lake, MODEL, world.weight, world.bias)
    row = {"architecture": "vit_base_patch16_224", "num_classes": CLASSES, "feature_dim": WIDTH, "source": "benchmark"}
    put_rows(lake, "models", {"model": MODEL}, row)
    return lake


def _labels(sample: np.ndarray, rows: int) -> np.ndarray:
    return sample * CLASSES // rows


def _fragments(world: World, seed: int, rows: int, dataset: str) -> Iterator[pa.Table]:
    for number, start in enumerate(range(0, rows, FRAGMENT_ROWS)):
        sample = np.arange(start, min(start + FRAGMENT_ROWS, rows))
        labels = _labels(sample, rows)
        feature, logits = world.rows(seed + number, labels, dataset)
        yield activations(
            sample, [None] * len(sample) if DATASETS[dataset] == "ood" else labels, feature, logits, "float16"
        )
