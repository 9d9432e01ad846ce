"""What another threshold costs: the FPR on each OOD set against the share of ID that is accepted, for one model.

Run it with `python -m analysis.studies.threshold_explorer --lake LAKE --model MODEL --out thresholds.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import polars as pl

from analysis.charts.palette import COLOURS, GREY, TOLD_APART, by_ood_set, told_apart, tooltips
from analysis.metrics import threshold_at
from analysis.studies.command import run
from analysis.studies.results import leading, model_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.studies.results import ModelScores
    from featurestore.lake import Lake

TPRS = np.round(np.concatenate([np.arange(0.5, 0.9, 0.02), np.arange(0.9, 0.9999, 0.005)]), 3)

_USUAL = 0.95
_TPR_SCALE = alt.Scale(domain=[0.5, 1], nice=False)


def data(lake: Lake, benchmark: str = "main", model: str = "") -> pl.DataFrame:
    """One row per detector, OOD set and TPR.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        model: The model; by default the most accurate.

    Returns:
        Columns model, detector, ood_dataset, tpr (share of ID to accept), threshold (the score's quantile 1 - tpr) and
        fpr (share of all the OOD set's samples at or above it).
    """
    return curves(model_scores(lake, benchmark, model))


def curves(scores: ModelScores) -> pl.DataFrame:
    """The same from scores that are read already."""
    rows = []
    for (detector,), of_id in scores.id.group_by("detector", maintain_order=True):
        thresholds = threshold_at(of_id["score"].to_numpy(), TPRS)
        of_ood = scores.ood.filter(pl.col("detector") == detector)
        for (dataset,), part in of_ood.group_by("dataset", maintain_order=True):
            ascending = np.sort(part["score"].to_numpy())
            fpr = (len(ascending) - np.searchsorted(ascending, thresholds, side="left")) / len(ascending)
            curve = pl.DataFrame({"tpr": TPRS, "threshold": thresholds, "fpr": fpr})
            rows.append(curve.select(pl.lit(scores.model).alias("model"), pl.lit(detector).alias("detector"), pl.lit(dataset).alias("ood_dataset"), pl.all()))  # fmt: skip
    return pl.concat(rows).sort("ood_dataset", "detector", "tpr")


def chart(frame: pl.DataFrame, detectors: Sequence[str] = ()) -> alt.FacetChart:
    """A curve per detector; move along it to read threshold and FPR. The dashed line is the usual 95 %.

    Args:
        frame: What `data` returns.
        detectors: The detectors in the order in which they get colours: the first eight one each, the others grey; by
            default those with the lowest FPR at 95 % first.
    """
    names = list(detectors) or leading(frame.filter(pl.col("tpr") == _USUAL).rename({"fpr": "fpr95"}))
    legend = alt.Legend(title="Detector", values=names[:TOLD_APART], symbolType="stroke", symbolStrokeWidth=2.5)
    near = alt.selection_point(name="at", on="pointerover", nearest=True, fields=["tpr"], empty=False)
    one = alt.selection_point(name="detected_by", fields=["detector"], bind="legend")
    base = alt.Chart(frame).encode(
        x=alt.X("tpr:Q", title="TPR (share of ID accepted)", scale=_TPR_SCALE),
        y=alt.Y("fpr:Q", title="FPR (share of OOD accepted)", scale=alt.Scale(domain=[0, 1])),
        color=alt.Color("detector:N", scale=told_apart(names, COLOURS, GREY), legend=legend),
    )
    chosen = alt.condition(one, alt.value(0.9), alt.value(0.08))
    lines = base.mark_line(strokeWidth=1.8).encode(opacity=chosen).add_params(one)
    at = alt.XDatum(_USUAL, type="quantitative", scale=_TPR_SCALE)
    usual = alt.Chart(frame).mark_rule(strokeDash=[4, 4], color=GREY).encode(x=at)
    numbers = {"tpr": ".3f", "fpr": ".3f", "threshold": ".4g"}
    dots = base.mark_point(filled=True, size=50).encode(opacity=alt.condition(near, alt.value(1), alt.value(0)), tooltip=tooltips(("detector", *numbers), numbers)).add_params(near)  # fmt: skip
    layers = alt.layer(usual, lines, dots).properties(width=320, height=260)
    return by_ood_set(layers)


if __name__ == "__main__":
    run(data, chart)
