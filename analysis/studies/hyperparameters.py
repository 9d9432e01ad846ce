"""What the constants of detectors do: the mean FPR against each constant, over models, a line per OOD set.

Run it with `python -m analysis.studies.hyperparameters --lake LAKE --out hyperparameters.html`, once variants are scored:
`featurestore score --detector knn:k=10,50,200`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl

from analysis.charts.palette import CONFIG, FPR, colours, tooltips
from analysis.studies.command import run

if TYPE_CHECKING:
    from featurestore.lake import Lake

_WIDE = 20
"""From this ratio of the largest value to the smallest on, the axis is logarithmic."""


def data(lake: Lake, benchmark: str = "main", base: str = "all", constant: str = "all") -> pl.DataFrame:
    """One row per OOD set, detector, constant, values of its other constants, and value.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        base: One detector, by its name without constants, or all.
        constant: One constant, or all.

    Returns:
        What the question `hyperparameters` answers, without the values that no model has in common with the others.
    """
    answer: pl.DataFrame = lake.ask("hyperparameters", benchmark=benchmark, base=base, constant=constant).pl()
    return answer.filter(pl.col("models") > 0)


def chart(frame: pl.DataFrame) -> alt.ConcatChart:
    """A panel per detector and constant; values of the other constants have lines of their own."""
    panels = [_panel(frame, *key) for key, _ in frame.group_by("detector", "constant", maintain_order=True)]
    figure: alt.ConcatChart = alt.concat(*panels, columns=2).configure(**CONFIG)
    return figure


def _panel(frame: pl.DataFrame, detector: Any, constant: Any) -> alt.Chart:
    """One detector and constant."""
    values = frame.filter(detector=detector, constant=constant)["value"].to_numpy()
    is_wide = values.min() > 0 and values.max() / values.min() >= _WIDE
    numbers = {"mean_fpr95": ".3f", "mean_auroc": ".3f"}
    drawn: alt.Chart = (
        alt.Chart(frame, title=detector)
        .transform_filter((alt.datum.detector == detector) & (alt.datum.constant == constant))
        .mark_line(point=True, strokeWidth=1.8)
        .encode(
            x=alt.X("value:Q", title=constant, scale=alt.Scale(type="log" if is_wide else "linear", zero=False)),
            y=alt.Y("mean_fpr95:Q", title=FPR, scale=alt.Scale(zero=False)),
            color=alt.Color("ood_dataset:N", title="OOD set", scale=colours(frame["ood_dataset"])),
            detail="others:N",
            tooltip=tooltips(("detector", "ood_dataset", "constant", "value", "others", "models", *numbers), numbers),
        )
        .properties(width=320, height=240)
    )
    return drawn


if __name__ == "__main__":
    run(data, chart)
