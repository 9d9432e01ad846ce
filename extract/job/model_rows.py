"""What the lake keeps of a model itself: its row, which may be corrected without extraction, and its head."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from extract.job.plan import head_target, model_target
from extract.models import Head
from extract.models.sources import as_json
from featurestore.layout.tables import RECIPE_COLUMNS, TABLES
from featurestore.partitions import snapshot, writing
from featurestore.partitions.encoding import dealt_out, vector_array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extract.models import LayerOfModel, LoadedModel, ModelSpec
    from featurestore.lake import Lake
    from featurestore.storage import Storage

_JSON = "recipe"
_OF_THE_MODEL = ("inferred", "head_normalizes")


def write_model(storage: Storage, model: LoadedModel | LayerOfModel, *, replacing: bool) -> None:
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


def _row(model: LoadedModel | LayerOfModel) -> pa.Table:
    spec = model.spec
    row = {
        "base_model": spec.base.name if spec.base else None,
        "feature": spec.layer or None,
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
        **{name: spec.preprocessing[name] for name in ("crop_pct", "crop_mode", "interpolation", "mean", "std")},
    }
    return pa.Table.from_pylist([row], schema=TABLES["models"].columns)


def _head_rows(head: Head) -> pa.Table:
    classes = np.arange(len(head.bias))
    return pa.table(
        {
            "class": pa.array(classes),
            "weight": vector_array("head's weight", head.weight, "float32", classes),
            "bias": pa.array(head.bias),
            "negatives": dealt_out(head.negatives, len(classes)),
        }
    )


@dataclass(frozen=True, slots=True)
class Settled:
    """A model with all that is known of its training: what is stated now, and else what the lake holds.

    Attributes:
        spec: The model with that recipe.
        changed: The columns whose values the lake does not hold yet, each with the value that it holds.
    """

    spec: ModelSpec
    changed: Mapping[str, Any]


def settle(storage: Storage, spec: ModelSpec) -> Settled:
    """Join what is stated of a model's training with what the lake holds of it; where both speak, what is stated counts."""
    partition = snapshot.latest(storage, TABLES["models"], {"model": spec.name})
    part = partition.part({}) if partition else None
    if part is None:
        return Settled(spec, {})
    kept = {name: value for name, value in part.ingredients.items() if name in {*RECIPE_COLUMNS, _JSON}}
    if model_target(spec.with_recipe(kept)).fingerprint != part.fingerprint:
        return Settled(spec, {})
    recipe = {**kept, **spec.recipe}
    if _JSON in kept and _JSON in spec.recipe:
        recipe[_JSON] = as_json({**json.loads(str(kept[_JSON])), **json.loads(spec.recipe[_JSON])})
    changed = {name: kept.get(name) for name, value in recipe.items() if kept.get(name) != value}
    return Settled(spec.with_recipe(recipe), changed)


def correct(lake: Lake, settled: Settled) -> str:
    """Write a model's row with its recipe corrected; return a line that says what changed."""
    spec = settled.spec
    (row,) = lake.read("models", model=spec.name).to_pylist()
    facts = {name: value for name, value in json.loads(row[_JSON] or "{}").items() if name in _OF_THE_MODEL}
    rest = {**json.loads(spec.recipe.get(_JSON) or "{}"), **facts}
    row |= {**spec.recipe, _JSON: as_json(rest) if rest else None}
    table = pa.Table.from_pylist([row], schema=TABLES["models"].columns)
    writing.write_part(lake.storage, model_target(spec), table, replacing=True)
    changes = (f"{name} {_shown(held)} -> {_shown(spec.recipe[name])}" for name, held in settled.changed.items())
    return f"{spec.name}: recipe corrected: {', '.join(changes)}"


def _shown(value: Any) -> str:
    return "unknown" if value is None else str(value)
