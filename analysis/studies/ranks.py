"""The ID ranks of all models on one OOD set, as arrays that can be combined."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analysis.ensembles.rank_selection import Ranks
from analysis.studies.results import leading, results
from featurestore.errors import MissingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from featurestore.lake import Lake

ENSEMBLE = "ensemble"


@dataclass(frozen=True, slots=True)
class ModelRanks:
    """Models that one detector has scored on the same samples.

    Attributes:
        detector: The detector.
        models: Their names, from the most accurate on.
        params: Parameters of each, float [models]; NaN where unknown.
        ranks: Their ranks on each OOD set.
        left_out: Models without scores on one of the datasets.
    """

    detector: str
    models: Sequence[str]
    params: NDArray[np.float64]
    ranks: dict[str, Ranks]
    left_out: int


def best_detector(lake: Lake, benchmark: str) -> str:
    """The detector with the lowest mean FPR over models and OOD sets.

    Raises:
        MissingError: The benchmark has no metrics.
    """
    frame = results(lake, benchmark)
    if frame.is_empty():
        raise MissingError(f"There are no metrics of benchmark {benchmark!r} yet: run `featurestore score` first.")
    return leading(frame)[0]


def read_ranks(lake: Lake, benchmark: str, detector: str) -> ModelRanks:
    """Read the ranks of every model that is no ensemble itself.

    Samples that one of the models could not read are left out for all.
    """
    roles: pl.DataFrame = lake.sql("select dataset, role from datasets").pl()
    of_id = roles.filter(pl.col("role") == "id")["dataset"].to_list()
    scored = [
        m.key
        for m in lake.partitions("scores", benchmark=benchmark)
        for part in m.parts
        if part.key["detector"] == detector
    ]
    ood = sorted({key["dataset"] for key in scored} & set(roles.filter(pl.col("role") == "ood")["dataset"]))
    id_dataset = next(iter(sorted({key["dataset"] for key in scored} & set(of_id))), "")
    complete = {key["model"] for key in scored}
    for dataset in (id_dataset, *ood):
        complete &= {key["model"] for key in scored if key["dataset"] == dataset}
    known = _described(lake, id_dataset).filter(pl.col("model").is_in(complete))
    models = known["model"].to_list()
    if not models:
        return ModelRanks(detector, [], np.empty(0), {}, 0)
    ranks = _ranks(lake, benchmark, detector, id_dataset=id_dataset, ood=ood, models=models)
    return ModelRanks(
        detector,
        models,
        known["params"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        ranks,
        len({key["model"] for key in scored}) - len(models),
    )


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
    """Read the ensembles of a lake."""
    models: pl.DataFrame = lake.sql("select model, params, source, recipe from models").pl()
    roles: dict[str, str] = dict(lake.sql("select dataset, role from datasets").fetchall())
    params: dict[str, float | None] = dict(models.select("model", "params").iter_rows())
    found = []
    for name, recipe in models.filter(pl.col("source") == ENSEMBLE).select("model", "recipe").iter_rows():
        # A member is a model, or a model with a detector, as vit-b/msp; a model is one forward pass, however often it is in.
        members = {str(member).partition("/")[0] for member in json.loads(recipe or "{}").get("ensemble_of", [])}
        held = {
            m.key["dataset"]: {part.key["detector"] for part in m.parts}
            for m in lake.partitions("scores", benchmark=benchmark, model=name)
        }
        id_dataset = next((dataset for dataset in sorted(held) if roles[dataset] == "id"), "")
        for detector in sorted(held.get(id_dataset, ())):
            ood = sorted(dataset for dataset in held if roles[dataset] == "ood" and detector in held[dataset])
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
    models: pl.DataFrame = lake.sql("select model, params, source from models").pl()
    accuracy: pl.DataFrame = lake.sql("select model, dataset, top1 from accuracy").pl()
    of_id = accuracy.filter(pl.col("dataset") == id_dataset)
    single = models.filter(pl.col("source").ne_missing(ENSEMBLE))
    return single.join(of_id, on="model", how="left").sort("top1", "model", descending=[True, False], nulls_last=True)


def _matrix(
    lake: Lake, benchmark: str, detector: str, dataset: str, models: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The ranks, float32 [models, samples], and the samples that all models have."""
    frame = (
        lake.scan("scores", benchmark=benchmark, dataset=dataset, detector=detector)
        .select("model", "sample", "id_rank")
        .collect()
    )
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
