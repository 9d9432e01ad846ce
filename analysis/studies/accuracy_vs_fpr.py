"""Accuracy against FPR: one point per model and detector, one panel per OOD set.

Run it with `python -m analysis.studies.accuracy_vs_fpr --lake LAKE --out accuracy.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import (
    ACCURACY,
    FPR,
    GREY,
    OTHER_SHAPE,
    SHAPES,
    TOLD_APART,
    by_ood_set,
    colours,
    told_apart,
    tooltips,
)
from analysis.studies.command import run
from analysis.studies.results import METRICS, RECIPE, leading, metric_name, results

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.lake import Lake

_FEW = 60
_SHARES = ("accuracy", *METRICS)


def data(lake: Lake, benchmark: str = "main") -> pl.DataFrame:
    """One row per model, detector and OOD set.

    Args:
        lake: The lake.
        benchmark: The benchmark.

    Returns:
        Columns model, detector, ood_dataset, accuracy, the metrics (unweighted means over the OOD classes), pretraining ("unknown" where it is) and the recipe columns. Models whose accuracy is unknown are left out.
    """
    frame = results(lake, benchmark).filter(pl.col("accuracy").is_not_null())
    return frame.select("model", "detector", "ood_dataset", *_SHARES, *RECIPE)


def chart(frame: pl.DataFrame, detectors: Sequence[str] = (), metric: str = "fpr95") -> alt.FacetChart:
    """The scatter: colour by pretraining, shape by detector, hover for the recipe, click a legend to single out.

    Args:
        frame: What `data` returns.
        detectors: The detectors in the order in which they get shapes: the first eight one each, the others another; by
            default those with the best mean metric first.
        metric: The one that is shown.
    """
    names = list(detectors) or leading(frame, metric)
    title = FPR if metric == "fpr95" else metric_name(metric)
    by_pretraining = alt.selection_point(name="pretrained_on", fields=["pretraining"], bind="legend")
    by_detector = alt.selection_point(name="detected_by", fields=["detector"], bind="legend")
    points = (
        alt.Chart(frame)
        .mark_point(filled=True, size=55 if frame["model"].n_unique() <= _FEW else 28, stroke="white", strokeWidth=0.4)
        .encode(
            x=alt.X("accuracy:Q", title=ACCURACY, scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(tickCount=5)),
            y=alt.Y(f"{metric}:Q", title=title, scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("pretraining:N", title="Pretraining", scale=colours(frame["pretraining"])),
            shape=alt.Shape(
                "detector:N",
                title="Detector",
                scale=told_apart(names, SHAPES, OTHER_SHAPE),
                legend=alt.Legend(values=names[:TOLD_APART], symbolFillColor=GREY, symbolStrokeColor=GREY),
            ),
            opacity=alt.condition(by_pretraining & by_detector, alt.value(0.8), alt.value(0.05)),
            tooltip=tooltips(frame.columns, dict.fromkeys(_SHARES, ".3f")),
        )
        .add_params(by_pretraining, by_detector)
        .properties(width=320, height=280)
    )
    return by_ood_set(points)


if __name__ == "__main__":
    run(data, chart)
