"""Accuracy against FPR, and how closely they go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from analysis.report.section_items import SectionBody, findings
from analysis.report.sections.section import Section
from analysis.report.sentences import FEW, Text, clustered, correlation, hedge, other_sign, sentence, span
from analysis.studies import accuracy_correlation, accuracy_vs_fpr
from analysis.studies.results import metric_name, metric_sign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from analysis.report.context import Context

_QUESTION = "accuracy_fpr_correlation"
_ALL, _WITHIN = "all", "pooled within"
_SIDES = {1: "below", -1: "above"}
"""By the sign of the metric: of one that falls as detection improves, and of others."""


def build(context: Context) -> SectionBody:
    """The scatter and the correlations."""
    figure = context.figure(
        accuracy_vs_fpr,
        f"Accuracy against FPR and {metric_name('auroc' if context.metric == 'fpr95' else context.metric)}",
        "Each point is a model; a low FPR is good, and so is a high value of any other metric. Means over the OOD classes, with their 95 % intervals where the models are few enough. Hover for the recipe.",
        filters=("pretraining",),
    )
    if figure.frame.is_empty():
        why = "Accuracy against FPR: no model's accuracy is known, since the ID test set has no labels."
        return SectionBody(not_shown=[why])
    models = figure.frame["model"].n_unique()
    if models < FEW:
        few = (
            f"Correlation of accuracy and {metric_name(context.metric)}: it takes {FEW} models, the lake has {models}."
        )
        return SectionBody(items=[figure], not_shown=[few])
    caption = (
        f"Spearman's correlation over models with its 95 % interval; {_SIDES[metric_sign(context.metric)]} zero, more accurate models tell OOD "
        "better from ID. Pooled within: each model less the mean of its pretraining, so that what pretrainings differ in makes no correlation."
    )
    name = metric_name(context.metric)
    drawn = context.figure(
        accuracy_correlation, f"How closely accuracy and {name} go together", caption, filters=(), metric=context.metric
    )
    table = context.answer("correlation", f"Correlation of accuracy and {name}", "Over models.", _QUESTION)
    return SectionBody(findings(_findings(context, table.frame), *table.sql), [drawn, figure, table])


def _findings(context: Context, answer: pl.DataFrame) -> Iterator[Markup]:
    """For each OOD set, by the best detector: what holds among models of equal pretraining, and whether all models say so."""
    best = answer.filter(pl.col("detector") == context.best_detector, pl.col("spearman").is_not_null())
    all_models = {row["ood_dataset"]: row for row in best.filter(pretraining=_ALL).iter_rows(named=True)}
    within = {row["ood_dataset"]: row for row in best.filter(pretraining=_WITHIN).iter_rows(named=True)}
    for ood in list(all_models)[:3]:
        yield _finding(within.get(ood), all_models[ood], context.metric)


def _finding(within: dict[str, Any] | None, all_models: dict[str, Any], metric: str = "fpr95") -> Markup:
    row = within or all_models
    among = ", among models of equal pretraining" if within else ", over all models, whatever their pretraining"
    return sentence(
        _verdict(row["verdict"], among, metric)
        + " (Spearman {rho}, {interval}, n = {count}{clustered}, by {detector})."
        + hedge(row["n"], "values")
        + other_sign(within["spearman"] if within else None, all_models["spearman"]),
        ood=row["ood_dataset"],
        rho=correlation(row["spearman"], f"{_QUESTION}.spearman"),
        interval=Text(span(row["spearman_low"], row["spearman_high"], shares=False)),
        count=row["n"],
        clustered=clustered(row["n"], row["models"]),
        detector=row["detector"],
        over_all=correlation(all_models["spearman"], f"{_QUESTION}.spearman"),
    )


def _verdict(verdict: str, among: str, metric: str) -> str:
    """What the question's verdict says, as a sentence."""
    name = metric_name(metric)
    lower, higher = ("accept <em>less</em> OOD", "accept <em>more</em> OOD") if metric_sign(metric) > 0 else (f"have a <em>lower</em> {name}", f"have a <em>higher</em> {name}")  # fmt: skip
    told = {
        "falls": f"more accurate ones {lower}",
        "rises": f"more accurate ones {higher}",
        "weaker than 0.5": f"accuracy and {name} hardly go together: their correlation is weaker than 0.5",
    }
    return f"On {{ood}}{among}, {told.get(verdict, f'there are too few to tell how accuracy and {name} go together')}"


SECTION = Section("accuracy", "Do more accurate models detect better?", 10, build)
