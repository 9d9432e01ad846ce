"""Lakes of arrays, through the real writer: for what images cannot easily bring about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from featurestore.partitions.encoding import vector_array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featurestore import Lake

CLASSES, DIM = 3, 6
ROLES = {"train": ("fit", 240), "test": ("id", 60), "far": ("ood", 40)}


def put(lake: Lake, table: str, key: Mapping[str, str], columns: Mapping[str, Any], **ingredients: Any) -> None:
    """Write a part of one fragment, or swap it."""
    found = TABLES[table]
    rows = len(next(iter(columns.values())))
    filled = {name: columns.get(name, [None] * rows) for name in found.columns.names}
    vectors = any(isinstance(values, pa.FixedSizeListArray) for values in columns.values())
    data = pa.table(dict(columns)) if vectors else pa.table(filled, found.columns)
    target = writing.Target(found, dict(key), {"seed": 0, **ingredients}, {})
    writing.write_part(lake.storage, target, data, replacing=True)


def write_datasets(lake: Lake, roles: Mapping[str, tuple[str, int]] = ROLES) -> None:
    """Datasets and their samples, of two classes each where they are OOD."""
    for name, (role, count) in roles.items():
        row = {"role": [role], "benchmarks": [["main"]], "samples": [count], "classes": [CLASSES], "digest": [name]}
        put(lake, "datasets", {"dataset": name}, {**row, "format": ["folder"], "location": [""]})
        names = [f"{name}-{sample % 2}" for sample in range(count)]
        labels = [None if role == "ood" else sample % CLASSES for sample in range(count)]
        paths = [f"{sample}.png" for sample in range(count)]
        columns = {"sample": range(count), "path": paths, "bytes": [1] * count, "label": labels, "class_name": names}
        put(lake, "samples", {"dataset": name}, columns)


def write_model(
    lake: Lake,
    model: str,
    roles: Mapping[str, tuple[str, int]] = ROLES,
    *,
    head: bool = True,
    dims: Mapping[str, int] | None = None,
    unlabelled: Mapping[str, int] | None = None,
    rows_per_fragment: int = 1000,
) -> None:
    """A model with Gaussian classes, its head if it has one, and its activations.

    Args:
        dims: The feature dimension on some datasets, where it is another.
        unlabelled: A sample without a label on some datasets.
    """
    generator = np.random.default_rng([*model.encode()])
    weight, bias = generator.normal(size=(CLASSES, DIM)).astype(np.float32), np.zeros(CLASSES, np.float32)
    classes = np.arange(CLASSES)
    put(lake, "models", {"model": model}, {"architecture": ["none"], "feature_dim": [DIM], "num_classes": [CLASSES]})
    if head:
        columns = {"class": pa.array(classes), "weight": vector_array("weight", weight, "float32", classes)}
        put(lake, "heads", {"model": model}, {**columns, "bias": pa.array(bias)})
    for name, (role, count) in roles.items():
        sample = np.arange(count)
        dim = (dims or {}).get(name, DIM)
        feature = (
            generator.normal(size=(count, dim)).astype(np.float32) + np.eye(dim, dtype=np.float32)[sample % CLASSES]
        )
        logits = (feature[:, :DIM] @ weight[:, :dim].T).astype(np.float32)
        label = [None if role == "ood" or s == (unlabelled or {}).get(name) else int(s) % CLASSES for s in sample]
        target = writing.Target(
            TABLES["activations"],
            {"model": model, "dataset": name},
            {"dtype": "float32", "dataset_digest": f"{name} {dim} {label}"},
            {},
        )
        fragments = []
        for number, start in enumerate(range(0, count, rows_per_fragment)):
            part = slice(start, start + rows_per_fragment)
            columns = {
                "sample": pa.array(sample[part]),
                "label": pa.array(label[part], pa.int64()),
                "feature": vector_array("feature", feature[part], "float32", sample[part]),
                "logits": vector_array("logits", logits[part], "float32", sample[part]),
            }
            fragments.append(writing.write_fragment(lake.storage, target, number, pa.table(columns)))
        writing.commit(lake.storage, target.table, target.key, [target.part(fragments)], replacing=True)
