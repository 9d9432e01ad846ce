"""Ranks of detectors over models and OOD sets, and which of them are not told apart: a critical-difference plot.

Run it with `python -m analysis.studies.detector_ranks --lake LAKE --out ranks.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import COLOURS, GREY, tooltips
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
    """A dot per detector at its mean rank, the best at the top left; each bar joins detectors that are not told apart."""
    detectors, groups = (
        frame.filter(pl.col("detector").is_not_null()),
        frame.filter(pl.col("detector").is_null()),
    )
    names = detectors["detector"].to_list()
    base = alt.Chart(frame)
    axis = alt.Axis(grid=False, domain=False, ticks=False)
    dots = (
        base.transform_filter("isValid(datum.detector)")
        .mark_point(filled=True, size=70, color=COLOURS[0])
        .encode(
            x=alt.X("mean_rank:Q", title="Mean rank over checkpoints (1 is best)", scale=alt.Scale(domain=[1, max(2, len(names))])),
            y=alt.Y("detector:N", sort=names, title=None, axis=axis),
            tooltip=tooltips(("detector", "mean_rank", "mean_value", "checkpoints", "models", "ood_datasets", "told_apart", "p"), dict.fromkeys(("mean_rank", "mean_value", "p"), ".3f")),
        )
    )  # fmt: skip
    bars = (
        base.transform_filter("isValid(datum.group)")
        .mark_rule(strokeWidth=5, strokeCap="round", color=GREY)
        .encode(
            x=alt.X("low:Q", scale=alt.Scale(domain=[1, max(2, len(names))]), title="Not told apart (Holm, p at least 0.05)"),
            x2="high:Q",
            y=alt.Y("group:N", sort=groups["group"].to_list(), title=None, axis=alt.Axis(labels=False, ticks=False, grid=False, domain=False)),
            tooltip=["group"],
        )
    )  # fmt: skip
    upper = dots.properties(width=520, height=alt.Step(20))
    return alt.vconcat(upper, bars.properties(width=520, height=alt.Step(12)), spacing=8)


if __name__ == "__main__":
    run(data, chart)
