"""The unit-tests that models fail."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from analysis.report.content import Content, Figure, Section, TableView
from analysis.report.wording import Number, hedge, percent, sentence
from analysis.studies import unit_test_heatmap

if TYPE_CHECKING:
    from analysis.report.context import Context

_QUESTION = "accuracy_vs_unit_test_fpr"


def build(context: Context) -> Content:
    """The heatmap and the question's answer."""
    if context.unit_tests is None:
        return Content(
            not_shown=["Unit-tests: no OOD set is named unit-tests; make one with `featurestore unit-tests`."]
        )
    answer = context.ask(_QUESTION, unit_tests=context.unit_tests)
    figure = Figure(
        "unit-test-heatmap",
        "Unit-test by model",
        "Each column is a model, each row a kind of synthetic image that no model should accept. Blue passes; orange fails, "
        "since more than 10 % are accepted at 95 % TPR.",
        unit_test_heatmap.data(context.lake, context.benchmark, context.unit_tests),
        partial(unit_test_heatmap.chart, detector=context.detectors[0]),
        context.script(unit_test_heatmap, unit_tests=context.unit_tests),
        filters=("pretraining",),
    )
    table = TableView(
        "unit-tests", "Unit-tests failed", "Mean FPR over the unit-tests, and how many a model fails.", answer,
        context.question(_QUESTION, unit_tests=context.unit_tests), ("accuracy", "mean_fpr95"),
    )  # fmt: skip
    return Content(_findings(context, answer), [figure, table])


def _findings(context: Context, answer: pl.DataFrame) -> list[str]:
    """The most accurate model by its best and worst detector, and how many models pass all by the best."""
    own = answer.filter(pl.col("model") == context.model).sort("failed", "mean_fpr95", "detector")
    if own.is_empty() or own["accuracy"].null_count():
        return []
    best, worst = own.row(0, named=True), own.row(-1, named=True)
    of_best = answer.filter(pl.col("detector") == best["detector"])
    passed = of_best.filter(pl.col("failed") == 0).height
    which = (
        "its best detector, {detector}, and {worst_failed} with its worst, {worst}." if len(own) > 1 else "{detector}."
    )
    return [
        sentence(
            "The most accurate model, {model} ({accuracy}), fails {failed} of {kinds} unit-tests with " + which,
            model=context.model,
            accuracy=percent(best["accuracy"], f"{_QUESTION}.accuracy"),
            failed=Number(best["failed"], str(best["failed"]), f"{_QUESTION}.failed"),
            kinds=best["unit_tests"],
            detector=best["detector"],
            worst=worst["detector"],
            worst_failed=Number(worst["failed"], str(worst["failed"]), f"{_QUESTION}.failed"),
        ),
        sentence(
            "{passed} of {models} models pass all {kinds} unit-tests with {detector}." + hedge(len(of_best)),
            passed=passed,
            models=len(of_best),
            kinds=best["unit_tests"],
            detector=best["detector"],
        ),
    ]


SECTION = Section("unit-tests", "Images that no model should accept", 40, build)
