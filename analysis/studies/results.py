"""What studies begin with: the metrics of one benchmark, with recipe and accuracy, or the scores of one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import polars as pl

from analysis.charts.palette import UNKNOWN
from featurestore.errors import MissingError
from featurestore.names import pick
from featurestore.sql_text import quote

if TYPE_CHECKING:
    from featurestore.lake import Lake

UNIT_TESTS = "unit-tests"
RECIPE = ("short_architecture", "pretraining", "weight_decay", "dropout", "stochastic_depth", "augmentation", "finetune_lr", "input_size")  # fmt: skip
Aggregation: TypeAlias = Literal["class_mean", "pooled", "class"]
METRICS = ("fpr95", "auroc", "aupr_in", "aupr_out")
INTERVALS = ("fpr95_low", "fpr95_high", "auroc_low", "auroc_high")
_COLUMNS = ("model", "detector", "ood_dataset", "ood_class", "n_ood", *METRICS, *INTERVALS, "accuracy")


def results(lake: Lake, benchmark: str, aggregation: Aggregation = "class_mean") -> pl.DataFrame:
    """One row per model, detector, OOD set and, with aggregation `class`, OOD class.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        aggregation: `class_mean`, `pooled` or `class`.

    Returns:
        Columns model, detector, ood_dataset, ood_class, n_ood, the metrics, the ends of their intervals, accuracy and the recipe; an unknown
        pretraining is "unknown".
    """
    where = f"benchmark = {quote(benchmark)} and aggregation = '{aggregation}'"
    query = f"select {', '.join(_COLUMNS + RECIPE)} from results where {where}"  # noqa: S608 # constants, and a quoted name
    frame: pl.DataFrame = lake.sql(query).pl()
    known = frame.with_columns(pl.col("pretraining").fill_null(UNKNOWN))
    return known.sort("ood_dataset", "detector", "model", "ood_class")


def _some_results(lake: Lake, benchmark: str) -> pl.DataFrame:
    frame = results(lake, benchmark)
    if frame.is_empty():
        raise MissingError(f"There are no metrics of benchmark {benchmark!r} yet: run `featurestore score` first.")
    return frame


def metric_sign(metric: str) -> int:
    """The sign that makes lower values of a metric the better ones, as in the macro of this name."""
    return 1 if metric == "fpr95" else -1


def metric_name(metric: str) -> str:
    """What sentences and axes call a metric."""
    return "FPR" if metric == "fpr95" else metric.upper().replace("_", "-")


def leading(frame: pl.DataFrame, metric: str = "fpr95") -> list[str]:
    """The detectors, those with the best mean of a metric first, and last those that have scored less than half as many models.

    So one combination of models, or a detector that was tried on one, does not lead.
    """
    counted = {"models": pl.col("model").n_unique()} if "model" in frame.columns else {"models": pl.col("models").max()}
    means = frame.group_by("detector").agg(pl.col(metric).mean(), **counted)
    rare = pl.col("models") * 2 < pl.col("models").max()
    return means.sort(rare, pl.col(metric).round(9) * metric_sign(metric), "detector", nulls_last=True)[
        "detector"
    ].to_list()


def by_sign(low: str, high: str, *, below: str, above: str, unclear: str) -> pl.Expr:
    """One text where the interval from column `low` to column `high` lies below 0, or above it, and another where neither."""
    clear = pl.when(pl.col(high) < 0).then(pl.lit(below)).when(pl.col(low) > 0).then(pl.lit(above))
    return clear.otherwise(pl.lit(unclear))


def best_detector(lake: Lake, benchmark: str) -> str:
    """The detector with the lowest mean FPR over models and OOD sets.

    Raises:
        MissingError: The benchmark has no metrics.
    """
    return leading(_some_results(lake, benchmark))[0]


def most_accurate(frame: pl.DataFrame) -> str:
    """The model with the highest accuracy; where none is known, the one with the lowest FPR."""
    means = frame.group_by("model").agg(pl.col("accuracy").max(), pl.col("fpr95").mean())
    return str(means.sort(["accuracy", "fpr95", "model"], descending=[True, False, False], nulls_last=True)["model"][0])


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
    lake = lake.current()
    frame = _some_results(lake, benchmark)
    chosen = pick("model", model, sorted(set(frame["model"]))) if model else most_accurate(frame)
    roles: pl.DataFrame = lake.sql("select dataset, role from datasets").pl()
    scores = lake.scan("scores", benchmark=benchmark, model=chosen).select("detector", "dataset", "score").collect()
    judged = scores.join(roles, on="dataset")
    of = {role: judged.filter(pl.col("role") == role).drop("role") for role in ("id", "ood")}
    return ModelScores(chosen, of["id"], of["ood"])
