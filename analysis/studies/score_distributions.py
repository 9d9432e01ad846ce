"""How the scores of ID and OOD samples lie beside each other, for one model.

Run it with `python -m analysis.studies.score_distributions --lake LAKE --model MODEL --out scores.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import polars as pl

from analysis.charts.palette import COLOURS, GREY, pick_detector, single_panel, tooltips
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
        Columns model, detector, dataset, role (ID or OOD), low and high (of the bin), share (of the dataset's samples) and
        threshold (the score that 95 % of ID test samples reach).
    """
    return distributions(model_scores(lake, benchmark, model), bins)


def distributions(scores: ModelScores, bins: int = 48) -> pl.DataFrame:
    """The same from scores that are read already."""
    both = pl.concat([scores.id.with_columns(role=pl.lit("ID")), scores.ood.with_columns(role=pl.lit("OOD"))])
    rows = []
    for (detector,), of_detector in both.group_by("detector", maintain_order=True):
        of_id = of_detector.filter(pl.col("role") == "ID")["score"].to_numpy()
        edges = np.linspace(*_range(of_id, of_detector["score"].to_numpy()), bins + 1)
        threshold = float(threshold_at(of_id, 0.95))
        for (dataset, role), part in of_detector.group_by("dataset", "role", maintain_order=True):
            counts, _ = np.histogram(np.clip(part["score"].to_numpy(), edges[0], edges[-1]), edges)
            columns = {"low": edges[:-1], "high": edges[1:], "share": counts / len(part)}
            named = {"model": scores.model, "detector": detector, "dataset": dataset, "role": role}
            literals = {key: pl.lit(value) for key, value in named.items()}
            rows.append(pl.DataFrame(columns).with_columns(**literals, threshold=threshold))
    return pl.concat(rows).select("model", "detector", "dataset", "role", "low", "high", "share", "threshold")


def _range(of_id: NDArray[np.float64], of_all: NDArray[np.float64]) -> tuple[float, float]:
    """Where most ID samples lie, and some of the way below and above: Mahalanobis scores of OOD may be a thousand times lower."""
    low, high = np.quantile(of_id, [0.05, 0.95])
    spread = high - low
    if spread > 0:
        low, high = max(low - 3 * spread, of_all.min()), min(high + spread, of_all.max())
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(low) + 0.5)


def chart(frame: pl.DataFrame, detector: str = "mahalanobis") -> alt.TopLevelMixin:
    """ID against each OOD set, as steps, with the threshold that accepts 95 % of ID; pick the detector.

    Args:
        frame: What `data` returns.
        detector: The one that is picked at first.
    """
    chosen = pick_detector(frame["detector"], detector)
    names = [
        *frame.filter(pl.col("role") == "ID")["dataset"].unique(),
        *frame.filter(pl.col("role") == "OOD")["dataset"].unique().sort(),
    ]
    colours = [COLOURS[(1 + index) % len(COLOURS)] for index in range(len(names) - 1)]
    scale = alt.Scale(domain=names, range=[GREY, *colours])
    numbers = ("low", "high", "share", "threshold")
    base = alt.Chart(frame).transform_filter(chosen)
    bars = base.mark_bar(opacity=0.55, binSpacing=0).encode(
        x=alt.X("low:Q", title="Score (higher: more in-distribution)", scale=alt.Scale(zero=False), axis=alt.Axis(grid=False, tickCount=8, labelOverlap=True), bin="binned"),
        x2="high:Q",
        y=alt.Y("share:Q", title="Share of the dataset's samples", stack=None),
        color=alt.Color("dataset:N", title="Dataset", scale=scale),
        tooltip=tooltips(("detector", "dataset", *numbers), dict.fromkeys(numbers, ".3g")),
    )  # fmt: skip
    line = base.transform_aggregate(threshold="min(threshold)").mark_rule(strokeDash=[5, 4], color=GREY, strokeWidth=1.5).encode(x="threshold:Q")  # fmt: skip
    return single_panel(alt.layer(bars, line).add_params(chosen), width=640, height=240)


if __name__ == "__main__":
    run(data, chart)
