"""Which detector suits which pretraining: the mean FPR of each, over models.

Run it with `python -m analysis.studies.detector_by_pretraining --lake LAKE --out detectors.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import SHARE_SCALE, UNKNOWN, by_ood_set, tooltips
from analysis.studies.command import run
from analysis.studies.results import leading

if TYPE_CHECKING:
    from featurestore.lake import Lake


def data(lake: Lake, benchmark: str = "main") -> pl.DataFrame:
    """One row per OOD set, pretraining and detector: what the question `best_detector` answers.

    Args:
        lake: The lake.
        benchmark: The benchmark.

    Returns:
        Columns ood_dataset, pretraining ("unknown" where it is), detector, models, wins, mean_fpr95, mean_auroc.
    """
    columns = ("ood_dataset", "pretraining", "detector", "models", "wins", "mean_fpr95", "mean_auroc")
    answer: pl.DataFrame = lake.ask("best_detector", benchmark=benchmark).pl()
    return answer.select(columns).with_columns(pl.col("pretraining").fill_null(UNKNOWN))


def chart(frame: pl.DataFrame) -> alt.FacetChart:
    """A heatmap per OOD set: the darker, the more OOD is accepted; the best detectors stand first."""
    order = leading(frame.rename({"mean_fpr95": "fpr95"}))
    base = alt.Chart(frame).encode(
        x=alt.X("pretraining:N", title="Pretraining", axis=alt.Axis(labelAngle=0, grid=False, labelLimit=110)),
        y=alt.Y("detector:N", title=None, sort=order, axis=alt.Axis(grid=False)),
        tooltip=tooltips(frame.columns, dict.fromkeys(("mean_fpr95", "mean_auroc"), ".3f")),
    )
    title, legend = "Mean FPR at 95 % TPR", alt.Legend(format=".1f")
    colour = alt.Color("mean_fpr95:Q", title=title, scale=SHARE_SCALE, legend=legend)
    cells = base.mark_rect(cornerRadius=2, stroke="white", strokeOpacity=0.6).encode(color=colour)
    light = alt.condition("datum.mean_fpr95 > 0.68", alt.value("white"), alt.value("#1B1F24"))
    numbers = base.mark_text(fontSize=11).encode(text=alt.Text("mean_fpr95:Q", format=".2f"), color=light)
    layers = alt.layer(cells, numbers).properties(width=300, height=alt.Step(22))
    return by_ood_set(layers)


if __name__ == "__main__":
    run(data, chart)
