"""Geometry against FPR: how closely each measure of the feature space goes with the FPR of a detector, over models.

Run it with `python -m analysis.studies.geometry_vs_fpr --lake LAKE --detector mahalanobis --out predictors.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import CLEAR_COLOURS, by_ood_set, nil, tooltips
from analysis.studies.command import run
from analysis.studies.results import by_sign

if TYPE_CHECKING:
    from featurestore.lake import Lake

_WITH, _AGAINST, _UNCLEAR = "larger, higher FPR", "larger, lower FPR", "interval includes 0, or none"


def data(lake: Lake, benchmark: str = "main", detector: str = "mahalanobis") -> pl.DataFrame:
    """One row per OOD set and measure: what the question `geometry_predicts_fpr` answers, of measures that have a correlation.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        detector: The detector, or all.

    Returns:
        The question's columns; shown, shown_low and shown_high: the correlation within pretrainings and its interval, or where
        no pretraining is known that over all models; and goes: which way the measure and the FPR go together, where the interval is clear of 0.
    """
    answer: pl.DataFrame = lake.ask("geometry_predicts_fpr", benchmark=benchmark, detector=detector).pl()
    is_within = pl.col("within").is_not_null()
    ends = [
        pl.when(is_within).then(f"within{end}").otherwise(f"spearman{end}").alias(f"shown{end}")
        for end in ("", "_low", "_high")
    ]
    goes = by_sign("shown_low", "shown_high", below=_AGAINST, above=_WITH, unclear=_UNCLEAR)
    return answer.filter(pl.col("spearman").is_not_null()).with_columns(*ends).with_columns(goes=goes)


def chart(frame: pl.DataFrame) -> alt.FacetChart:
    """The rank correlation of each measure with its interval; those that go most closely with FPR stand first."""
    mean = pl.col("shown").abs().mean().round(9)
    order = frame.group_by("measure").agg(mean).sort("shown", "measure", descending=[True, False])
    scale = alt.Scale(domain=[_AGAINST, _WITH, _UNCLEAR], range=CLEAR_COLOURS)
    numbers = (
        "within",
        "within_low",
        "within_high",
        "p",
        "p_holm",
        "spearman",
        "spearman_low",
        "spearman_high",
        "pearson",
        "pearson_low",
        "pearson_high",
    )
    base = alt.Chart(frame)
    measured = base.encode(
        y=alt.Y("measure:N", title=None, sort=order["measure"].to_list(), axis=alt.Axis(grid=True, labelLimit=170)),
        color=alt.Color("goes:N", title="The measure", scale=scale),
    )
    ticks = alt.Axis(values=[-1, -0.5, 0, 0.5, 1], format=".1f")
    x = alt.X("shown:Q", title="Spearman correlation with FPR", scale=alt.Scale(domain=[-1, 1]), axis=ticks)
    intervals = measured.mark_rule(strokeWidth=1.5).encode(x=alt.X("shown_low:Q"), x2="shown_high:Q")
    tooltip = tooltips(frame.columns, dict.fromkeys(numbers, ".2f"))
    points = measured.mark_point(filled=True, size=45, opacity=1).encode(x=x, tooltip=tooltip)
    layers = alt.layer(nil(base), intervals, points).properties(width=300, height=alt.Step(18))
    return by_ood_set(layers)


if __name__ == "__main__":
    run(data, chart)
