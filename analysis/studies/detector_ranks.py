"""Ranks of detectors over models and OOD sets, and which of them are not told apart: a critical-difference plot.

Run it with `python -m analysis.studies.detector_ranks --lake LAKE --out ranks.html`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import COLOURS, GREY, single_panel, tooltips
from analysis.studies.command import run

if TYPE_CHECKING:
    from featurestore.lake import Lake


def data(lake: Lake, benchmark: str = "main", metric: str = "fpr95", ood: str = "all") -> pl.DataFrame:
    """One row per detector, the best first, and one per group of detectors that are not told apart.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        metric: The metric that ranks: fpr95, auroc, aupr_in or aupr_out.
        ood: One OOD set, or all.

    Returns:
        The columns of the question `detector_ranks` but for lists, null in rows of groups; low and high: the best and the worst mean
        rank of a group, null in rows of detectors; and group: its detectors.
    """
    answer: pl.DataFrame = lake.ask("detector_ranks", benchmark=benchmark, metric=metric, ood=ood).pl()
    groups = pl.DataFrame(_groups(answer), {"low": pl.Float64, "high": pl.Float64, "group": pl.String}, orient="row")
    return pl.concat([answer.drop("alike"), groups], how="diagonal")


def _groups(answer: pl.DataFrame) -> list[tuple[float, float, str]]:
    """Runs of detectors, one after the other by rank, of which no two are told apart, and that are in no longer run."""
    names, means = answer["detector"].to_list(), answer["mean_rank"].to_list()
    alike = [set(of) for of in answer["alike"].to_list()]
    found, reached = [], 0
    for first in range(len(names)):
        last = first
        while last + 1 < len(names) and all(names[last + 1] in alike[at] for at in range(first, last + 1)):
            last += 1
        if last > first and last > reached:
            found.append((means[first], means[last], ", ".join(names[first : last + 1])))
            reached = last
    return found


def chart(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """A dot per detector at its mean rank, the best at the top; below, each bar joins detectors that are not told apart."""
    names = frame["detector"].drop_nulls().to_list()
    rows = [*names, *frame["group"].drop_nulls().to_list()]
    known = alt.Axis(
        grid=False,
        domain=False,
        ticks=False,
        labelExpr=f"indexof({json.dumps(names)}, datum.value) < 0 ? '' : datum.label",
    )
    base = alt.Chart(frame).transform_calculate(row="isValid(datum.detector) ? datum.detector : datum.group")
    x = alt.X(
        "mean_rank:Q",
        title="Mean rank (1 is best)",
        scale=alt.Scale(domain=[1, max(2, len(names))]),
    )
    y = alt.Y("row:N", sort=rows, title=None, axis=known)
    numbers = dict.fromkeys(("mean_rank", "mean_value", "p"), ".3f")
    bars = (
        base.transform_filter("isValid(datum.group)")
        .mark_rule(strokeWidth=5, strokeCap="round", color=GREY)
        .encode(x=alt.X("low:Q"), x2="high:Q", y=y, tooltip=["group"])
    )
    dots = (
        base.transform_filter("isValid(datum.detector)")
        .mark_point(filled=True, size=70, color=COLOURS[0])
        .encode(x=x, y=y, tooltip=tooltips(("detector", "mean_rank", "mean_value", "checkpoints", "models", "ood_datasets", "told_apart", "p"), numbers))
    )  # fmt: skip
    return single_panel(alt.layer(dots, bars), width=520, height=alt.Step(18))


if __name__ == "__main__":
    run(data, chart)
