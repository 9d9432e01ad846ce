"""Which detector suits which pretraining."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import polars as pl

from analysis.report.section_items import SectionBody
from analysis.report.sections.section import Section
from analysis.report.sentences import Text, hedge, left_out, mean_interval, percent, points, sentence, share_span, span
from analysis.studies import detector_by_pretraining
from analysis.studies.results import metric_sign

if TYPE_CHECKING:
    from markupsafe import Markup

    from analysis.report.context import Context

_QUESTION = "best_detector"
_MOST = 3
_VERDICTS = {1: "accept the least OOD: {value} at 95 % TPR", -1: "have the highest {metric}: {value}"}
"""By the sign of the metric: of one that falls as detection improves, and of others."""


def build(context: Context) -> SectionBody:
    """The heatmap and its numbers; with a single detector, only those."""
    caption = f"Means over models; wins counts the models for which no detector is better by {context.metric}."
    table = context.answer("best-detector", "Detectors by pretraining", caption, _QUESTION, (f"mean_{context.metric}",))
    findings = [_finding(context, table.frame, ood) for ood in context.ood[:_MOST]]
    not_shown = left_out("Sentences on the best detector", context.ood, _MOST)
    if len(context.detectors) == 1:
        alone = f"Detector by pretraining: there is only one detector, {context.best_detector}."
        return SectionBody(findings, [table], [alone, *not_shown])
    figure = context.figure(
        detector_by_pretraining,
        "Detector by pretraining",
        "Mean FPR at 95 % TPR over the models of each pretraining: the paler, the better.",
        detector_by_pretraining.data(context.lake, context.benchmark),
    )
    return SectionBody(findings, [figure, table], not_shown)


def _finding(context: Context, answer: pl.DataFrame, ood: str) -> Markup:
    """The pretraining and detector with the best metric on an OOD set, against the next detector there."""
    column, sign = f"mean_{context.metric}", metric_sign(context.metric)
    of_set = answer.filter(pl.col("ood_dataset") == ood)
    ranked = of_set.sort(pl.col(column).round(9) * sign, "detector", nulls_last=True)
    best = ranked.row(0, named=True)
    if best[column] is None:
        return sentence("On {ood}, no model has the metric {metric}.", ood=ood, metric=context.metric)
    same = pl.col("pretraining") == best["pretraining"]
    rivals = ranked.filter(same, pl.col("detector") != best["detector"], pl.col(column).is_not_null())
    own = context.results.filter(same, pl.col("ood_dataset") == ood)
    choices = ranked["pretraining"].n_unique() * math.comb(len(rivals) + 1, 2)
    of_best = own.filter(pl.col("detector") == best["detector"])[context.metric].drop_nulls()
    return sentence(
        "On {ood}, models with pretraining {pretraining} and detector {detector} " + _VERDICTS[sign] + " "
        "({interval}, n = {models}{wins}){rival}." + hedge(best["models"]),
        ood=ood,
        pretraining=best["pretraining"],
        detector=best["detector"],
        metric=context.metric,
        value=percent(best[column], _source(context.metric)),
        interval=Text(share_span(*mean_interval(of_best.to_list()))),
        models=best["models"],
        wins=Text(f", the best detector for {best['wins']} of them" if len(rivals) else ""),
        rival=_rival(context, own, best, rivals, choices),
    )  # fmt: skip


def _source(metric: str) -> str:
    """Where the question has the mean of a metric: by its name, or, of the others, as the one that is asked for."""
    return f"{_QUESTION}.{f'mean_{metric}' if metric in {'fpr95', 'auroc'} else 'mean_value'}"


def _rival(
    context: Context, own: pl.DataFrame, best: dict[str, Any], rivals: pl.DataFrame, choices: int
) -> Markup | Text:
    """How far the next detector is behind, over the models that have both; or that the two cannot be told apart."""
    if rivals.is_empty():
        return Text()
    column = f"mean_{context.metric}"
    second = rivals.row(0, named=True)
    by_model = own.filter(pl.col("detector").is_in([best["detector"], second["detector"]])).pivot(
        "detector", index="model", values=context.metric
    )
    differences = (by_model[second["detector"]] - by_model[best["detector"]]).drop_nulls().to_list()
    low, high = mean_interval(differences, choices) if differences else (None, None)
    told = low is not None and high is not None and (low > 0 or high < 0)
    verdict = "; with the next, {detector}, it is {value}, a difference of {difference} points ({interval})"
    unclear = "; it cannot be told apart from the next, {detector}, with {value} ({interval} of the difference)"
    return sentence(
        verdict if told else unclear,
        detector=second["detector"],
        value=percent(second[column], _source(context.metric)),
        difference=points(math.fsum(differences) / len(differences)) if differences else "",
        interval=Text(span(low, high) + (", widened since the best was chosen" if low is not None else "")),
    )


SECTION = Section("detectors", "Which detector for which pretraining", 20, build)
