"""Does a combination that was chosen on one OOD set help on another?

Run it with `python -m analysis.studies.ensemble_transfer --lake LAKE --detector DETECTOR --out transfer.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import COLOURS, FPR, GREY, single_panel, tooltips
from analysis.ensembles.rank_selection import forward_selection, mean_of
from analysis.studies.command import run
from analysis.studies.ranks import read_ranks
from analysis.studies.results import best_detector

if TYPE_CHECKING:
    from analysis.studies.ranks import ModelRanks
    from featurestore.lake import Lake

_SCHEMA = {"detector": pl.String, "chosen_on": pl.String, "judged_on": pl.String, "models": pl.Int64, "single_fpr95": pl.Float64, "fpr95": pl.Float64, "members": pl.String}  # fmt: skip


def data(lake: Lake, benchmark: str = "main", detector: str = "", size: int = 4) -> pl.DataFrame:
    """One row per OOD set to choose on and other OOD set to judge on; empty with one OOD set or one model.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        detector: Whose ranks to combine; by default that with the lowest mean FPR over models and OOD sets.
        size: Models in the combination.

    Returns:
        Columns detector, chosen_on, judged_on, models, single_fpr95 (of the single model that is best on `chosen_on`), fpr95
        (of the greedy combination chosen there), members, and gain (how much lower it is), all of `judged_on`.
    """
    return transfers(read_ranks(lake, benchmark, detector or best_detector(lake, benchmark)), size)


def transfers(ranked: ModelRanks, size: int = 4) -> pl.DataFrame:
    """The same from ranks that are read already."""
    rows = []
    for source, seen in ranked.ranks.items() if len(ranked.models) > 1 and len(ranked.ranks) > 1 else ():
        order = forward_selection(seen, size)
        names = ", ".join(ranked.models[model] for model in order)
        rows += [
            (ranked.detector, source, target, len(order), mean_of(ranks, order[:1]), mean_of(ranks, order), names)
            for target, ranks in ranked.ranks.items()
            if target != source
        ]
    return pl.DataFrame(rows, _SCHEMA, orient="row").with_columns(gain=pl.col("single_fpr95") - pl.col("fpr95"))


def chart(frame: pl.DataFrame) -> alt.TopLevelMixin:
    """A dumbbell per pair of OOD sets, chosen on → judged on, from the single model (open) to the combination (filled)."""
    named = alt.Chart(frame).transform_calculate(pair="datum.chosen_on + ' → ' + datum.judged_on")
    base = named.encode(y=alt.Y("pair:N", title=None))
    x = alt.X("single_fpr95:Q", title=FPR, scale=alt.Scale(zero=False, padding=12), axis=alt.Axis(tickCount=8))
    line = base.mark_rule(strokeWidth=2, color=GREY).encode(x=x, x2="fpr95:Q")
    numbers = dict.fromkeys(("single_fpr95", "fpr95", "gain"), ".3f")
    dots = base.encode(tooltip=tooltips(("chosen_on", "judged_on", "models", *numbers, "members"), numbers))
    single = dots.mark_point(size=65, strokeWidth=2, fill="white", fillOpacity=1, color=GREY).encode(x=x)
    combined = dots.mark_point(size=80, filled=True, opacity=1, color=COLOURS[0]).encode(x="fpr95:Q")
    return single_panel(alt.layer(line, single, combined), width=420, height=alt.Step(28))


if __name__ == "__main__":
    run(data, chart)
