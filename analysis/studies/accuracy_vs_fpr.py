"""Accuracy against FPR: one point per model and detector, one panel per OOD set.

Run it with `python -m analysis.studies.accuracy_vs_fpr LAKE OUT.html`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.studies.palette import COLOURS, CONFIG, SHAPES
from featurestore.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = "unknown"


def data(lake: Lake, benchmark: str = "main") -> pl.DataFrame:
    """One row per model, detector and OOD set.

    Args:
        lake: The lake.
        benchmark: The benchmark.

    Returns:
        Columns model, detector, ood_dataset, accuracy, fpr95 (unweighted mean over the OOD classes), auroc, pretraining
        ("unknown" where it is) and the recipe columns.
    """
    columns = "model, detector, ood_dataset, accuracy, fpr95, auroc, pretraining, weight_decay, dropout, finetune_lr, benchmark, aggregation"
    results: pl.DataFrame = lake.sql(f"select {columns} from results").pl()  # noqa: S608 # a constant
    return (
        results.filter(
            pl.col("benchmark") == benchmark, pl.col("aggregation") == "class_mean", pl.col("accuracy").is_not_null()
        )
        .drop("benchmark", "aggregation")
        .with_columns(pl.col("pretraining").fill_null(UNKNOWN))
        .sort("ood_dataset", "detector", "model")
    )


def chart(frame: pl.DataFrame) -> alt.FacetChart:
    """The scatter: colour by pretraining, shape by detector, hover for the recipe, click a legend to filter."""
    by_pretraining = alt.selection_point(name="pretrained_on", fields=["pretraining"], bind="legend")
    by_detector = alt.selection_point(name="detected_by", fields=["detector"], bind="legend")
    shown = by_pretraining & by_detector
    figure: alt.FacetChart = (
        alt.Chart(frame)
        .mark_point(filled=True, size=70)
        .encode(
            x=alt.X("accuracy:Q", title="ID accuracy (share correct)", scale=alt.Scale(zero=False, padding=12)),
            y=alt.Y("fpr95:Q", title="FPR at 95 % TPR (share of OOD accepted)", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("pretraining:N", title="Pretraining", scale=alt.Scale(range=COLOURS)),
            shape=alt.Shape(
                "detector:N", title="Detector", scale=alt.Scale(range=_cycled(SHAPES, frame["detector"].n_unique()))
            ),
            opacity=alt.condition(shown, alt.value(0.85), alt.value(0.06)),
            tooltip=[
                alt.Tooltip(name, format=".3f" if name in {"accuracy", "fpr95", "auroc"} else "")
                for name in frame.columns
            ],
        )
        .add_params(by_pretraining, by_detector)
        .properties(width=330, height=300)
        .facet(column=alt.Column("ood_dataset:N", title=None))
        .configure(**CONFIG)
    )
    return figure


def _cycled(values: Sequence[str], length: int) -> list[str]:
    return [values[index % len(values)] for index in range(length)]


if __name__ == "__main__":
    location, out = sys.argv[1:]
    chart(data(Lake(location))).save(out, inline=True)
