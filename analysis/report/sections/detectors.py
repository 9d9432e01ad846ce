"""Which detector suits which pretraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.report.section_items import SectionBody
from analysis.report.sections.section import Section
from analysis.report.sentences import Text, hedge, mean_interval, percent, sentence, share_span
from analysis.studies import detector_by_pretraining

if TYPE_CHECKING:
    from markupsafe import Markup

    from analysis.report.context import Context

_QUESTION = "best_detector"


def build(context: Context) -> SectionBody:
    """The heatmap and its numbers; with a single detector, only those."""
    caption = "Means over models; wins counts the models for which no detector has a lower FPR."
    table = context.answer("best-detector", "Detectors by pretraining", caption, _QUESTION, ("mean_fpr95",))
    findings = [_finding(context, table.frame, ood) for ood in context.ood[:3]]
    if len(context.detectors) == 1:
        alone = f"Detector by pretraining: there is only one detector, {context.best_detector}."
        return SectionBody(findings, [table], [alone])
    figure = context.figure(
        detector_by_pretraining,
        "Detector by pretraining",
        "Mean FPR at 95 % TPR over the models of each pretraining: the paler, the better.",
        detector_by_pretraining.data(context.lake, context.benchmark),
    )
    return SectionBody(findings, [figure, table])


def _finding(context: Context, answer: pl.DataFrame, ood: str) -> Markup:
    """The pretraining and detector with the lowest FPR on an OOD set, against the next detector there."""
    ranked = answer.filter(pl.col("ood_dataset") == ood).sort(pl.col("mean_fpr95").round(9), "detector")
    best = ranked.row(0, named=True)
    same = pl.col("pretraining") == best["pretraining"]
    rivals = ranked.filter(same, pl.col("detector") != best["detector"])
    own = context.results.filter(same, pl.col("ood_dataset") == ood, pl.col("detector") == best["detector"])
    return sentence(
        "On {ood}, models with pretraining {pretraining} and detector {detector} accept the least OOD: {fpr} at 95 % TPR "
        "({interval}, n = {models}{wins}){rival}." + hedge(best["models"]),
        ood=ood,
        pretraining=best["pretraining"],
        detector=best["detector"],
        fpr=percent(best["mean_fpr95"], f"{_QUESTION}.mean_fpr95"),
        interval=Text(share_span(*mean_interval(own["fpr95"].to_list()))),
        models=best["models"],
        wins=Text(f", the best detector for {best['wins']} of them" if len(rivals) else ""),
        rival=_rival(rivals),
    )


def _rival(rivals: pl.DataFrame) -> Markup | Text:
    if rivals.is_empty():
        return Text()
    worst = rivals.row(-1, named=True)
    fpr = percent(worst["mean_fpr95"], f"{_QUESTION}.mean_fpr95")
    return sentence("; with {detector} it is {fpr}", detector=worst["detector"], fpr=fpr)


SECTION = Section("detectors", "Which detector for which pretraining", 20, build)
