"""One model from close by: its scores, and what another threshold would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.report.section_items import SectionBody
from analysis.report.sections.section import Section
from analysis.studies import score_distributions, threshold_explorer
from analysis.studies.results import model_scores

if TYPE_CHECKING:
    from analysis.report.context import Context


def build(context: Context) -> SectionBody:
    """Distributions and curves of the most accurate model."""
    if not context.lake.partitions("scores", benchmark=context.benchmark, model=context.model):
        return SectionBody(not_shown=[f"Scores of {context.model}: the lake holds its metrics, and no scores of it."])
    asked = (model_scores, context.benchmark, context.model)
    distributions = context.figure(
        score_distributions,
        "Scores of ID and OOD samples",
        "A panel per dataset, on equal scales. The line is the threshold that accepts 95 % of ID test samples: what lies at or right of it is "
        "accepted. Scores beyond the axis count in its outermost bars.",
        lambda: score_distributions.distributions(context.lake.once(*asked)),
        filters=(),
        model=context.model,
    )
    curves = context.figure(
        threshold_explorer,
        "FPR against TPR",
        "What another threshold costs, over all samples of each OOD set: move along a curve to read it. The dashed line is the usual 95 %.",
        lambda: threshold_explorer.curves(context.lake.once(*asked)),
        filters=("detector",),
        model=context.model,
    )
    return SectionBody(items=[distributions, curves], intro=f"The most accurate model, {context.model}.")


SECTION = Section("one-model", "One model from close by", 50, build)
