"""Risk against coverage: how often a model is wrong on the share of ID test samples that a detector trusts most, a line per detector.

Run it with `python -m analysis.studies.risk_coverage --lake LAKE --out risk_coverage.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import COLOURS, GREY, TOLD_APART, single_panel, told_apart, tooltips
from analysis.studies.command import run
from featurestore.names import pick

if TYPE_CHECKING:
    from featurestore.lake import Lake

_QUERY = "select benchmark, model, detector, augrc, risks from selective where risks is not null"


def data(lake: Lake, benchmark: str = "main", model: str = "all") -> pl.DataFrame:
    """One row per detector and whole per cent of coverage, those detectors first that tell mistakes best.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        model: One model, or all.

    Returns:
        Columns detector, coverage, risk (share of wrong predictions among the trusted samples; the mean over models), low and
        high (their quartiles), models (how many have scores by the detector), and augrc (the mean over models).

    Raises:
        MissingError: There is no such model; the message names the nearest.
    """
    frame: pl.DataFrame = lake.sql(_QUERY).pl().filter(pl.col("benchmark") == benchmark)
    if model != "all":
        frame = frame.filter(model=pick("model", model, sorted(set(frame["model"]))))
    points = frame.with_columns(coverage=pl.lit(list(range(1, 101)))).explode("risks", "coverage")
    risk = pl.col("risks")
    told = points.group_by("detector", "coverage").agg(
        risk=risk.mean(),
        low=risk.quantile(0.25),
        high=risk.quantile(0.75),
        models=pl.len(),
        augrc=pl.col("augrc").mean(),
    )
    return told.with_columns(pl.col("coverage") / 100).sort(pl.col("augrc").round(9), "detector", "coverage")


def chart(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """The lines, those of the detectors that tell mistakes best in colours of their own; hover for the quartiles of the models."""
    names = frame["detector"].unique(maintain_order=True).to_list()
    numbers = dict.fromkeys(("risk", "low", "high", "augrc"), ".3f") | {"coverage": ".0%"}
    lines = (
        alt.Chart(frame)
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X(
                "coverage:Q", title="Coverage (share of ID test samples that is trusted)", axis=alt.Axis(format="%")
            ),
            y=alt.Y("risk:Q", title="Risk (share of wrong predictions among them)"),
            color=alt.Color(
                "detector:N",
                title="Detector",
                scale=told_apart(names, COLOURS, GREY),
                legend=alt.Legend(values=names[:TOLD_APART]),
            ),
            tooltip=tooltips(frame.columns, numbers),
        )
    )
    return single_panel(lines, 420, 320)


if __name__ == "__main__":
    run(data, chart)
