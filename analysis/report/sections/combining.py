"""What combining models gains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.report.section_items import SectionBody, findings
from analysis.report.sections.section import Section
from analysis.report.sentences import Text, left_out, percent, sentence
from analysis.studies import combining_models, ensemble_transfer
from analysis.studies.combining_models import GREEDY, SINGLE
from analysis.studies.ranks import read_ranks, stored_ensembles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markupsafe import Markup

    from analysis.report.context import Context
    from analysis.report.sentences import Number

_MOST = 2


def build(context: Context) -> SectionBody:
    """Gain against cost, and transfer between OOD sets."""
    if context.results["model"].n_unique() < 2:
        return SectionBody(not_shown=["Combining models: it takes two models, the lake has one."])
    asked = (context.benchmark, context.best_detector)
    cost = context.figure(
        combining_models,
        "Gain against cost",
        f"The mean of the ID ranks of several models by {context.best_detector}. What is chosen is chosen on one half of the OOD "
        "classes and judged on the other half, then the other way round. Random is the mean of 20 draws.",
        lambda: combining_models.gains(
            context.lake.once(read_ranks, *asked), stored_ensembles(context.lake, context.benchmark)
        ),
        filters=(),
        detector=context.best_detector,
    )
    elsewhere = context.figure(
        ensemble_transfer,
        "Chosen on one OOD set, judged on another",
        "A row is the set chosen on → the set judged on. Open: the single model that is best on the first. Filled: the greedy "
        "combination of up to four models that is best there.",
        lambda: ensemble_transfer.transfers(context.lake.once(read_ranks, *asked)),
        filters=(),
        detector=context.best_detector,
    )
    missing = {
        "Combining models: it takes two models scored on the same datasets, and an OOD set with two classes to split.": cost.frame,
        "Transfer between OOD sets: it takes two models and two OOD sets.": elsewhere.frame,
    }
    return SectionBody(
        findings(_findings(cost.frame), *cost.sql),
        [figure for figure in (cost, elsewhere) if not figure.frame.is_empty()],
        [
            *[why for why, frame in missing.items() if frame.is_empty()],
            *left_out("Sentences on combining models", sorted(set(cost.frame["ood_dataset"])), _MOST),
        ],
    )


def _findings(gains: pl.DataFrame) -> Iterator[Markup]:
    """For each OOD set: the greedy combination against the single best, on classes held out."""
    for (ood,), part in list(gains.group_by("ood_dataset", maintain_order=True))[:_MOST]:
        single = part.filter(pl.col("method") == SINGLE).row(0, named=True)
        # The size is fixed beforehand: choosing it by these numbers would look at the held-out classes.
        greedy = part.filter(pl.col("method") == GREEDY, pl.col("models") <= 4).sort("models").row(-1, named=True)
        after, before = percent(greedy["fpr95"]), percent(single["fpr95"])
        yield sentence(
            "Combining {models} models, chosen greedily, {verdict} the FPR on held-out classes of {ood}: {after} against {before} "
            "of the single best (by {detector}; one split, both ways, so without an interval).",
            models=greedy["models"],
            verdict=Text(_verdict(after, before)),
            ood=str(ood),
            after=after,
            before=before,
            detector=single["detector"],
        )


def _verdict(after: Number, before: Number) -> str:
    """What a change is called: none where the two shares read the same."""
    if after.text == before.text:
        return "does not change"
    return "lowers" if after.value < before.value else "raises"


SECTION = Section("combining", "What does combining models gain?", 70, build)
