"""The scores of one model, from the lake: what distributions and thresholds are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analysis.studies.results import most_accurate, results
from featurestore.errors import MissingError
from featurestore.names import pick

if TYPE_CHECKING:
    from featurestore.lake import Lake


@dataclass(frozen=True, slots=True)
class ModelScores:
    """The scores of one model by every detector.

    Attributes:
        model: The model.
        id: Columns detector, dataset, score: the ID test set.
        ood: The same of the OOD sets.
    """

    model: str
    id: pl.DataFrame
    ood: pl.DataFrame


def model_scores(lake: Lake, benchmark: str, model: str = "") -> ModelScores:
    """Read the scores of a model; without a name, of the most accurate.

    Raises:
        MissingError: The benchmark has no metrics, or no such model.
    """
    frame = results(lake, benchmark)
    if frame.is_empty():
        raise MissingError(f"There are no metrics of benchmark {benchmark!r} yet: run `featurestore score` first.")
    chosen = pick("model", model, sorted(set(frame["model"]))) if model else most_accurate(frame)
    roles: pl.DataFrame = lake.sql("select dataset, role from datasets").pl()
    scores = lake.scan("scores", benchmark=benchmark, model=chosen).select("detector", "dataset", "score").collect()
    judged = scores.join(roles, on="dataset")
    of = {role: judged.filter(pl.col("role") == role).drop("role") for role in ("id", "ood")}
    return ModelScores(chosen, of["id"], of["ood"])
