"""Whether a score that tells OOD tells a model's own mistakes, and whether its confidence is its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.report.section_items import SectionBody, findings
from analysis.report.sections.section import Section
from analysis.report.sentences import Number, hedge, sentence
from analysis.studies import risk_coverage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from analysis.report.context import Context
    from analysis.report.section_items import TableView

_QUESTION, _CALIBRATION = "selective_prediction", "miscalibration"


def build(context: Context) -> SectionBody:
    """The curves, and the numbers of the two questions."""
    figure = context.figure(
        risk_coverage,
        "Risk against coverage",
        "How often a model is wrong on the share of ID test samples that a detector trusts most: a mean over models. The lower, the better.",
        filters=("detector",),
    )
    if figure.frame.is_empty():
        why = "Own mistakes: the lake has no measures of selective prediction; `featurestore score` makes them where the ID test set has labels."
        return SectionBody(not_shown=[why])
    mistakes = context.answer(
        "selective-prediction",
        "Own mistakes against OOD",
        "By model and detector; place is by AUGRC, OOD place by AUROC.",
        _QUESTION,
    )
    calibration = context.answer(
        "miscalibration",
        "Confidence against accuracy",
        "ECE over fifteen bins; positive overconfidence: too sure.",
        _CALIBRATION,
    )
    return SectionBody(findings(_findings(mistakes), *mistakes.sql), [figure, mistakes, calibration])


def _findings(mistakes: TableView) -> Iterator[Markup]:
    """For how many models one detector is the best at both."""
    told = mistakes.frame.drop_nulls(["place", "ood_place"])
    both = told.group_by("model").agg(
        same=((pl.col("place") == 1) & (pl.col("ood_place") == 1)).any(), detectors=pl.len()
    )
    several = both.filter(pl.col("detectors") > 1)
    if len(several):
        same = int(several["same"].sum())
        yield sentence(
            "For {same} of {models} models, the detector that ranks its own mistakes best also tells OOD best."
            + hedge(len(several)),
            same=Number(same, str(same)),
            models=len(several),
        )


SECTION = Section("selective", "Does a score know a model's own mistakes?", 45, build)
