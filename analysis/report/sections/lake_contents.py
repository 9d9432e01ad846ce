"""What is in the lake: datasets, and models with their recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.charts.palette import UNKNOWN
from analysis.report.section_items import SectionBody
from analysis.report.sections.section import Section

if TYPE_CHECKING:
    from analysis.report.context import Context

_MODELS = "select model, pretraining, short_architecture, params, input_size, weight_decay, dropout, augmentation, finetune_lr from models order by model"
_DATASETS = "select dataset, role, samples, classes, benchmarks, format from datasets order by role, dataset"


def build(context: Context) -> SectionBody:
    """Two tables; recipe columns that no model has are left out."""
    datasets: pl.DataFrame = context.lake.sql(_DATASETS).pl().with_columns(pl.col("benchmarks").list.join(", "))
    roles = f"Roles: fit (detectors learn from it), id (ID test), ood, val (tunes).{_left_out(context)}"
    columns = f"Top-1 is the accuracy on the ID test set; the FPR columns are by {context.best_detector}, at 95 % TPR."
    return SectionBody(
        items=[
            context.table("datasets", "Datasets", roles, datasets, query=_DATASETS),
            context.table("models", "Models", columns, _models(context), query=_MODELS, shares=("top1",)),
        ],
        not_shown=list(context.rests_on),
    )


def _left_out(context: Context) -> str:
    """What to say where not all images judge."""
    setting = f"from benchmarks select without_overlaps where benchmark = '{context.benchmark}'"
    if context.lake.sql(setting).fetchall() != [(True,)]:
        return ""
    return " ID and OOD images that are also in a dataset of another role are left out of the judging."


def _models(context: Context) -> pl.DataFrame:
    models: pl.DataFrame = context.lake.sql(_MODELS).pl().with_columns(pl.col("pretraining").fill_null(UNKNOWN))
    accuracy = context.results.group_by("model").agg(top1=pl.col("accuracy").first())
    best = context.results.filter(pl.col("detector") == context.best_detector)
    fpr = best.select("model", "ood_dataset", "fpr95").pivot("ood_dataset", index="model", values="fpr95")
    fpr = fpr.rename({name: f"FPR {name}" for name in fpr.columns if name != "model"})
    joined = models.join(accuracy, on="model", how="left").join(fpr, on="model", how="left")
    known = [column.name for column in joined if column.null_count() < len(joined)]
    first = "top1" if "top1" in known else "model"
    return joined.select(known).sort(first, descending=first == "top1", nulls_last=True)


SECTION = Section("lake-contents", "What is in the lake", 90, build)
