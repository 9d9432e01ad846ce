"""Geometry of feature spaces by pretraining: in what the features of CLIP models, say, differ from the others'.

Run it with `python -m analysis.studies.geometry --lake LAKE --out geometry.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import GREY, UNKNOWN, colours, single_panel, tooltips
from analysis.studies.command import run
from featurestore.layout.tables import TABLES

if TYPE_CHECKING:
    from featurestore.lake import Lake

MEASURES = [name for name in TABLES["geometry"].columns.names if name not in {"role", "rows"}]
_WIDE = 10
_NORMAL_95 = 1.959963984540054


def data(lake: Lake, benchmark: str = "main") -> pl.DataFrame:
    """One row per model and measure of its features on the benchmark's fit dataset; measures that never vary are left out.

    Args:
        lake: The lake.
        benchmark: The benchmark.

    Returns:
        Columns measure, pretraining ("unknown" where it is), model, value; scale ("log" where positive values span more
        than a factor of ten, else "linear"); standardised (value on that scale, less the mean over models, over their
        standard deviation); models and others (with this pretraining, with another); difference of the means of the two, in
        their pooled standard deviations (Hedges' g), with its 95 % interval low and high; null where a group has one model.
    """
    query = """
        select geometry.*, models.pretraining, datasets.benchmarks
        from geometry
        inner join models on models.model = geometry.model
        inner join datasets on datasets.dataset = geometry.dataset and datasets.role = 'fit'
        where geometry.dataset = geometry.fit_dataset
    """
    wide: pl.DataFrame = lake.sql(query).pl()
    known = wide.with_columns(pl.col("pretraining").fill_null(UNKNOWN))
    own = known.filter(pl.col("benchmarks").list.contains(benchmark))
    long = own.unpivot(MEASURES, index=["model", "pretraining"], variable_name="measure").drop_nulls("value")
    columns = ("measure", "pretraining", "model", "value", "scale", "standardised", "models", "others")
    return _compared(long).select(*columns, "difference", "low", "high").sort("measure", "pretraining", "model")


def _compared(frame: pl.DataFrame) -> pl.DataFrame:
    """With each value on its scale and standardised, and each group of models against the rest."""
    low, high = pl.col("value").min().over("measure"), pl.col("value").max().over("measure")
    is_wide = (low > 0) & (high > _WIDE * low)
    on_scale = pl.when(is_wide).then(pl.col("value").log10()).otherwise(pl.col("value"))
    x, group = pl.col("x"), ("measure", "pretraining")
    n, mean, squares = x.count(), x.mean(), x.var(ddof=0).fill_null(0.0) * x.count()
    m, every = pl.col("models"), pl.col("models") + pl.col("others")
    rest = (every * pl.col("mean") - m * pl.col("own")) / pl.col("others")
    # The squares of the others about their own mean: those of all, less those of the group and those between the two.
    between = m * (pl.col("own") - pl.col("mean")) ** 2 + pl.col("others") * (rest - pl.col("mean")) ** 2
    pooled = ((pl.col("all_squares") - between).clip(0) / (every - 2)).sqrt()
    g = (pl.col("own") - rest) / pooled * (1 - 3 / (4 * every - 9))
    reach = _NORMAL_95 * (every / (m * pl.col("others")) + pl.col("difference") ** 2 / (2 * every)).sqrt()
    return (
        frame.with_columns(x=on_scale, scale=pl.when(is_wide).then(pl.lit("log")).otherwise(pl.lit("linear")))
        .filter(high > low)
        .with_columns(
            models=n.over(group).cast(pl.Int64),
            others=(n.over("measure") - n.over(group)).cast(pl.Int64),
            mean=mean.over("measure"),
            own=mean.over(group),
            all_squares=squares.over("measure"),
            standardised=(x - mean.over("measure")) / x.std().over("measure"),
        )
        .with_columns(difference=pl.when((m > 1) & (pl.col("others") > 1) & (pooled > 0)).then(g))
        .with_columns(low=pl.col("difference") - reach, high=pl.col("difference") + reach)
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
    nil = base.mark_rule(color=GREY, strokeDash=[3, 3]).encode(x=alt.datum(0))
    each, mean = (alt.X(shorthand, title=title) for shorthand in ("standardised:Q", "mean(standardised):Q"))
    dots = base.mark_point(filled=True, size=24, opacity=0.45)
    points = dots.encode(x=each, color=colour, tooltip=tooltip, **across)
    means = base.mark_tick(thickness=3, size=9, opacity=1).encode(x=mean, color=colour, **across)
    height = alt.Step(7 * groups + 8, **{"for": "position"})
    return single_panel(alt.layer(nil, points, means), width=560, height=height)


if __name__ == "__main__":
    run(data, chart)
