"""The unit-tests that models fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from analysis.report.section_items import SectionBody, findings
from analysis.report.sections.section import Section
from analysis.report.sentences import Number, hedge, percent, sentence
from analysis.studies import unit_test_heatmap

if TYPE_CHECKING:
    from markupsafe import Markup

    from analysis.report.context import Context

_QUESTION = "accuracy_vs_unit_test_fpr"


def build(context: Context) -> SectionBody:
    """The heatmap and the question's answer."""
    if context.unit_tests is None:
        why = "Unit-tests: no OOD set is named unit-tests; make one with `featurestore unit-tests`."
        return SectionBody(not_shown=[why])
    figure = context.figure(
        unit_test_heatmap,
        "Unit-test by model",
        "Each column is a model, each row a kind of synthetic image that no model should accept. Blue passes; orange fails, "
        "since more than 10 % are accepted at 95 % TPR.",
        filters=("pretraining",),
        unit_tests=context.unit_tests,
    )
    table = context.answer(
        "unit-tests",
        "Unit-tests failed",
        "Mean FPR over the unit-tests, and how many a model fails.",
        _QUESTION,
        ("accuracy", "mean_fpr95"),
        unit_tests=context.unit_tests,
    )
    return SectionBody(findings(_findings(context, table.frame), *table.sql), [figure, table])


def _findings(context: Context, answer: pl.DataFrame) -> list[Markup]:
    """The most accurate model by its best and worst detector, and how many models pass all by the best."""
    own = answer.filter(pl.col("model") == context.model).sort("failed", "mean_fpr95", "detector")
    if own.is_empty() or own["accuracy"].null_count():
        return []
    best, worst = own.row(0, named=True), own.row(-1, named=True)
    of_best = answer.filter(pl.col("detector") == best["detector"])
    if len(own) == 1:
        which = "{detector}."
    elif best["failed"] == worst["failed"]:
        which = "each of its detectors."
    else:
        which = "its best detector, {detector}, and {worst_failed} with its worst, {worst}."
    told, passing = best["fails"] is not None, pl.col("failed") == 0
    if told:
        which += " Of the {failed}, {fails} are told by so many images; {undecided} of all are undecided."
        passing = (pl.col("fails") == 0) & (pl.col("undecided") == 0)
    return [
        sentence(
            "The most accurate model, {model} ({accuracy}), fails {failed} of {kinds} unit-tests with " + which,
            fails=best["fails"] if told else 0,
            undecided=best["undecided"] if told else 0,
            model=context.model,
            accuracy=percent(best["accuracy"], f"{_QUESTION}.accuracy"),
            failed=_failed(best),
            kinds=best["unit_tests"],
            detector=best["detector"],
            worst=worst["detector"],
            worst_failed=_failed(worst),
        ),
        sentence(
            "{passed} of {models} models pass all {kinds} unit-tests with {detector}"
            + (", as far as so many images tell" if told else "")
            + "."
            + hedge(len(of_best)),
            passed=of_best.filter(passing).height,
            models=len(of_best),
            kinds=best["unit_tests"],
            detector=best["detector"],
        ),
    ]


def _failed(row: dict[str, Any]) -> Number:
    return Number(row["failed"], str(row["failed"]), f"{_QUESTION}.failed")


SECTION = Section("unit-tests", "Which images that no model should accept do models accept?", 40, build)
