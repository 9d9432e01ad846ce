"""Soups against the models that they were averaged from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.report.section_items import SectionBody
from analysis.report.sections.section import Section
from analysis.report.sentences import Number, hedge, points, sentence
from analysis.studies import soups

if TYPE_CHECKING:
    from markupsafe import Markup

    from analysis.report.context import Context


def build(context: Context) -> SectionBody:
    """The soups that have scored ingredients."""
    frame = soups.data(context.lake, context.benchmark).filter(pl.col("part").n_unique().over("soup") == 2)
    if frame.is_empty():
        why = "Soups: no model of averaged weights (`extract --soup`) is scored together with its ingredients."
        return SectionBody(not_shown=[why])
    figure = context.figure(
        soups,
        "Soups and their ingredients",
        "The diamond is the model of averaged weights; the dots are the models that it was averaged from.",
        frame,
        filters=(),
    )
    return SectionBody(_findings(context, frame), [figure])


def _findings(context: Context, frame: pl.DataFrame) -> list[Markup]:
    own = frame.filter(pl.col("part") == "soup", pl.col("detector") == context.best_detector)
    return [
        sentence(
            "On {ood}, {better} of {soups} soups accept less OOD than their ingredients do on average; the mean gain is {gain} "
            "points (by {detector})." + hedge(len(part), "soups"),
            ood=str(ood),
            better=Number(better := part.filter(pl.col("gain") > 0).height, str(better)),
            soups=len(part),
            gain=points(float(part["gain"].to_numpy().mean())),
            detector=context.best_detector,
        )
        for (ood,), part in own.group_by("ood_dataset", maintain_order=True)
    ]


SECTION = Section("soups", "Soups", 60, build)
