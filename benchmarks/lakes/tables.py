"""How rows of each table get into a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from featurestore.layout.tables import TABLES
from featurestore.partitions.encoding import dealt_out, vector_array
from featurestore.partitions.writing import Target, commit, find, write_fragment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TypeAlias

    from featurestore import Lake
    from featurestore.layout.tables import Table

    Rows: TypeAlias = Mapping[str, Any] | pa.Table


def put(
    lake: Lake,
    table: str,
    path: Mapping[str, str],
    rows: Rows | Iterable[Rows],
    ingredients: Mapping[str, Any] | None = None,
    *,
    replacing: bool = False,
    details: Mapping[str, Any] | None = None,
) -> Target:
    """Write one part, unless the lake holds it.

    Args:
        lake: The lake.
        table: The table's name.
        path: The values of its path columns.
        rows: A fragment or several, each as columns, of which those that are not given are null, or as a table that is
            stored as it is.
        ingredients: What its fingerprint is of, beside the path.
        replacing: Whether a part of another fingerprint is swapped.
        details: What determines nothing, such as what the part rests on.
    """
    found = TABLES[table]
    key, part_key = ({name: path[name] for name in names} for names in (found.keys, found.part_keys))
    target = Target(found, key, ingredients or {"seed": 0}, part_key)
    if not find(lake.storage, target, replacing=replacing):
        fragments = [rows] if isinstance(rows, dict | pa.Table) else rows
        written = [write_fragment(lake.storage, target, n, _table(found, rows)) for n, rows in enumerate(fragments)]
        commit(lake.storage, found, key, [target.part(written, details)], replacing=replacing)
    return target


def put_rows(
    lake: Lake,
    table: str,
    path: Mapping[str, str],
    *rows: Mapping[str, Any],
    ingredients: Mapping[str, Any] | None = None,
    replacing: bool = False,
    details: Mapping[str, Any] | None = None,
) -> Target:
    """Write a part of one fragment, given by its rows, which its fingerprint is of unless ingredients are given."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return put(lake, table, path, columns, ingredients or columns, replacing=replacing, details=details)


def put_dataset(
    lake: Lake, name: str, role: str, class_names: Sequence[str], labels: Sequence[int | None], **values: Any
) -> None:
    """Write a dataset and its samples, which have no labels where it is OOD; `values` are further ones of its row."""
    count = len(class_names)
    row = {"benchmarks": ["main"], "samples": count, "classes": len(set(class_names)), "digest": name}
    row |= {"role": role, "format": "folder", "location": ""} | values
    put_rows(lake, "datasets", {"dataset": name}, row, ingredients=row)
    columns = {
        "sample": np.arange(count),
        "path": [f"{class_name}/{number}.png" for number, class_name in enumerate(class_names)],
        "bytes": np.ones(count, np.int64),
        "label": [None] * count if role == "ood" else labels,
        "class_name": class_names,
    }
    put(lake, "samples", {"dataset": name}, columns)


def put_head(lake: Lake, model: str, weight: np.ndarray, bias: np.ndarray, negatives: np.ndarray | None = None) -> None:
    """Write the final linear layer of a model: weight [classes, width], bias [classes] and perhaps negatives [labels, width]."""
    classes = np.arange(len(bias))
    columns = {"class": classes, "weight": vector_array("weight", weight, "float32", classes), "bias": bias}
    columns["negatives"] = dealt_out(negatives, len(classes))
    put(lake, "heads", {"model": model}, pa.table(columns))


def activations(
    sample: np.ndarray, label: Sequence[int | None], feature: np.ndarray, logits: np.ndarray, dtype: str = "float32"
) -> pa.Table:
    """Rows of activations as they are stored, in that precision."""
    columns = {
        "sample": pa.array(sample, pa.int64()),
        "label": pa.array(label, pa.int64()),
        "feature": vector_array("feature", feature, dtype, sample),
        "logits": vector_array("logits", logits, dtype, sample),
    }
    fields = [pa.field(name, column.type, nullable=name == "label") for name, column in columns.items()]
    return pa.table(list(columns.values()), pa.schema(fields))


def put_scores(
    lake: Lake, model: str, dataset: str, scores: Mapping[str, tuple[np.ndarray, np.ndarray]], benchmark: str = "main"
) -> dict[str, str]:
    """Commit all detectors' scores and ranks of a dataset at once; return their fingerprints by detector."""
    table, key, parts = TABLES["scores"], {"benchmark": benchmark, "model": model, "dataset": dataset}, []
    for detector, (score, rank) in scores.items():
        target = Target(table, key, {"seed": 0}, {"detector": detector})
        rows = _table(table, {"sample": np.arange(len(score)), "score": score, "id_rank": rank})
        parts.append(target.part([write_fragment(lake.storage, target, 0, rows)]))
    commit(lake.storage, table, key, parts, replacing=False)
    return {part.key["detector"]: part.fingerprint for part in parts}


def _table(table: Table, rows: Rows) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    count = len(next(iter(rows.values())))
    assert set(rows) <= set(table.columns.names), f"{table.name} has no such column"
    return pa.table({name: [None] * count for name in table.columns.names} | dict(rows), table.columns)
