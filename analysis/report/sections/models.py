"""Every model: how it was trained, how accurate it is, and how well its best detector does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analysis.report.section_items import SectionBody, TableView
from analysis.report.sections.section import Section

if TYPE_CHECKING:
    from analysis.report.context import Context

_FEW_SETS = 3
_NUMBERS = ("fpr95", "auroc")
_ENDS = [f"{name}{end}" for name in _NUMBERS for end in ("", "_low", "_high")]


def build(context: Context) -> SectionBody:
    """One table, the most accurate models first: FPR and AUROC of each OOD set, or of many sets their means."""
    answer = context.answer("models-table", "Models", "", "model_overview")
    frame = answer.frame
    # A model of whose best detector some sets are not judged has no mean that others' compare with.
    means = [pl.col(name).mean().alias(f"mean {name}") for name in _NUMBERS]
    wide = frame.group_by("model", "recipe", "accuracy", "detector", maintain_order=True).agg(means)
    if len(context.ood) <= _FEW_SETS:
        wide = wide.drop("mean fpr95", "mean auroc")
        for ood in context.ood:
            of_set = frame.filter(pl.col("ood_dataset") == ood)
            named = {name: f"{ood} {name.replace('fpr', 'FPR').replace('auroc', 'AUROC')}" for name in _ENDS}
            wide = wide.join(of_set.select("model", *named).rename(named), on="model", how="left")
    known = wide.rename({"detector": "best detector"}).select(
        pl.all().exclude([column.name for column in wide if column.null_count() == len(wide)])
    )
    detectors = frame["detectors"].to_numpy().max()
    chosen = f"Best detector: of up to {detectors}, the one with the best mean of {context.metric} over the OOD sets. It is chosen by the numbers shown, which flatters it." if detectors > 1 else ""  # fmt: skip
    caption = f"The most accurate first; intervals are what other images might have given. Recipe: what differs among these models. {chosen}"
    shares = tuple(name for name in known.columns if name.endswith("FPR95"))
    return SectionBody(items=[TableView("models-table", "Models", caption, known, answer.sql, shares, opened=True)])


SECTION = Section("models", "Which models are there, and how good are they?", 0, build)
