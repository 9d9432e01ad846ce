"""Which detector suits which pretraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.report.content import Content, Figure, Section, TableView
from analysis.report.wording import Text, hedge, mean_interval, percent, sentence, share_span
from analysis.studies import detector_by_pretraining

if TYPE_CHECKING:
    from analysis.report.context import Context

_QUESTION = "best_detector"


def build(context: Context) -> Content:
    """The heatmap and its numbers; with a single detector, only those."""
    answer = context.ask(_QUESTION)
    table = TableView(
        "best-detector", "Detectors by pretraining", "Means over models; wins counts the models for which no detector has a lower FPR.",
        answer, context.question(_QUESTION), ("mean_fpr95",),
    )  # fmt: skip
    if len(context.detectors) == 1:
        return Content(
            _findings(context, answer),
            [table],
            [f"Detector by pretraining: there is only one detector, {context.detectors[0]}."],
        )
    figure = Figure(
        "detector-by-pretraining",
        "Detector by pretraining",
        "Mean FPR at 95 % TPR over the models of each pretraining: the paler, the better.",
        detector_by_pretraining.data(context.lake, context.benchmark),
        detector_by_pretraining.chart,
        context.script(detector_by_pretraining),
    )
    return Content(_findings(context, answer), [figure, table])


def _findings(context: Context, answer: pl.DataFrame) -> list[str]:
    """For each OOD set: the pretraining and detector with the lowest FPR, against the next detector there."""
    found = []
    for ood in context.ood[:3]:
        ranked = answer.filter(pl.col("ood_dataset") == ood).sort(pl.col("mean_fpr95").round(9), "detector")
        best = ranked.row(0, named=True)
        rivals = ranked.filter(pl.col("pretraining") == best["pretraining"], pl.col("detector") != best["detector"])
        values = context.results.filter(
            pl.col("ood_dataset") == ood,
            pl.col("pretraining") == best["pretraining"],
            pl.col("detector") == best["detector"],
        )["fpr95"].to_list()
        found.append(
            sentence(
                "On {ood}, models with pretraining {pretraining} and detector {detector} accept the least OOD: {fpr} at 95 % TPR "
                "({interval}, n = {models}{wins})" + _rival(rivals) + "." + hedge(best["models"]),
                ood=ood,
                pretraining=best["pretraining"],
                detector=best["detector"],
                fpr=percent(best["mean_fpr95"], f"{_QUESTION}.mean_fpr95"),
                interval=Text(share_span(*mean_interval(values))),
                models=best["models"],
                wins=Text(f", the best detector for {best['wins']} of them" if len(rivals) else ""),
            )
        )
    return found


def _rival(rivals: pl.DataFrame) -> str:
    if rivals.is_empty():
        return ""
    worst = rivals.row(-1, named=True)
    return sentence(
        "; with {detector} it is {fpr}",
        detector=worst["detector"],
        fpr=percent(worst["mean_fpr95"], f"{_QUESTION}.mean_fpr95"),
    )


SECTION = Section("detectors", "Which detector for which pretraining", 20, build)
