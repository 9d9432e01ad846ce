"""Which unit-tests each model fails: it accepts more than one in ten of images that no model should accept.

Run it with `python -m analysis.studies.unit_test_heatmap --lake LAKE --out unit_tests.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import FAILS_ABOVE, FAILURE_SCALE, pick_detector, single_panel, tooltips
from analysis.studies.command import run
from analysis.studies.results import UNIT_TESTS, leading, results

if TYPE_CHECKING:
    from featurestore.lake import Lake

_LABELLED_MODELS = 24
_SHORT = "length(datum.label) > 20 ? slice(datum.label, 0, 6) + '…' + slice(datum.label, -13) : datum.label"


def data(lake: Lake, benchmark: str = "main", unit_tests: str = UNIT_TESTS) -> pl.DataFrame:
    """One row per model, detector and unit-test.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        unit_tests: The dataset that holds the unit-tests.

    Returns:
        Columns model, pretraining, accuracy, detector, unit_test, fpr95, fpr95_low, fpr95_high, failed (fpr95 is above 0.1, as
        measured), verdict (fails, passes or undecided, by the interval; null without one), and mean_fpr95 of the model with the detector.
    """
    frame = results(lake, benchmark, "class").filter(pl.col("ood_dataset") == unit_tests)
    low, high = pl.col("fpr95_low"), pl.col("fpr95_high")
    known = pl.when(low > FAILS_ABOVE).then(pl.lit("fails")).when(high <= FAILS_ABOVE).then(pl.lit("passes"))
    return frame.select(
        "model", "pretraining", "accuracy", "detector", pl.col("ood_class").alias("unit_test"), "fpr95", low, high,
        failed=pl.col("fpr95") > FAILS_ABOVE,
        verdict=known.when(low.is_not_null()).then(pl.lit("undecided")),
        mean_fpr95=pl.col("fpr95").mean().over("model", "detector"),
    )  # fmt: skip


def chart(frame: pl.DataFrame, detector: str = "") -> alt.TopLevelMixin:
    """A column per model, the best first, and a row per unit-test; blue passes and orange fails; pick the detector.

    Args:
        frame: What `data` returns.
        detector: The one that is picked at first; by default that with the lowest mean FPR.
    """
    chosen = pick_detector(frame["detector"], detector or leading(frame)[0])
    labelled = frame["model"].n_unique() <= _LABELLED_MODELS
    means = frame.group_by("unit_test").agg(pl.col("fpr95").mean())
    hardest = means.sort("fpr95", "unit_test", descending=[True, False])
    cells = (
        alt.Chart(frame)
        .transform_filter(chosen)
        .mark_rect()
        .encode(
            x=alt.X("model:N", title="Model, from the lowest mean FPR to the highest", sort=alt.EncodingSortField("mean_fpr95", op="mean"), axis=alt.Axis(labels=labelled, ticks=False, grid=False, labelAngle=-50, labelLimit=200, labelExpr=_SHORT)),
            y=alt.Y("unit_test:N", title=None, sort=hardest["unit_test"].to_list(), axis=alt.Axis(grid=False, ticks=False)),
            color=alt.Color("fpr95:Q", title="FPR at 95 % TPR; fails above 0.1", scale=FAILURE_SCALE, legend=alt.Legend(values=[FAILS_ABOVE, 0.5, 1], gradientLength=240, labelOverlap=False, format=".1f")),
            tooltip=tooltips(frame.columns, dict.fromkeys(("accuracy", "fpr95", "fpr95_low", "fpr95_high", "mean_fpr95"), ".3f")),
        )
        .add_params(chosen)
    )  # fmt: skip
    return single_panel(cells, width=640, height=alt.Step(17))


if __name__ == "__main__":
    run(data, chart)
