"""A lake of the size of one ImageNet model, made of clustered random activations whose logits are those of a linear head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from featurestore.partitions.background import FragmentWriter
from featurestore.partitions.encoding import vector_array

if TYPE_CHECKING:
    from pathlib import Path

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
    """Make the lake, or go on with the one that is there: fragments are only made where they are missing.

    Args:
        location: Where.
        fit_rows: Rows of the fit dataset, in the order of their classes, as an image folder lists them.
    """
    lake, world = Lake(location), World()
    sizes = {"train": fit_rows, "val": ID_ROWS, "ninco": NINCO_ROWS, "unit-tests": UNIT_TEST_ROWS}
    for number, (name, role) in enumerate(DATASETS.items()):
        _describe(lake, name, role, sizes[name])
        _activations(lake, world, name, sizes[name], seed=1000 * number, ood=role == "ood")
    head = {
        "class": pa.array(np.arange(CLASSES)),
        "weight": vector_array("weight", world.weight, "float32", np.arange(CLASSES)),
        "bias": pa.array(world.bias),
    }
    _put(lake, "heads", {"model": MODEL}, pa.table(head))
    row = dict.fromkeys(TABLES["models"].columns.names)
    row |= {"architecture": "vit_base_patch16_224", "num_classes": CLASSES, "feature_dim": WIDTH, "source": "benchmark"}
    _put(lake, "models", {"model": MODEL}, pa.Table.from_pylist([row], TABLES["models"].columns))
    return lake


def _describe(lake: Lake, name: str, role: str, rows: int) -> None:
    row = {"role": role, "benchmarks": ["main"], "samples": rows, "classes": CLASSES, "digest": name}
    row |= {"format": "folder", "location": ""}
    _put(lake, "datasets", {"dataset": name}, pa.Table.from_pylist([row], TABLES["datasets"].columns))
    labels = _labels(np.arange(rows), rows)
    columns = {
        "sample": pa.array(np.arange(rows)),
        "path": pa.array([f"{n}.jpg" for n in range(rows)]),
        "bytes": pa.array(np.ones(rows, np.int64)),
        "label": pa.array(labels),
        "class_name": pa.array([f"c{label % 64:03d}" for label in labels]),
    }
    _put(lake, "samples", {"dataset": name}, pa.table(columns))


def _labels(sample: np.ndarray, rows: int) -> np.ndarray:
    return sample * CLASSES // rows


def _activations(lake: Lake, world: World, name: str, rows: int, *, seed: int, ood: bool) -> None:
    target = writing.Target(
        TABLES["activations"], {"model": MODEL, "dataset": name}, {"rows": rows, "dtype": "float16"}, {}
    )
    if writing.find(lake.storage, target, replacing=True):
        return
    written = []
    with FragmentWriter(lake.storage) as writer:
        for number, start in enumerate(range(0, rows, FRAGMENT_ROWS)):
            sample = np.arange(start, min(start + FRAGMENT_ROWS, rows))
            written.append(
                writer.submit(target, number, lambda n=number, s=sample: _table(world, n + seed, s, rows, ood=ood))
            )
            written[-1].result()
    part = target.part([fragment.result() for fragment in written])
    writing.commit(lake.storage, target.table, target.key, [part], replacing=True)


def _table(world: World, seed: int, sample: np.ndarray, rows: int, *, ood: bool) -> pa.Table:
    labels = _labels(sample, rows)
    feature, logits = world.rows(seed, labels, 0.7 if ood else 0.0)
    columns = {
        "sample": pa.array(sample),
        "label": pa.nulls(len(sample), pa.int64()) if ood else pa.array(labels),
        "feature": vector_array("feature", feature, "float16", sample),
        "logits": vector_array("logits", logits, "float16", sample),
    }
    return pa.table(list(columns.values()), pa.schema([pa.field(n, c.type, n == "label") for n, c in columns.items()]))


def _put(lake: Lake, table: str, key: dict[str, str], rows: pa.Table) -> None:
    writing.write_part(
        lake.storage, writing.Target(TABLES[table], key, {"bench": rows.num_rows}, {}), rows, replacing=True
    )
