"""What a lake says of an ensemble: its row in `models`, with members, combinations and weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analysis.ensembles.combining import WEIGHTED
from analysis.ensembles.ensemble import SOURCE, is_ensemble
from featurestore.errors import InputError
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.ensembles.ensemble import Ensemble
    from analysis.lineage.benchmark import Benchmark
    from featurestore.lake import Lake


def ensembles_of(lake: Lake) -> dict[str, dict[str, Any]]:
    """The recipes of the ensembles in a lake, by name."""
    return {
        manifest.key["model"]: json.loads(str(manifest.parts[0].ingredients["recipe"]))
        for manifest in lake.partitions("models")
        if is_ensemble(manifest.parts[0].ingredients)
    }


def check_name(lake: Lake, ensemble: Ensemble) -> None:
    """Raise if an ensemble cannot have that name.

    Raises:
        InputError: The name is taken by a model, or by an ensemble of other members; or a member is an ensemble.
    """
    models = {manifest.key["model"]: manifest for manifest in lake.partitions("models")}
    for member in ensemble.members:
        if member.model in models and is_ensemble(models[member.model].parts[0].ingredients):
            raise InputError(f"{member.model} is an ensemble itself: name its members in its place.")
    held = models.get(ensemble.name)
    if held is None:
        return
    ingredients = held.parts[0].ingredients
    if not is_ensemble(ingredients):
        raise InputError(f"{ensemble.name} is the name of a model: give the ensemble another name.")
    if ingredients["ensemble_of"] != [str(member) for member in ensemble.members]:
        listed = ingredients["ensemble_of"]
        names = ", ".join(map(str, listed)) if isinstance(listed, list) else ""
        raise InputError(f"The ensemble {ensemble.name} is one of {names}: give this one another name.")


def is_described(lake: Lake, benchmark: Benchmark, ensemble: Ensemble) -> bool:
    """Whether the ensemble's row says that, and in a benchmark how, it is combined as now."""
    recipe = ensembles_of(lake).get(ensemble.name, {})
    weighted = ensemble.combine == WEIGHTED
    told = not weighted or (benchmark.name in recipe.get("weights", {}) and recipe["tuned_on"] == ensemble.tuned_on)
    return told and ensemble.combine in recipe.get("combine", [])


def describe(lake: Lake, benchmark: Benchmark, ensemble: Ensemble, weights: NDArray[np.float64]) -> None:
    """Write the ensemble's row in `models`, or add to it how it is combined now.

    Args:
        lake: The lake.
        benchmark: A benchmark.
        ensemble: The ensemble.
        weights: Of each member there, float64, shape [members].
    """
    recipe: dict[str, Any] = {"ensemble_of": [str(member) for member in ensemble.members]}
    held = ensembles_of(lake).get(ensemble.name, {})
    recipe["combine"] = sorted({*held.get("combine", []), ensemble.combine})
    recipe["tuned_on"] = ensemble.tuned_on or held.get("tuned_on")
    recipe["weights"] = dict(held.get("weights", {}))
    if ensemble.combine == WEIGHTED:
        recipe["weights"][benchmark.name] = weights.tolist()
    text = json.dumps(recipe, sort_keys=True)
    row = dict.fromkeys(TABLES["models"].columns.names) | {"source": SOURCE, "recipe": text}
    ingredients = {"ensemble_of": recipe["ensemble_of"], "recipe": text}
    target = writing.Target(TABLES["models"], {"model": ensemble.name}, ingredients, {})
    rows = pa.Table.from_pylist([row], TABLES["models"].columns)
    writing.write_part(lake.storage, target, rows, replacing=True)
