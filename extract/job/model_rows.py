"""What the lake keeps of a model itself: its row, and its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from extract.job.plan import head_target, model_target
from extract.models.sources import as_json
from featurestore.layout.tables import RECIPE_COLUMNS, TABLES
from featurestore.partitions import writing
from featurestore.partitions.encoding import vector_array

if TYPE_CHECKING:
    from extract.models import LoadedModel
    from featurestore.storage import Storage


def write_model(storage: Storage, model: LoadedModel, *, replacing: bool) -> None:
    """Write a model's rows of `models` and `heads`, unless the lake holds them.

    Raises:
        ConflictError: The lake holds another model of this name, and `replacing` is false.
    """
    writing.write_part(storage, model_target(model.spec), _row(model), replacing=replacing)
    writing.write_part(storage, head_target(model.spec), _head_rows(model), replacing=replacing)


def _row(model: LoadedModel) -> pa.Table:
    spec, weight = model.spec, model.head.weight
    row = {
        "architecture": spec.architecture,
        "params": model.params,
        "feature_dim": weight.shape[1],
        "num_classes": weight.shape[0],
        "input_size": spec.preprocessing["input_size"][-1],
        "source": spec.checkpoint.name if spec.checkpoint else f"timm:{spec.architecture}",
        "weights_sha256": spec.weights_sha256,
        **dict.fromkeys((*RECIPE_COLUMNS, "recipe")),
        **spec.recipe_columns,
        "model_kwargs": as_json(spec.model_kwargs),
        "preprocessing": as_json(spec.preprocessing),
    }
    return pa.Table.from_pylist([row], schema=TABLES["models"].columns)


def _head_rows(model: LoadedModel) -> pa.Table:
    head = model.head
    classes = np.arange(len(head.bias))
    return pa.table(
        {
            "class": pa.array(classes),
            "weight": vector_array("head's weight", head.weight, "float32", classes),
            "bias": pa.array(head.bias),
        }
    )
