"""Lakes of arrays, through the real writer: for what images cannot easily bring about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.lakes import activations, put, put_dataset, put_head, put_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featurestore import Lake

CLASSES, DIM = 3, 6
ROLES = {"train": ("fit", 240), "test": ("id", 60), "far": ("ood", 40)}


def write_datasets(lake: Lake, roles: Mapping[str, tuple[str, int]] = ROLES) -> None:
    """Datasets and their samples, of two classes each where they are OOD."""
    for name, (role, count) in roles.items():
        names = [f"{name}-{sample % 2}" for sample in range(count)]
        labels = [sample % CLASSES for sample in range(count)]
        put_dataset(lake, name, role, names, labels, classes=CLASSES)


def write_model(
    lake: Lake,
    model: str,
    roles: Mapping[str, tuple[str, int]] = ROLES,
    *,
    head: bool = True,
    dims: Mapping[str, int] | None = None,
    unlabelled: Mapping[str, int] | None = None,
    rows_per_fragment: int = 1000,
    again: int = 0,
) -> None:
    """A model with Gaussian classes, its head if it has one, and its activations.

    Args:
        dims: The feature dimension on some datasets, where it is another.
        unlabelled: A sample without a label on some datasets.
        again: Another number for the activations of another network, under the same name.
    """
    generator = np.random.default_rng([*model.encode()])
    weight, bias = generator.normal(size=(CLASSES, DIM)).astype(np.float32), np.zeros(CLASSES, np.float32)
    row = {"architecture": "none", "feature_dim": DIM, "num_classes": CLASSES}
    put_rows(lake, "models", {"model": model}, row)
    if head:
        put_head(lake, model, weight, bias, np.random.default_rng(0).normal(size=(7, DIM)).astype(np.float32))
    for name, (role, count) in roles.items():
        sample = np.arange(count)
        dim = (dims or {}).get(name, DIM)
        feature = (
            generator.normal(size=(count, dim)).astype(np.float32) + np.eye(dim, dtype=np.float32)[sample % CLASSES]
        )
        logits = (feature[:, :DIM] @ weight[:, :dim].T).astype(np.float32)
        label = [None if role == "ood" or s == (unlabelled or {}).get(name) else int(s) % CLASSES for s in sample]
        parts = [slice(start, start + rows_per_fragment) for start in range(0, count, rows_per_fragment)]
        rows = [activations(sample[part], label[part], feature[part], logits[part]) for part in parts]
        told = {"dtype": "float32", "dataset_digest": name, "fragment_rows": f"{dim} {label}{again or ''}"}
        put(lake, "activations", {"model": model, "dataset": name}, rows, told, replacing=True)
