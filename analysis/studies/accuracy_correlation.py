"""How closely accuracy and a metric go together over models, with intervals: within pretrainings, in each, and over all.

Run it with `python -m analysis.studies.accuracy_correlation --lake LAKE --out correlation.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import COLOURS, GREY, UNKNOWN, by_ood_set, nil, pick_detector, tooltips
from analysis.studies.command import run

if TYPE_CHECKING:
    from featurestore.lake import Lake

POOLED, ALL = "pooled within", "all"
_VERDICTS = {"falls": COLOURS[0], "rises": COLOURS[1], "weaker than 0.5": COLOURS[2], "too few to tell": GREY}


def data(lake: Lake, benchmark: str = "main", metric: str = "fpr95") -> pl.DataFrame:
    """One row per OOD set, pretraining and detector: what the question `accuracy_fpr_correlation` answers, where there is a correlation.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        metric: `fpr95`, `auroc`, `aupr_in` or `aupr_out`.

    Returns:
        The question's columns, an unknown pretraining as "unknown".
    """
    answer: pl.DataFrame = lake.ask("accuracy_fpr_correlation", benchmark=benchmark, metric=metric).pl()
    return answer.filter(pl.col("spearman").is_not_null()).with_columns(pl.col("pretraining").fill_null(UNKNOWN))


def chart(frame: pl.DataFrame, detector: str = "mahalanobis") -> alt.FacetChart:
    """Spearman's correlation with its interval: that within pretrainings first, that over all models last; pick the detector.

    Args:
        frame: What `data` returns.
        detector: The one that is picked at first.
    """
    chosen = pick_detector(frame["detector"], detector)
    groups = sorted(set(frame["pretraining"]) - {POOLED, ALL})
    scale = alt.Scale(domain=list(_VERDICTS), range=list(_VERDICTS.values()))
    base = alt.Chart(frame).transform_filter(chosen)
    rows = base.encode(
        y=alt.Y("pretraining:N", title=None, sort=[POOLED, *groups, ALL]),
        color=alt.Color("verdict:N", title="As accuracy rises, it", scale=scale),
    )
    x = alt.X("spearman:Q", title="Spearman correlation", scale=alt.Scale(domain=[-1, 1]), axis=alt.Axis(values=[-1, -0.5, 0, 0.5, 1], format=".1f"))  # fmt: skip
    numbers = dict.fromkeys(("spearman", "spearman_low", "spearman_high"), ".2f")
    intervals = rows.mark_rule(strokeWidth=2).encode(x="spearman_low:Q", x2="spearman_high:Q")
    points = rows.mark_point(filled=True, size=70, opacity=1).encode(x=x, tooltip=tooltips(("pretraining", "detector", "models", *numbers), numbers))  # fmt: skip
    layers = alt.layer(nil(base), intervals, points).add_params(chosen)
    return by_ood_set(layers.properties(width=300, height=alt.Step(24)))


if __name__ == "__main__":
    run(data, chart)
