"""What the lake keeps of a model itself: its row, and its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from extract.job.plan import head_target, model_target
from extract.models import Head
from extract.models.sources import as_json
from featurestore.layout.tables import RECIPE_COLUMNS, TABLES
from featurestore.partitions import snapshot, writing
from featurestore.partitions.encoding import vector_array

if TYPE_CHECKING:
    from extract.models import LoadedModel
    from featurestore.storage import Storage


def write_model(storage: Storage, model: LoadedModel, *, replacing: bool) -> None:
    """Write a model's rows of `models` and `heads`, unless the lake holds them; without a head none of `heads`.

    Raises:
        ConflictError: The lake holds another model of this name, and `replacing` is false.
    """
    writing.write_part(storage, model_target(model.spec), _row(model), replacing=replacing)
    head, target = model.head, head_target(model.spec)
    if head is None and snapshot.latest(storage, target.table, target.key) is None:
        return
    # The head of other weights, which had the name before, goes.
    rows = head or Head(np.empty((0, model.width), np.float32), np.empty(0, np.float32))
    details = {"tells_classes": False} if head and head.is_constant else None
    writing.write_part(storage, target, _head_rows(rows), replacing=replacing, details=details)


def _row(model: LoadedModel) -> pa.Table:
    spec = model.spec
    row = {
        "architecture": spec.architecture,
        "params": model.params,
        "feature_dim": model.width,
        "num_classes": model.classes,
        "input_size": spec.preprocessing["input_size"][-1],
        "source": spec.checkpoint.name if spec.checkpoint else f"timm:{spec.architecture}",
        "weights_sha256": spec.weights_sha256,
        **dict.fromkeys((*RECIPE_COLUMNS, "recipe")),
        **spec.recipe_columns,
        "model_kwargs": as_json(spec.model_kwargs),
        "preprocessing": as_json(spec.preprocessing),
    }
    return pa.Table.from_pylist([row], schema=TABLES["models"].columns)


def _head_rows(head: Head) -> pa.Table:
    classes = np.arange(len(head.bias))
    return pa.table(
        {
            "class": pa.array(classes),
            "weight": vector_array("head's weight", head.weight, "float32", classes),
            "bias": pa.array(head.bias),
        }
    )
