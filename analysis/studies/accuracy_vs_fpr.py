"""Accuracy against FPR and AUROC: one point per model, a panel for each OOD set and metric.

Run it with `python -m analysis.studies.accuracy_vs_fpr --lake LAKE --out accuracy.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import ACCURACY, CONFIG, colours, pick_detector, tooltips
from analysis.studies.command import run
from analysis.studies.results import INTERVALS, METRICS, RECIPE, leading, metric_name, results

if TYPE_CHECKING:
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
    return frame.select("model", "detector", "ood_dataset", *_SHARES, *INTERVALS, *RECIPE)


def chart(frame: pl.DataFrame, detector: str = "", metric: str = "fpr95") -> alt.FacetChart:
    """Scatters on equal scales: colour by pretraining, hover for the recipe, click a legend to single out; pick the detector.

    Args:
        frame: What `data` returns.
        detector: The one that is picked at first; by default that with the best mean metric.
        metric: The one that is shown beside the FPR; by default AUROC.
    """
    chosen = pick_detector(frame["detector"], detector or leading(frame, metric)[0])
    shown = {"fpr95": "FPR95", **({metric: metric_name(metric)} if metric != "fpr95" else {"auroc": "AUROC"})}
    by_pretraining = alt.selection_point(name="pretrained_on", fields=["pretraining"], bind="legend")
    few = frame["model"].n_unique() <= _FEW
    base = (
        alt.Chart(frame)
        .transform_filter(chosen)
        .encode(
            x=alt.X("accuracy:Q", title=ACCURACY, scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(tickCount=5)),
            color=alt.Color("pretraining:N", title="Pretraining", scale=colours(frame["pretraining"])),
            opacity=alt.condition(by_pretraining, alt.value(1), alt.value(0.08)),
            tooltip=tooltips(frame.columns, dict.fromkeys((*_SHARES, *INTERVALS), ".3f")),
        )
    )
    y = alt.Y("value:Q", title=None, scale=alt.Scale(domain=[0, 1]))
    points = base.mark_point(filled=True, size=50 if few else 22).encode(y=y).add_params(chosen, by_pretraining)
    # Intervals of many models would be all that one sees; metrics of an older lake have none.
    drawn = few and frame[list(INTERVALS)].null_count().sum_horizontal().item() < len(INTERVALS) * len(frame)
    intervals = [base.mark_rule(strokeWidth=1).encode(y="low:Q", y2="high:Q")] if drawn else []
    layers = alt.layer(*intervals, points).properties(width=320, height=230)
    panels = [f"{ood}: {metric}" for ood in sorted(set(frame["ood_dataset"])) for metric in shown.values()]
    figure: alt.FacetChart = (
        layers.facet(facet=alt.Facet("panel:N", title=None, sort=panels), columns=2)
        .transform_calculate(**{name: f"datum.{column}" for column, name in shown.items()})
        .transform_fold(list(shown.values()), as_=["metric", "value"])
        .transform_calculate(
            panel="datum.ood_dataset + ': ' + datum.metric",
            **{
                end: f"datum.metric == 'FPR95' ? datum.fpr95_{end} : datum.metric == 'AUROC' ? datum.auroc_{end} : null"
                for end in ("low", "high")
            },
        )
        .configure(**CONFIG)
    )
    return figure


if __name__ == "__main__":
    run(data, chart)
