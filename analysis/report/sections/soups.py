"""Soups against the models that they were averaged from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import polars as pl

from analysis.report.section_items import SectionBody, findings
from analysis.report.sections.section import Section
from analysis.report.sentences import Number, Text, hedge, mean_interval, points, sentence, span
from analysis.studies import soups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from analysis.report.context import Context

_NO_GAIN = 0.001
"""The last digit that a percentage is shown with."""


def build(context: Context) -> SectionBody:
    """The soups that have scored ingredients."""
    figure = context.figure(
        soups,
        "Soups and their ingredients",
        "The diamond is the model of averaged weights; the dots are the models that it was averaged from.",
        lambda: soups.data(context.lake, context.benchmark).filter(pl.col("part").n_unique().over("soup") == 2),
        filters=(),
    )
    if figure.frame.is_empty():
        why = "Soups: no model of averaged weights (`extract --soup`) is scored together with its ingredients."
        return SectionBody(not_shown=[why])
    return SectionBody(findings(_findings(context, figure.frame), *figure.sql), [figure])


def _findings(context: Context, frame: pl.DataFrame) -> list[Markup]:
    own = frame.filter(pl.col("part") == "soup", pl.col("detector") == context.best_detector)
    return [
        _finding(str(ood), part, context.best_detector)
        for (ood,), part in own.group_by("ood_dataset", maintain_order=True)
    ]


def _finding(ood: str, soups: pl.DataFrame, detector: str) -> Markup:
    """The gain over soups, where those that share ingredients count once, by their mean."""
    gains = soups.group_by("group", maintain_order=True).agg(pl.col("gain").mean())["gain"].to_list()
    better = soups.filter(pl.col("gain") >= _NO_GAIN).height
    return sentence(
        "On {ood}, {better} of {soups} soups accept less OOD than their ingredients do on average; "
        + _verdict(gains)
        + " ({interval}{groups}, by {detector})."
        + hedge(len(gains), "soups" if len(gains) == len(soups) else "groups of soups"),
        ood=ood,
        better=Number(better, str(better)),
        soups=len(soups),
        gain=points(math.fsum(gains) / len(gains)),
        interval=Text(span(*mean_interval(gains))),
        groups=Text(_groups(len(gains), len(soups))),
        detector=detector,
    )


def _groups(groups: int, soups: int) -> str:
    """What the values are, where they are not single soups."""
    if groups == soups:
        return ""
    return f" over {groups} groups that share no ingredient" if groups > 1 else ", as all share ingredients"


def _verdict(gains: Sequence[float]) -> str:
    """Whether the mean gain is one, by its interval over soups."""
    low, high = mean_interval(gains)
    if low is None or high is None:
        return "the gain is {gain} points"
    if low > 0 or high < 0:
        return "the mean gain is {gain} points"
    return "that there is a gain cannot be told: {gain} points on average"


SECTION = Section("soups", "Do soups detect better than their ingredients?", 60, build)
