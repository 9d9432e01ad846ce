"""Accuracy against FPR, and how closely they go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.report.section_items import SectionBody
from analysis.report.sections.section import Section
from analysis.report.sentences import FEW, Text, correlation, hedge, sentence, span
from analysis.studies import accuracy_vs_fpr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from analysis.report.context import Context

_QUESTION = "accuracy_fpr_correlation"
_ALL = "all"


def build(context: Context) -> SectionBody:
    """The scatter and the correlations."""
    frame = accuracy_vs_fpr.data(context.lake, context.benchmark)
    if frame.is_empty():
        why = "Accuracy against FPR: no model's accuracy is known, since the ID test set has no labels."
        return SectionBody(not_shown=[why])
    figure = context.figure(
        accuracy_vs_fpr,
        "Accuracy against FPR",
        "Each point is a model with a detector; lower is better. FPR is the share of OOD samples accepted at the threshold "
        "that accepts 95 % of ID test samples, averaged over the OOD classes. Hover for the recipe; click a legend entry "
        "to single it out.",
        frame,
    )
    models = frame["model"].n_unique()
    if models < FEW:
        few = f"Correlation of accuracy and FPR: it takes {FEW} models, the lake has {models}."
        return SectionBody(items=[figure], not_shown=[few])
    caption = "Over models; below zero, more accurate models accept less OOD."
    table = context.answer("correlation", "Correlation of accuracy and FPR", caption, _QUESTION)
    return SectionBody(list(_findings(context, table.frame)), [figure, table])


def _findings(context: Context, answer: pl.DataFrame) -> Iterator[Markup]:
    """For each OOD set, by the best detector: whether the interval of the rank correlation excludes zero."""
    of_best = pl.col("detector") == context.best_detector
    best = answer.filter(of_best, pl.col("pretraining") == _ALL, pl.col("spearman").is_not_null())
    for row in best.head(3).iter_rows(named=True):
        low, high = row["spearman_low"], row["spearman_high"]
        yield sentence(
            _verdict(low, high) + " (Spearman {rho}, {interval}, n = {models} models, by {detector})." + hedge(row["models"]),
            ood=row["ood_dataset"],
            rho=correlation(row["spearman"], f"{_QUESTION}.spearman"),
            interval=Text(span(low, high, shares=False)),
            models=row["models"],
            detector=row["detector"],
        )  # fmt: skip


def _verdict(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "On {ood}, the models are too few to say how accuracy and FPR go together"
    if high < 0:
        return "On {ood}, more accurate models accept <em>less</em> OOD"
    if low > 0:
        return "On {ood}, more accurate models accept <em>more</em> OOD"
    return "On {ood}, accuracy does not tell how much OOD a model accepts"


SECTION = Section("accuracy", "Accuracy and detection", 10, build)
