"""What the recipe does, all else equal."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from analysis.report.content import Content, Figure, Section
from analysis.report.wording import Text, hedge, points, sentence, span
from analysis.studies import recipe_effects

if TYPE_CHECKING:
    from analysis.report.context import Context

_MOST = 4


def build(context: Context) -> Content:
    """The dumbbells, and a sentence for the largest effects."""
    frame = recipe_effects.data(context.lake, context.benchmark)
    if frame.is_empty():
        return Content(
            not_shown=["Effects of recipe ingredients: no two models are known to differ in exactly one ingredient."]
        )
    figure = Figure(
        "recipe-effects",
        "Effect of each ingredient, all else equal",
        "From the open to the filled dot: the mean FPR of models that differ in this ingredient alone, before and after the "
        "change. The band is the 95 % interval of the difference, as far as shares go; where it reaches the open dot, the effect "
        "may be nil. It is for each change alone: of twenty changes without any effect, one is expected to have one without zero.",
        frame,
        partial(recipe_effects.chart, detector=context.detectors[0]),
        context.script(recipe_effects),
        filters=(),
    )
    return Content(_findings(context, frame), [figure], _left_out(context))


def _left_out(context: Context) -> list[str]:
    """Ingredients that are unknown for some models, which are then in no pair."""
    effects = recipe_effects.effects(context.lake, context.benchmark)
    counts = (
        effects.group_by("ingredient").agg(pl.col("left_out").max()).filter(pl.col("left_out") > 0).sort("ingredient")
    )
    said = [f"{name.replace('_', ' ')}, {count} model{'' if count == 1 else 's'}" for name, count in counts.iter_rows()]
    return [f"Effects of ingredients on models whose value of them is unknown: {'; '.join(said)}."] if said else []


def _findings(context: Context, frame: pl.DataFrame) -> list[str]:
    """The largest effects of the best detector on the OOD sets, clear ones first, one of each ingredient on each set."""
    of_best = frame.filter(pl.col("detector") == context.detectors[0])
    clear = (pl.col("high") < 0) | (pl.col("low") > 0)
    ranked = of_best.sort(
        clear.fill_null(value=False), pl.col("mean_difference").abs(), descending=True, maintain_order=True
    )
    largest = ranked.unique(["ingredient", "ood_dataset"], keep="first", maintain_order=True)
    return [_finding(row) for row in largest.head(_MOST).iter_rows(named=True)]


def _finding(row: dict[str, object]) -> str:
    low, high, pairs = row["low"], row["high"], row["pairs"]
    assert isinstance(pairs, int)  # noqa: S101 # a column's type
    clear = isinstance(low, float) and isinstance(high, float) and (low > 0 or high < 0)
    return sentence(
        "{ingredient} from {before} to {after} "
        + (
            "changes the FPR on {ood} by {difference} points"
            if clear
            else "has no clear effect on {ood}: {difference} points of FPR"
        )
        + " ({interval}, {pairs} matched pairs, by {detector})."
        + hedge(pairs, "pairs"),
        ingredient=Text(str(row["ingredient"]).replace("_", " ").capitalize()),
        before=str(row["from_value"]),
        after=str(row["to_value"]),
        ood=str(row["ood_dataset"]),
        difference=points(float(str(row["mean_difference"])), "effects.mean_difference"),
        interval=Text(span(low, high)),  # type: ignore[arg-type] # numbers or None
        pairs=pairs,
        detector=str(row["detector"]),
    )


SECTION = Section("recipes", "What the recipe does", 30, build)
