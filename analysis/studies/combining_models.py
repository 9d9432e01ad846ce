"""Combining models: what a few more forward passes gain on OOD classes that nothing was chosen on.

The OOD classes are split in two: models and weights are chosen on one half and judged on the other, then the other way round.
Run it with `python -m analysis.studies.combining_models --lake LAKE --detector DETECTOR --out combining.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import polars as pl

from analysis.charts.palette import COLOURS, by_ood_set, tooltips
from analysis.ensembles.rank_selection import forward_selection, halves, mean_of, separation_weights, weighted
from analysis.studies.command import run
from analysis.studies.ranks import read_ranks, stored_ensembles
from analysis.studies.results import best_detector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.ensembles.rank_selection import Ranks
    from analysis.studies.ranks import ModelRanks, StoredEnsemble
    from featurestore.lake import Lake

SINGLE, GREEDY, ACCURATE, ALL, WEIGHTED, RANDOM, STORED = (
    "single best", "greedy selection", "most accurate", "all, mean of ranks", "all, weighted", "random (mean of 20)", "stored ensemble",
)  # fmt: skip
_METHODS = [GREEDY, ACCURATE, RANDOM, ALL, WEIGHTED, SINGLE, STORED]
_SCHEMA = {"detector": pl.String, "ood_dataset": pl.String, "method": pl.String, "models": pl.Int64, "fpr95": pl.Float64, "params": pl.Float64, "members": pl.String, "gain": pl.Float64}  # fmt: skip
_DRAWS = 20
_NAMED = 8


def data(lake: Lake, benchmark: str = "main", detector: str = "", largest: int = 8) -> pl.DataFrame:
    """One row per OOD set, method and number of models; empty with fewer than two models or two OOD classes.

    Args:
        lake: The lake.
        benchmark: The benchmark.
        detector: Whose ranks to combine; by default that with the lowest mean FPR over models and OOD sets.
        largest: Models in the largest combination that is searched for.

    Returns:
        Columns detector, ood_dataset, method, models (how many: forward passes per image), fpr95 (on the held-out classes,
        mean over both halves), params (of all of them, mean over both halves), members (of the first half) and gain (how
        much lower than the single best). Ensembles that `score --ensemble` stored are judged on the same halves.
    """
    ranked = read_ranks(lake, benchmark, detector or best_detector(lake, benchmark))
    return gains(ranked, stored_ensembles(lake, benchmark), largest)


def gains(ranked: ModelRanks, ensembles: Sequence[StoredEnsemble], largest: int = 8) -> pl.DataFrame:
    """The same from ranks that are read already."""
    rows = [
        (
            ranked.detector,
            ood,
            method,
            len(models),
            value,
            float(ranked.params[models].sum()),
            _named(ranked, models, method),
        )
        for ood, ranks in ranked.ranks.items()
        for select_on, judge_on in halves(ranks.classes)
        for method, models, value in _tried(ranks.of_classes(select_on), ranks.of_classes(judge_on), largest)
    ]
    rows += [
        (e.detector, ood, STORED, e.models, mean_of(ranks.of_classes(judge_on), [0]), e.params, str(e))
        for e in ensembles
        for ood, ranks in e.ranks.items()
        for _, judge_on in halves(ranks.classes)
    ]
    tried = pl.DataFrame(rows, list(_SCHEMA.items())[:-1], orient="row")
    # A stored ensemble is one row of its own; what is searched for has other members in each half.
    which = pl.when(pl.col("method") == STORED).then("members").alias("which")
    of_halves = tried.group_by("detector", "ood_dataset", "method", "models", which, maintain_order=True)
    judged = of_halves.agg(pl.col("fpr95", "params").mean(), pl.col("members").first()).drop("which")
    single = pl.col("fpr95").filter(pl.col("method") == SINGLE).first().over("ood_dataset")
    return judged.with_columns(gain=single - pl.col("fpr95")).sort("ood_dataset", "method", "models")


def _named(ranked: ModelRanks, models: Sequence[int], method: str) -> str:
    if method == RANDOM:
        return ""
    named = ", ".join(ranked.models[model] for model in models[:_NAMED])
    return f"{named} and {len(models) - _NAMED} more" if len(models) > _NAMED else named


def _tried(seen: Ranks, unseen: Ranks, largest: int) -> Iterator[tuple[str, Sequence[int], float]]:
    """Each method, the models that it takes by what it has seen, and its FPR on what it has not. Models come by accuracy."""
    count = len(seen.id)
    if count < 2:
        return
    everyone = list(range(count))
    order = forward_selection(seen, largest)
    yield SINGLE, order[:1], mean_of(unseen, order[:1])
    for size in range(1, len(order) + 1):
        yield GREEDY, order[:size], mean_of(unseen, order[:size])
        yield ACCURATE, everyone[:size], mean_of(unseen, everyone[:size])
        generator = np.random.default_rng(size)
        for drawn in [generator.choice(count, size, replace=False).tolist() for _ in range(_DRAWS)]:
            yield RANDOM, drawn, mean_of(unseen, drawn)
    yield ALL, everyone, mean_of(unseen, everyone)
    yield WEIGHTED, everyone, weighted(unseen, separation_weights(seen))


def chart(frame: pl.DataFrame) -> alt.FacetChart:
    """FPR against the number of models, a line per way to choose them; all models and the single best are points."""
    present = set(frame["method"])
    shown = {name: colour for name, colour in zip(_METHODS, COLOURS, strict=False) if name in present}
    scale = alt.Scale(domain=list(shown), range=list(shown.values()))
    numbers = {"fpr95": ".3f", "gain": "+.3f", "params": ".3s"}
    base = alt.Chart(frame).encode(
        x=alt.X("models:Q", title="Models combined (forward passes per image)", scale=alt.Scale(type="log", base=2, nice=False, padding=14), axis=alt.Axis(format="d", values=[2**n for n in range(11)])),
        y=alt.Y("fpr95:Q", title="FPR at 95 % TPR, held-out classes"),
        color=alt.Color("method:N", title="Chosen by", scale=scale),
        tooltip=tooltips(("ood_dataset", "method", "models", *numbers, "members"), numbers),
    )  # fmt: skip
    layers = alt.layer(base.mark_line(strokeWidth=1.8), base.mark_point(filled=True, size=55, opacity=1))
    figure: alt.FacetChart = by_ood_set(layers.properties(width=320, height=250)).resolve_scale(y="independent")
    return figure


if __name__ == "__main__":
    run(data, chart)
