"""What the recipe does, all else equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from markupsafe import escape

from analysis.report.section_items import SectionBody, findings
from analysis.report.sections.section import Section
from analysis.report.sentences import Text, hedge, named, points, sentence, span
from analysis.studies import recipe_effects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markupsafe import Markup

    from analysis.report.context import Context
    from analysis.report.section_items import TableView

_MOST = 4
_LEVEL = 0.05
_REGRESSION = ("ood_dataset", "pretraining", "ingredient", "scale", "standardised", "low", "high", "p_holm", "recipes", "checkpoints", "speaks_of")  # fmt: skip
_INTERACTIONS = ("ood_dataset", "ingredient", "from_value", "to_value", "other", "other_from", "other_to", "fours", "clusters", "effect_from", "effect_to", "interaction", "low", "high", "p_holm")  # fmt: skip
_SEEN = "select dataset, pretraining, classes, count(ood_class) as seen from seen_classes join datasets using (dataset) group by all having seen > 0 order by all"


def build(context: Context) -> SectionBody:
    """The differences, and a sentence for the largest effects."""
    figure = context.figure(
        recipe_effects,
        "Effect of each ingredient, all else equal",
        "The mean difference of FPR between models that differ in this ingredient alone, in percentage points, with its 95 % interval over "
        "clusters: pairs of the same two pretrained checkpoints are one, which counts once. An interval is for its change alone: "
        "of twenty changes without any effect, one is expected to have one without zero.",
        filters=(),
    )
    tables, missing = _beside_pairs(context)
    if figure.frame.is_empty():
        why = "Effects of recipe ingredients: no two models are known to differ in exactly one ingredient."
        return SectionBody(items=tables, not_shown=[why, *missing])
    return SectionBody(
        [
            *findings(_findings(context, figure.frame), *figure.sql),
            *findings(map(escape, _seen(context).values()), _SEEN),
        ],
        [figure, *tables],
        [*_left_out(context), *missing],
    )


def _beside_pairs(context: Context) -> tuple[list[TableView], list[str]]:
    """What pairs cannot tell, by the best detector: all ingredients at once, and two together; and why one is not there."""
    by = context.best_detector
    regression = context.answer(
        "regression",
        "All ingredients at once",
        f"Linear regression of the metric of {by} on all ingredients that vary, within each pretraining, with 95 % intervals; p_holm allows "
        "for all rows on an OOD set. It is the answer where recipes differ in many things at once, as after a random search.",
        "recipe_regression",
        detector=by,
    )
    crossed = context.answer(
        "interactions",
        "Whether an effect depends on another ingredient",
        f"Of sets of four models, by {by}: the effect of one ingredient at two values of another, and how far the two differ, with 95 % "
        "intervals over clusters; p_holm allows for all rows on an OOD set.",
        "interactions",
        detector=by,
    )
    told = {
        "Regression on the recipe: too few recipes for the ingredients that vary": regression.of(
            "standardised", _REGRESSION
        ),
        "Interactions of ingredients: no four models differ in exactly two": crossed.of("interaction", _INTERACTIONS),
    }
    return [table for table in told.values() if not table.frame.is_empty()], [
        f"{why}." for why, table in told.items() if table.frame.is_empty()
    ]


def _seen(context: Context) -> dict[tuple[str, str], str]:
    """By OOD set and pretraining data that hold classes of it, how many, as a sentence."""
    rows = context.lake.sql(_SEEN).pl().filter(pl.col("dataset").is_in(context.ood))
    return {
        (
            row["dataset"],
            row["pretraining"],
        ): f"{row['pretraining']} has {row['seen']} of the {row['classes']} classes of "
        f"{row['dataset']}: to models that were pretrained on it, these are not new."
        for row in rows.iter_rows(named=True)
    }


def _left_out(context: Context) -> list[str]:
    """How many models are in no pair, since a part of their recipe is unknown."""
    left = recipe_effects.effects(context.lake, context.benchmark)["left_out"]
    count = int(left.to_numpy().max()) if len(left) else 0
    models = "one model" if count == 1 else f"{count} models"
    why = "a part of whose recipe is unknown; what is unknown of two models does not make them equal"
    return [f"Effects of ingredients on {models}, {why}."] if count else []


def _findings(context: Context, frame: pl.DataFrame) -> list[Markup]:
    """The largest effects of the best detector on the OOD sets, clear ones first, one of each ingredient on each set."""
    of_best = corrected(frame).filter(pl.col("detector") == context.best_detector)
    clear = ((pl.col("high") < 0) | (pl.col("low") > 0)).fill_null(value=False)
    ranked = of_best.sort(clear, pl.col("mean_difference").abs(), descending=True, maintain_order=True)
    largest = ranked.unique(["ingredient", "ood_dataset"], keep="first", maintain_order=True)
    seen = _seen(context)
    return [_finding(row, seen) for row in largest.head(_MOST).iter_rows(named=True)]


def corrected(effects: pl.DataFrame) -> pl.DataFrame:
    """Add `p_page`: p of the mean, by Holm's rule over all changes and detectors on an OOD set, among which a sentence is chosen."""
    left = pl.col("p_mean").count() - pl.int_range(pl.len())
    holm = (pl.col("p_mean") * left).cum_max().clip(upper_bound=1).over("ood_dataset")
    return effects.sort("p_mean", nulls_last=True, maintain_order=True).with_columns(p_page=holm)


def _finding(row: dict[str, Any], seen: Mapping[tuple[str, str], str]) -> Markup:
    low, high, pairs, clusters = row["low"], row["high"], row["pairs"], row["clusters"]
    own = {(row["ood_dataset"], row[value]) for value in ("from_value", "to_value")}
    clear = low is not None and high is not None and (low > 0 or high < 0)
    chance = row["p_page"] is None or row["p_page"] >= _LEVEL
    verdict = (
        "goes with a change of the FPR on {ood} by {difference} points, which among all changes of all ingredients and detectors may be chance"
        if clear and chance
        else "changes the FPR on {ood} by {difference} points"
        if clear
        else "has no clear effect on {ood}: {difference} points of FPR"
    )
    return sentence(
        "{ingredient} from {before} to {after} " + verdict + " ({interval}, {pairs} matched pairs in {clusters} clusters, by {detector})." + hedge(clusters, "clusters of pairs") + "{seen}",
        ingredient=Text(row["ingredient"].replace("_", " ").capitalize()),
        before=named(recipe_effects.in_words(row["from_value"])),
        after=named(recipe_effects.in_words(row["to_value"])),
        ood=row["ood_dataset"],
        difference=points(row["mean_difference"], "effects.mean_difference"),
        interval=Text(span(low, high)),
        pairs=pairs,
        clusters=clusters,
        detector=row["detector"],
        seen=Text("".join(f" {said}" for key, said in seen.items() if row["ingredient"] == "pretraining" and key in own)),
    )  # fmt: skip


SECTION = Section("recipes", "What does the recipe do, all else equal?", 30, build)
