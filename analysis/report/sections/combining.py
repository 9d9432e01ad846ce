"""What combining models gains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.report.content import Content, Figure, Section
from analysis.report.wording import Text, percent, sentence
from analysis.studies import combining_models, ensemble_transfer
from analysis.studies.combining_models import GREEDY, SINGLE
from analysis.studies.ranks import read_pool, stored_ensembles

if TYPE_CHECKING:
    from analysis.report.context import Context


def build(context: Context) -> Content:
    """Gain against cost, and transfer between OOD sets."""
    models = context.results["model"].n_unique()
    if models < 2:
        return Content(not_shown=["Combining models: it takes two models, the lake has one."])
    pool = read_pool(context.lake, context.benchmark, context.detectors[0])
    gains = combining_models.gains(pool, stored_ensembles(context.lake, context.benchmark))
    transfer = ensemble_transfer.transfers(pool)
    items: list[Figure] = []
    not_shown = []
    if gains.is_empty():
        not_shown.append(
            "Combining models: it takes two models scored on the same datasets, and an OOD set with two classes to split."
        )
    else:
        items.append(
            Figure(
                "combining-models",
                "Gain against cost",
                f"The mean of the ID ranks of several models by {context.detectors[0]}. What is chosen is chosen on one half of the OOD "
                "classes and judged on the other half, then the other way round. Random is the mean of 20 draws.",
                gains,
                combining_models.chart,
                context.script(combining_models, detector=context.detectors[0]),
                filters=(),
            )
        )
    if transfer.is_empty():
        not_shown.append("Transfer between OOD sets: it takes two models and two OOD sets.")
    else:
        items.append(
            Figure(
                "ensemble-transfer",
                "Chosen on one OOD set, judged on another",
                "A row is the set chosen on → the set judged on. Open: the single model that is best on the first. Filled: the greedy "
                "combination of up to four models that is best there.",
                transfer,
                ensemble_transfer.chart,
                context.script(ensemble_transfer, detector=context.detectors[0]),
                filters=(),
            )
        )
    return Content(_findings(gains), items, not_shown)


def _findings(gains: pl.DataFrame) -> list[str]:
    """For each OOD set: the greedy combination against the single best, on classes held out."""
    found = []
    for (ood,), part in list(gains.group_by("ood_dataset", maintain_order=True))[:2]:
        single = part.filter(pl.col("method") == SINGLE).row(0, named=True)
        # The size is fixed beforehand: choosing it by these numbers would look at the held-out classes.
        greedy = part.filter(pl.col("method") == GREEDY, pl.col("models") <= 4).sort("models").row(-1, named=True)
        verdict = "lowers" if greedy["gain"] > 0 else "does not lower"
        found.append(
            sentence(
                "Combining {models} models, chosen greedily, {verdict} the FPR on held-out classes of {ood}: {after} against {before} "
                "of the single best (by {detector}; one split, both ways, so without an interval).",
                models=greedy["models"],
                verdict=Text(verdict),
                ood=str(ood),
                after=percent(greedy["fpr95"]),
                before=percent(single["fpr95"]),
                detector=single["detector"],
            )
        )
    return found


SECTION = Section("combining", "Combining models", 70, build)
