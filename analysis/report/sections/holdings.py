"""What is in the lake: datasets, and models with their recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.charts.palette import UNKNOWN
from analysis.report.content import Content, Section, Source, TableView

if TYPE_CHECKING:
    from analysis.report.context import Context

_MODELS = "select model, pretraining, architecture, params, input_size, weight_decay, dropout, augmentation, finetune_lr from models order by model"
_DATASETS = "select dataset, role, samples, classes, benchmarks, format from datasets order by role, dataset"


def build(context: Context) -> Content:
    """Two tables; recipe columns that no model has are left out."""
    datasets: pl.DataFrame = context.lake.sql(_DATASETS).pl()
    datasets = datasets.with_columns(pl.col("benchmarks").list.join(", "))
    return Content(
        items=[
            TableView("datasets", "Datasets", "Roles: fit (detectors learn from it), id (ID test), ood, val (tunes).", datasets, _sql(context, _DATASETS)),
            TableView("models", "Models", f"Top-1 is the accuracy on the ID test set; the FPR columns are by {context.detectors[0]}, at 95 % TPR.", _models(context), _sql(context, _MODELS), ("top1",)),
        ]
    )  # fmt: skip


def _models(context: Context) -> pl.DataFrame:
    models: pl.DataFrame = context.lake.sql(_MODELS).pl()
    models = models.with_columns(pl.col("pretraining").fill_null(UNKNOWN))
    judged = context.results
    accuracy = judged.group_by("model").agg(top1=pl.col("accuracy").first())
    best = judged.filter(pl.col("detector") == context.detectors[0])
    fpr = best.select("model", "ood_dataset", "fpr95").pivot("ood_dataset", index="model", values="fpr95")
    fpr = fpr.rename({name: f"FPR {name}" for name in fpr.columns if name != "model"})
    joined = models.join(accuracy, on="model", how="left").join(fpr, on="model", how="left")
    known = [column.name for column in joined if column.null_count() < len(joined)]
    return joined.select(known).sort(
        "top1" if "top1" in known else "model", descending="top1" in known, nulls_last=True
    )


def _sql(context: Context, query: str) -> Source:
    return Source(f'featurestore sql "{query}" --lake {context.lake.location}', query, "sql")


SECTION = Section("holdings", "What is in the lake", 90, build)
