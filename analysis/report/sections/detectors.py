"""Which detector suits which pretraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.report.section_items import SectionBody, findings
from analysis.report.sections.section import Section
from analysis.report.sentences import Text, hedge, left_out, percent, points, sentence, span
from analysis.studies import detector_by_pretraining, detector_ranks
from analysis.studies.results import metric_sign

if TYPE_CHECKING:
    from markupsafe import Markup

    from analysis.report.context import Context

_QUESTION = "best_detector"
_MOST = 3
_UNRANKED = "Which detectors are told apart: it takes two checkpoints, with ranks that are not all ties."
_VERDICTS = {1: "accept the least OOD: {value} at 95 % TPR", -1: "have the highest {metric}: {value}"}
"""By the sign of the metric: of one that falls as detection improves, and of others."""


def build(context: Context) -> SectionBody:
    """The heatmap and its numbers; with a single detector, only those."""
    caption = f"Means over models; wins counts the models for which no detector is better by {context.metric}."
    table = context.answer("best-detector", "The same in numbers", caption, _QUESTION, (f"mean_{context.metric}",))
    told = findings((_finding(context, table.frame, ood) for ood in context.ood[:_MOST]), *table.sql)
    not_shown = left_out("Sentences on the best detector", context.ood, _MOST)
    if len(context.detectors) == 1:
        alone = f"Detector by pretraining: there is only one detector, {context.best_detector}."
        return SectionBody(told, [table], [alone, *not_shown])
    figure = context.figure(
        detector_by_pretraining,
        "Detector by pretraining",
        "Mean FPR at 95 % TPR over the models of each pretraining: the paler, the better.",
    )
    ranks = context.answer(
        "ranks",
        "Ranks over models and OOD sets",
        "1 is the best. Alike: not told apart by Friedman's test and Holm-corrected pairs; finetunes of one checkpoint count once.",
        "detector_ranks",
    )
    apart = context.figure(
        detector_ranks,
        "Which detectors are told apart",
        "Mean ranks over checkpoints and OOD sets, 1 is the best; a grey bar joins detectors that are not told apart (Friedman's test, then "
        "all pairs, corrected by Holm).",
        filters=(),
        metric=context.metric,
    )
    drawn, why = (
        ([apart], []) if context.detectors[1:] and apart.frame["statistic"].is_not_null().any() else ([], [_UNRANKED])
    )
    return SectionBody(told, [figure, table, *drawn, ranks], [*not_shown, *why])


def _finding(context: Context, answer: pl.DataFrame, ood: str) -> Markup:
    """The pretraining and detector with the best metric on an OOD set, against the next detector there."""
    column, sign = f"mean_{context.metric}", metric_sign(context.metric)
    of_set = answer.filter(pl.col("ood_dataset") == ood)
    ranked = of_set.sort(pl.col(column).round(9) * sign, "detector", nulls_last=True)
    best = ranked.row(0, named=True)
    if best[column] is None:
        return sentence("On {ood}, no model has the metric {metric}.", ood=ood, metric=context.metric)
    # Each checkpoint counts once: finetunes of one are not independent.
    same = of_set.filter(pl.col("pretraining") == best["pretraining"])
    leader = same.filter(pl.col("behind").is_null()).sort(pl.col(column).round(9) * sign, "detector").row(0, named=True)
    rivals = same.filter(pl.col("behind").is_not_null()).sort(pl.col("behind").round(9), "detector")
    return sentence(
        "On {ood}, models with pretraining {pretraining} and detector {detector} " + _VERDICTS[sign] + " "
        "(n = {models} from {checkpoints} {checkpoint}{wins}){rival}." + hedge(leader["checkpoints"], "checkpoints"),
        ood=ood,
        pretraining=leader["pretraining"],
        detector=leader["detector"],
        metric=context.metric,
        value=percent(leader[column], _source(context.metric)),
        models=leader["models"],
        checkpoints=leader["checkpoints"],
        checkpoint=Text("checkpoint" if leader["checkpoints"] == 1 else "checkpoints"),
        wins=Text(f", the best detector for {leader['wins']} of them" if len(rivals) else ""),
        rival=_rival(context, rivals),
    )


def _source(metric: str) -> str:
    """Where the question has the mean of a metric: by its name, or, of the others, as the one that is asked for."""
    return f"{_QUESTION}.{f'mean_{metric}' if metric in {'fpr95', 'auroc'} else 'mean_value'}"


def _rival(context: Context, rivals: pl.DataFrame) -> Markup | Text:
    """How far the next detector is behind, over checkpoints; or that the two cannot be told apart."""
    if rivals.is_empty():
        return Text()
    second = rivals.row(0, named=True)
    low, high = second["behind_low"], second["behind_high"]
    verdict = "; with the next, {detector}, it is {value}, a difference of {difference} points ({interval})"
    unclear = "; it cannot be told apart from the next, {detector}, with {value} (difference: {interval})"
    return sentence(
        verdict if second["verdict"] == "behind" else unclear,
        detector=second["detector"],
        value=percent(second[f"mean_{context.metric}"], _source(context.metric)),
        difference=points(second["behind"], f"{_QUESTION}.behind"),
        interval=Text(span(low, high) + (", widened since the best was chosen" if low is not None else "")),
    )


SECTION = Section("detectors", "Which detector for which pretraining?", 20, build)
