"""One model from close by: its scores, and what another threshold would cost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from analysis.report.content import Content, Figure, Section
from analysis.studies import score_distributions, threshold_explorer

if TYPE_CHECKING:
    from analysis.report.context import Context


def build(context: Context) -> Content:
    """Distributions and curves of the most accurate model."""
    if not context.lake.partitions("scores", benchmark=context.benchmark, model=context.model):
        return Content(not_shown=[f"Scores of {context.model}: the lake holds its metrics, and no scores of it."])
    distributions = score_distributions.data(context.lake, context.benchmark, context.model)
    curves = threshold_explorer.data(context.lake, context.benchmark, context.model)
    return Content(
        intro=f"The most accurate model, {context.model}.",
        items=[
            Figure(
                "score-distributions",
                "Scores of ID and OOD samples",
                "The dashed line is the threshold that accepts 95 % of ID test samples: OOD to the right of it is accepted. Scores "
                "beyond the axis count in its outermost bars.",
                distributions,
                partial(score_distributions.chart, detector=context.detectors[0]),
                context.script(score_distributions, model=context.model),
                filters=(),
            ),
            Figure(
                "threshold-explorer",
                "FPR against TPR",
                "What another threshold costs, over all samples of each OOD set: move along a curve to read it. The dashed line is the usual 95 %.",
                curves,
                partial(threshold_explorer.chart, detectors=context.detectors),
                context.script(threshold_explorer, model=context.model),
                filters=("detector",),
            ),
        ],
    )


SECTION = Section("one-model", "One model from close by", 50, build)
