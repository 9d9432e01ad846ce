"""How the scores of ID and OOD samples lie beside each other, for one model.

Run it with `python -m analysis.studies.score_distributions --lake LAKE --model MODEL --out scores.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import polars as pl

from analysis.charts.palette import COLOURS, CONFIG, GREY, pick_detector, tooltips
from analysis.metrics import threshold_at
from analysis.studies.command import run
from analysis.studies.results import model_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analysis.studies.results import ModelScores
    from featurestore.lake import Lake


def data(lake: Lake, benchmark: str = "main", model: str = "", bins: int = 48) -> pl.DataFrame:
    """One row per detector, dataset and bin of the score; scores beyond the range shown count in the outermost bins.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        model: The model; by default the most accurate.
        bins: Bins of equal width.

    Returns:
        Columns model, detector, dataset, role (ID or OOD), low and high (of the bin), share (of the dataset's samples),
        threshold (the score that 95 % of ID test samples reach; a bin begins there), and accepted (the share of the dataset's
        samples that do).
    """
    return distributions(model_scores(lake, benchmark, model), bins)


def distributions(scores: ModelScores, bins: int = 48) -> pl.DataFrame:
    """The same from scores that are read already."""
    both = pl.concat([scores.id.with_columns(role=pl.lit("ID")), scores.ood.with_columns(role=pl.lit("OOD"))])
    rows = []
    for (detector,), of_detector in both.group_by("detector", maintain_order=True):
        of_id = of_detector.filter(pl.col("role") == "ID")["score"].to_numpy()
        threshold = float(threshold_at(of_id, 0.95))
        edges = _edges(*_range(of_id, of_detector["score"].to_numpy()), threshold, bins)
        for (dataset, role), part in of_detector.group_by("dataset", "role", maintain_order=True):
            scores_of = part["score"].to_numpy()
            counts, _ = np.histogram(np.clip(scores_of, edges[0], edges[-1]), edges)
            columns = {"low": edges[:-1], "high": edges[1:], "share": counts / len(part)}
            told = {
                "model": scores.model,
                "detector": detector,
                "dataset": dataset,
                "role": role,
                "threshold": threshold,
            }
            literals = {
                key: pl.lit(value)
                for key, value in (told | {"accepted": float((scores_of >= threshold).mean())}).items()
            }
            rows.append(pl.DataFrame(columns).with_columns(**literals))
    return pl.concat(rows).select(
        "model", "detector", "dataset", "role", "low", "high", "share", "threshold", "accepted"
    )


def _edges(low: float, high: float, threshold: float, bins: int) -> NDArray[np.float64]:
    """Edges of bins of equal width from about low to about high, one of which is the threshold."""
    width = (high - low) / bins
    first, last = np.floor((low - threshold) / width), np.ceil((high - threshold) / width)
    return threshold + width * np.arange(min(first, -1), max(last, 1) + 1)


def _range(of_id: NDArray[np.float64], of_all: NDArray[np.float64]) -> tuple[float, float]:
    """Where most ID samples lie, and some of the way below and above: Mahalanobis scores of OOD may be a thousand times lower."""
    low, high = np.quantile(of_id, [0.05, 0.95])
    spread = high - low
    if spread > 0:
        low, high = max(low - 3 * spread, of_all.min()), min(high + spread, of_all.max())
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(low) + 0.5)


def chart(frame: pl.DataFrame, detector: str = "mahalanobis") -> alt.FacetChart:
    """A panel per dataset on equal scales, ID first; what the threshold of 95 % TPR accepts has another colour; pick the detector.

    Args:
        frame: What `data` returns.
        detector: The one that is picked at first.
    """
    chosen = pick_detector(frame["detector"], detector)
    datasets = frame.unique("dataset").sort("role", "dataset")["dataset"].to_list()
    numbers = ("low", "high", "share", "threshold", "accepted")
    scale = alt.Scale(domain=["accepted", "rejected"], range=[COLOURS[1], COLOURS[0]])
    base = alt.Chart(frame).transform_filter(chosen)
    bars = base.transform_calculate(side="datum.low >= datum.threshold ? 'accepted' : 'rejected'").mark_bar(binSpacing=0).encode(
        x=alt.X("low:Q", title="Score (higher: more in-distribution)", scale=alt.Scale(zero=False), axis=alt.Axis(grid=False, tickCount=6, labelOverlap=True), bin="binned"),
        x2="high:Q",
        y=alt.Y("share:Q", title="Share of samples", axis=alt.Axis(tickCount=3)),
        color=alt.Color("side:N", title="At 95 % TPR", scale=scale),
        tooltip=tooltips(("detector", "dataset", *numbers), dict.fromkeys(numbers, ".3g")),
    )  # fmt: skip
    of_dataset = base.transform_aggregate(threshold="min(threshold)", accepted="min(accepted)", groupby=["dataset"])
    line = of_dataset.mark_rule(color=GREY, strokeWidth=1.5).encode(x="threshold:Q")
    told = of_dataset.transform_calculate(told="format(datum.accepted, '.1%') + ' accepted'").mark_text(align="right", baseline="top", dx=-4, dy=3, fontSize=11, color=GREY)  # fmt: skip
    text = told.encode(x=alt.value("width"), y=alt.value(0), text="told:N")
    panels = alt.layer(bars, line, text).add_params(chosen).properties(width=320, height=110)
    figure: alt.FacetChart = panels.facet(facet=alt.Facet("dataset:N", title=None, sort=datasets), columns=2).configure(
        **CONFIG
    )
    return figure


if __name__ == "__main__":
    run(data, chart)
