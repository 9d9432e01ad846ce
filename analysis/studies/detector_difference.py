"""By how much two detectors of one model differ on the same samples, on each OOD set.

Run it with `python -m analysis.studies.detector_difference --lake LAKE --first knn --second msp --out difference.html`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import polars as pl

from analysis.charts.palette import COLOURS, GREY, tooltips
from analysis.metrics.ood_metrics import OodClasses
from analysis.metrics.paired import SampleScores, paired_differences
from analysis.studies.command import run
from analysis.studies.results import by_sign, leading, most_accurate, results
from featurestore.errors import MissingError
from featurestore.names import pick

if TYPE_CHECKING:
    from featurestore.lake import Lake

_NUMBERS = ("first_value", "second_value", "difference", "low", "high")
_SCHEMA = {
    **dict.fromkeys(("model", "first", "second", "ood_dataset", "metric"), pl.String),
    **dict.fromkeys(("n_id", "n_ood"), pl.Int64),
    **dict.fromkeys(_NUMBERS, pl.Float64),
}
_LOWER, _HIGHER, _UNCLEAR = "first is lower", "first is higher", "interval includes 0"


def data(
    lake: Lake,
    benchmark: str = "main",
    model: str = "",
    first: str = "",
    second: str = "",
    *,
    aggregation: str = "class_mean",
) -> pl.DataFrame:
    """One row per OOD set and metric, fpr95 and auroc; stale scores are left out.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        model: The model; by default the most accurate.
        first: A detector; by default that with the lowest mean FPR.
        second: Another; by default that with the next.
        aggregation: class_mean or pooled: how the OOD classes of a set are put together.

    Returns:
        Columns model, first, second, ood_dataset, metric, n_id and n_ood (samples that both have scored), first_value, second_value,
        difference (first minus second), low and high (its 95 % interval), and goes: what the interval says.

    Raises:
        MissingError: The benchmark has no metrics, no such model, or no such detector of it.
    """
    lake = lake.current()
    frame = results(lake, benchmark)
    if frame.is_empty():
        raise MissingError(f"There are no metrics of benchmark {benchmark!r} yet: run `featurestore score` first.")
    chosen = pick("model", model, sorted(set(frame["model"]))) if model else most_accurate(frame)
    of_model = leading(frame.filter(pl.col("model") == chosen))
    one = pick("detector", first, of_model) if first else next((name for name in of_model if name != second), "")
    other = pick("detector", second, of_model) if second else next((name for name in of_model if name != one), "")
    rows = (
        _rows(
            lake,
            benchmark,
            chosen,
            one,
            other,
            pooled=pick("aggregation", aggregation, ("class_mean", "pooled")) == "pooled",
        )
        if one and other
        else []
    )
    found = pl.DataFrame(rows, _SCHEMA, orient="row")
    return found.with_columns(goes=by_sign("low", "high", below=_LOWER, above=_HIGHER, unclear=_UNCLEAR))


def _rows(lake: Lake, benchmark: str, model: str, first: str, second: str, *, pooled: bool) -> list[tuple[object, ...]]:
    roles: pl.DataFrame = lake.sql("select dataset, role from datasets where role in ('id', 'ood')").pl()
    sides = [
        lake.scan("scores", benchmark=benchmark, model=model, detector=name).select("dataset", "sample", "score")
        for name in (first, second)
    ]
    # Samples that both have scored, side by side.
    scores = sides[0].join(sides[1], on=["dataset", "sample"], suffix="_of_second").collect()
    judged = scores.join(roles, on="dataset")
    of_id = judged.filter(pl.col("role") == "id")
    found: list[tuple[object, ...]] = []
    for (ood,), part in (
        judged.filter(pl.col("role") == "ood").sort("dataset", "sample").group_by("dataset", maintain_order=True)
    ):
        names = lake.scan("samples", dataset=str(ood)).select("sample", "class_name").collect()
        classes = OodClasses.of(part.join(names, on="sample", how="left", maintain_order="left")["class_name"])
        both = [
            SampleScores(of_id[column].to_numpy().astype(np.float64), part[column].to_numpy().astype(np.float64))
            for column in ("score", "score_of_second")
        ]
        for row in paired_differences(both[0], both[1], classes, pooled=pooled):
            numbers = asdict(row)
            metric, *values = numbers.values()
            found.append((model, first, second, ood, metric, len(of_id), len(part), *values))
    return found


def chart(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """A panel per metric: the difference on each OOD set, with its interval; 0 is no difference."""
    model, first, second = frame.row(0)[:3]
    title = f"{first} minus {second}, {model}"
    scale = alt.Scale(domain=[_LOWER, _HIGHER, _UNCLEAR], range=[COLOURS[0], COLOURS[1], GREY])
    base = alt.Chart().encode(
        y=alt.Y("ood_dataset:N", title=None, axis=alt.Axis(grid=False, ticks=False)),
        color=alt.Color("goes:N", title=None, scale=scale),
        tooltip=tooltips(frame.columns, dict.fromkeys(_NUMBERS, ".3f")),
    )
    points = base.mark_point(filled=True, size=70).encode(x=alt.X("difference:Q", title=title))
    lines = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q")
    zero = alt.Chart().mark_rule(color=GREY, strokeDash=[4, 3]).encode(x=alt.datum(0))
    panel = alt.layer(zero, lines, points).properties(width=280, height=alt.Step(26))
    return panel.facet(column=alt.Column("metric:N", title=None), data=frame)


if __name__ == "__main__":
    run(data, chart)
