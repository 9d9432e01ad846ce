"""The ID ranks of all models on one OOD set, as arrays that can be combined."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analysis.ensembles.rank_selection import Ranks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from featurestore.lake import Lake

ENSEMBLE = "ensemble"
_MODELS = "select model, params, source, recipe from models"


@dataclass(frozen=True, slots=True)
class ModelRanks:
    """Models that one detector has scored on the same samples.

    Attributes:
        detector: The detector.
        models: Their names, from the most accurate on.
        params: Parameters of each, float [models]; NaN where unknown.
        ranks: Their ranks on each OOD set.
    """

    detector: str
    models: Sequence[str]
    params: NDArray[np.float64]
    ranks: dict[str, Ranks]


def read_ranks(lake: Lake, benchmark: str, detector: str) -> ModelRanks:
    """Read the ranks of every model that is no ensemble itself, and has scores on all datasets that any model has.

    Samples that one of the models could not read are left out for all, and scores that are stale.
    """
    lake = lake.current()
    scored = _scored(lake, benchmark).filter(pl.col("detector") == detector)
    id_dataset, ood = _judged(scored)
    counts = scored.filter(pl.col("dataset").is_in([id_dataset, *ood])).group_by("model").len()
    complete = counts.filter(pl.col("len") == 1 + len(ood))["model"].to_list()
    known = _described(lake, id_dataset).filter(pl.col("model").is_in(complete))
    models = known["model"].to_list()
    params = known["params"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    ranks = _ranks(lake, benchmark, detector, id_dataset=id_dataset, ood=ood, models=models) if models else {}
    return ModelRanks(detector, models, params, ranks)


def _scored(lake: Lake, benchmark: str) -> pl.DataFrame:
    """What has scores: columns model, detector, dataset, role."""
    manifests = lake.partitions("scores", benchmark=benchmark)
    # Scores without rows are of a dataset whose samples are all left out of the judging.
    parts = [(manifest, part) for manifest in manifests for part in manifest.parts if part.rows]
    keys = [(manifest.key["model"], part.key["detector"], manifest.key["dataset"]) for manifest, part in parts]
    roles: pl.DataFrame = lake.sql("select dataset, role from datasets").pl()
    held = pl.DataFrame(keys, dict.fromkeys(("model", "detector", "dataset"), pl.String), orient="row")
    return held.join(roles, on="dataset").sort("model", "detector", "dataset")


def _judged(scored: pl.DataFrame) -> tuple[str, list[str]]:
    """The ID test set, empty where there is none, and the OOD sets."""
    of = {role: sorted(set(scored.filter(pl.col("role") == role)["dataset"])) for role in ("id", "ood")}
    return next(iter(of["id"]), ""), of["ood"]


@dataclass(frozen=True, slots=True)
class StoredEnsemble:
    """A combination that `score --ensemble` made: a model of its own, with one detector.

    Attributes:
        name: The model that stands for it.
        detector: How its models were combined.
        models: How many.
        params: Parameters of all of them; NaN where unknown.
        ranks: Its ranks on each OOD set.
    """

    name: str
    detector: str
    models: int
    params: float
    ranks: dict[str, Ranks]

    def __str__(self) -> str:
        return f"{self.name} ({self.detector})"


def stored_ensembles(lake: Lake, benchmark: str) -> list[StoredEnsemble]:
    """Read the ensembles of a lake; scores that are stale are left out."""
    lake = lake.current()
    models: pl.DataFrame = lake.sql(_MODELS).pl()
    params: dict[str, float | None] = dict(models.select("model", "params").iter_rows())
    ensembles = models.filter(pl.col("source") == ENSEMBLE)
    recipes: dict[str, str | None] = dict(ensembles.select("model", "recipe").iter_rows())
    scored = _scored(lake, benchmark).filter(pl.col("model").is_in(list(recipes)))
    found = []
    for part in scored.partition_by("model", "detector", maintain_order=True):
        name, detector, *_ = part.row(0)
        id_dataset, ood = _judged(part)
        if not id_dataset:
            continue
        # A member is a model, or a model with a detector, as vit-b/msp; a model is one forward pass, however often it is in.
        named = json.loads(recipes[name] or "{}").get("ensemble_of", [])
        members = {str(member).partition("/")[0] for member in named}
        cost = sum(params.get(member) or np.nan for member in members)
        ranks = _ranks(lake, benchmark, detector, id_dataset=id_dataset, ood=ood, models=[name])
        found.append(StoredEnsemble(name, detector, len(members), cost, ranks))
    return found


def _ranks(
    lake: Lake, benchmark: str, detector: str, *, id_dataset: str, ood: Sequence[str], models: Sequence[str]
) -> dict[str, Ranks]:
    of_id, _ = _matrix(lake, benchmark, detector, id_dataset, models)
    ranks = {}
    for dataset in ood:
        of_ood, samples = _matrix(lake, benchmark, detector, dataset, models)
        names = lake.scan("samples", dataset=dataset).select("sample", "class_name").collect()
        named = pl.DataFrame({"sample": samples}).join(names, on="sample", how="left", maintain_order="left")
        classes = named["class_name"].fill_null("").to_numpy()
        ranks[dataset] = Ranks(of_id, of_ood, np.unique(classes, return_inverse=True)[1])
    return ranks


def _described(lake: Lake, id_dataset: str) -> pl.DataFrame:
    models: pl.DataFrame = lake.sql(_MODELS).pl()
    accuracy: pl.DataFrame = lake.sql("select model, dataset, top1 from accuracy").pl()
    of_id = accuracy.filter(pl.col("dataset") == id_dataset)
    single = models.filter(pl.col("source").ne_missing(ENSEMBLE))
    return single.join(of_id, on="model", how="left").sort("top1", "model", descending=[True, False], nulls_last=True)


def _matrix(
    lake: Lake, benchmark: str, detector: str, dataset: str, models: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The ranks, float32 [models, samples], and the samples that all models have."""
    scores = lake.scan("scores", benchmark=benchmark, dataset=dataset, detector=detector)
    frame = scores.select("model", "sample", "id_rank").collect()
    parts = {name: part for (name,), part in frame.group_by("model")}
    samples = parts[models[0]]["sample"].to_numpy()
    for name in models:
        if not np.array_equal(samples, of := parts[name]["sample"].to_numpy()):
            samples = np.intersect1d(samples, of)
    rows = []
    for name in models:
        part = parts[name].sort("sample")
        rows.append(part["id_rank"].to_numpy()[np.isin(part["sample"].to_numpy(), samples)].astype(np.float32))
    return np.stack(rows), np.sort(samples)
