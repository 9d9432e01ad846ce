"""Geometry of feature spaces by pretraining: in what the features of CLIP models, say, differ from the others'.

Run it with `python -m analysis.studies.geometry --lake LAKE --out geometry.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl
from scipy.special import stdtrit

from analysis.charts.palette import UNKNOWN, colours, nil, single_panel, tooltips
from analysis.studies.command import run
from featurestore.layout.tables import TABLES

if TYPE_CHECKING:
    from featurestore.lake import Lake

MEASURES = [name for name in TABLES["geometry"].columns.names if name not in {"role", "rows"}]
_WIDE = 10


def data(lake: Lake, benchmark: str = "main") -> pl.DataFrame:
    """One row per model and measure of its features on the benchmark's fit dataset; measures that never vary are left out.

    Args:
        lake: The lake.
        benchmark: The benchmark.

    Returns:
        Columns measure, pretraining ("unknown" where it is), model, value; scale ("log" where positive values span more
        than a factor of ten, else "linear"); standardised (value on that scale, less the mean over models, over their
        standard deviation); models and others (with this pretraining, with another), checkpoints and other_checkpoints that they
        come from, each of which counts once, by its mean; difference of the means of the two, in their pooled standard
        deviations (Hedges' g), with an interval low and high; null where a group has one checkpoint. The intervals of all
        differences hold at once in 95 % of lakes without any: Student's t, by Bonferroni.
    """
    query = """
        select geometry.*, models.pretraining, coalesce(of_checkpoints.checkpoint, geometry.model) as checkpoint, datasets.benchmarks
        from geometry
        left join (select distinct model, checkpoint from ingredients) as of_checkpoints on of_checkpoints.model = geometry.model
        inner join models on models.model = geometry.model
        inner join datasets on datasets.dataset = geometry.dataset and datasets.role = 'fit'
        where geometry.dataset = geometry.fit_dataset
    """
    wide: pl.DataFrame = lake.sql(query).pl()
    known = wide.with_columns(pl.col("pretraining").fill_null(UNKNOWN))
    own = known.filter(pl.col("benchmarks").list.contains(benchmark))
    index = ["model", "pretraining", "checkpoint"]
    scaled = _scaled(own.unpivot(MEASURES, index=index, variable_name="measure").drop_nulls("value"))
    columns = ("measure", "pretraining", "model", "value", "scale", "standardised", "models", "others")
    found = scaled.join(_compared(scaled), on=["measure", "pretraining"])
    counts = ("checkpoints", "other_checkpoints", "difference", "low", "high")
    return found.select(*columns, *counts).sort("measure", "pretraining", "model")


def _scaled(frame: pl.DataFrame) -> pl.DataFrame:
    """With each value on its scale (`x`) and standardised, and how many models have the same pretraining or another."""
    low, high = pl.col("value").min().over("measure"), pl.col("value").max().over("measure")
    is_wide = (low > 0) & (high > _WIDE * low)
    on_scale = pl.when(is_wide).then(pl.col("value").log10()).otherwise(pl.col("value"))
    x, models = pl.col("x"), pl.len().over("measure", "pretraining").cast(pl.Int64)
    return (
        frame.with_columns(x=on_scale, scale=pl.when(is_wide).then(pl.lit("log")).otherwise(pl.lit("linear")))
        .filter(high > low)
        .with_columns(
            models=models,
            others=pl.len().over("measure").cast(pl.Int64) - models,
            standardised=(x - x.mean().over("measure")) / x.std().over("measure"),
        )
    )


def _compared(frame: pl.DataFrame) -> pl.DataFrame:
    """Each measure and group of checkpoints against the rest."""
    group, x = ("measure", "pretraining"), pl.col("x")
    of_checkpoints = frame.group_by(*group, "checkpoint").agg(x.mean()).with_columns(x - x.mean().over("measure"))
    groups = of_checkpoints.group_by(*group).agg(
        checkpoints=pl.len().cast(pl.Int64), own=x.mean(), squares=x.var(ddof=0) * pl.len(), sum=x.sum()
    )
    n, m = pl.col("checkpoints"), pl.col("other_checkpoints")
    every, rest = n + m, (pl.col("sum").sum().over("measure") - pl.col("sum")) / m
    # Both sides' squares about their own means.
    all_squares = (pl.col("squares") + n * pl.col("own") ** 2).sum().over("measure")
    squares = all_squares - n * pl.col("own") ** 2 - m * rest**2
    pooled = (squares.clip(0) / (every - 2)).sqrt()
    told = groups.with_columns(other_checkpoints=n.sum().over("measure") - n).with_columns(
        difference=pl.when((n > 1) & (m > 1) & (pooled > 0)).then(
            (pl.col("own") - rest) / pooled * (1 - 3 / (4 * every - 9))
        )
    )
    quantile = stdtrit(
        (told["checkpoints"] + told["other_checkpoints"] - 2).to_numpy(), 1 - 0.025 / max(told["difference"].count(), 1)
    )
    reach = pl.Series(quantile) * (every / (n * m) + pl.col("difference") ** 2 / (2 * every)).sqrt()
    return told.with_columns(low=pl.col("difference") - reach, high=pl.col("difference") + reach).select(
        *group, "checkpoints", "other_checkpoints", "difference", "low", "high"
    )


def chart(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """A row per measure, those that differ most between pretrainings first: a dot per model, a bar at each pretraining's mean."""
    apart = pl.col("standardised").mean().over("measure", "pretraining").abs()
    order = frame.with_columns(apart=apart.round(9)).group_by("measure").agg(pl.col("apart").max())
    names = order.sort("apart", "measure", descending=[True, False])["measure"].to_list()
    groups = frame["pretraining"].n_unique()
    y = alt.Y("measure:N", title=None, sort=names, axis=alt.Axis(grid=True, tickBand="extent", labelLimit=170))
    across = {"y": y, "yOffset": alt.YOffset("pretraining:N")}
    colour = alt.Color("pretraining:N", title="Pretraining", scale=colours(frame["pretraining"]))
    tooltip = tooltips(frame.columns, dict.fromkeys(frame.select(pl.selectors.float()).columns, ".3g"))
    title = "Standard deviations from the mean of all models"
    base = alt.Chart(frame)
    each, mean = (
        alt.X(shorthand, title=title, axis=alt.Axis(tickCount=8))
        for shorthand in ("standardised:Q", "mean(standardised):Q")
    )
    dots = base.mark_point(filled=True, size=24, opacity=0.45)
    points = dots.encode(x=each, color=colour, tooltip=tooltip, **across)
    means = base.mark_tick(thickness=3, size=9, opacity=1).encode(x=mean, color=colour, **across)
    height = alt.Step(7 * groups + 8, **{"for": "position"})
    return single_panel(alt.layer(nil(base), points, means), width=560, height=height)


if __name__ == "__main__":
    run(data, chart)
