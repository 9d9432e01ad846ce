"""Sentences of the sections: each claims what its numbers hold, and no more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import polars as pl

from analysis.report.sections import accuracy, combining, detectors, geometry, recipes, soups
from analysis.studies import combining_models, recipe_effects
from tests.analysis.report.conftest import said


def test_a_predictor_is_as_clear_as_its_p_values() -> None:
    """Alone, a correlation may be clear; as the best of 25, not; and what holds within pretrainings is said first."""
    row = {"ood_dataset": "far", "detector": "msp", "measure": "nc1", "models": 30, "n": 30, "n_within": 30} | {
        f"{name}{end}": value
        for name in ("spearman", "within")
        for end, value in (("", 0.5), ("_low", 0.1), ("_high", 0.7))
    }

    def said_of(p: float | None, p_holm: float | None, **changed: float | str | None) -> str:
        verdict = {"verdict": "weaker than 0.5"}
        return geometry._predictor(row | verdict | {"p": p, "p_holm": p_holm} | changed, 25)

    assert "among models of equal pretraining, the FPR of <b>msp</b> goes with <b>nc1</b>, also when the 25" in said_of(
        0.001, 0.01
    )
    assert "may be chance" in said_of(0.01, 0.2)
    assert "none of 25" in said_of(0.2, 1.0)
    assert "too few models to tell" in said_of(None, None)
    assert "too few models to tell" in said_of(0.2, 1.0, verdict="too few to tell")
    assert "may be chance" in said_of(0.01, 0.2, verdict="too few to tell")
    assert "10 values of 30 models" in said_of(0.2, 1.0, n_within=10)
    assert "the sign is the other" not in said_of(0.2, 1.0)
    assert "Over all models the sign is the other" in said_of(0.2, 1.0, spearman=-0.8)
    assert "over all models, whatever their pretraining" in said_of(0.001, 0.01, within=None)


def test_accuracy_is_told_within_pretrainings_first() -> None:
    """What all models say is said where it is the opposite."""
    row = {"ood_dataset": "far", "detector": "msp", "models": 30, "n": 30, "spearman_low": 0.1, "spearman_high": 0.7}
    row |= {"verdict": "rises"}
    within, overall = row | {"spearman": 0.5}, row | {"spearman": -0.8}
    said_of = accuracy._finding(within, overall)
    assert "among models of equal pretraining, more accurate ones accept <em>more</em>" in said_of
    assert "Over all models the sign is the other" in said_of
    assert "the sign is the other" not in accuracy._finding(within, within)
    assert "too few to tell" in accuracy._finding(within | {"verdict": "too few to tell"}, within)
    assert "hardly go together" in accuracy._finding(within | {"verdict": "weaker than 0.5"}, within)
    assert "4 values of 30 models" in within_text(within | {"n": 4})
    assert "whatever their pretraining" in accuracy._finding(None, overall)


def within_text(row: dict[str, Any]) -> str:
    return said(accuracy._finding(row, row))


def of_detectors(*rows: tuple[str, float, float | None, float | None, str]) -> str:
    """The sentence on the best of these detectors: each with its mean FPR, how far it is behind and the interval's lower end, and the verdict."""
    alike = {"ood_dataset": "far", "pretraining": "in21k", "models": 8, "checkpoints": 5, "wins": 1}
    names = ("detector", "mean_fpr95", "behind", "behind_low", "verdict")
    answer = pl.DataFrame([alike | dict(zip(names, row, strict=True)) for row in rows], orient="row")
    answer = answer.with_columns(behind_high=2 * pl.col("behind") - pl.col("behind_low"))
    return said(detectors._finding(SimpleNamespace(metric="fpr95"), answer, "far"))


def test_the_best_detector_is_compared_with_the_next() -> None:
    """By the question's interval over checkpoints, widened for the choice; where it holds zero, the two cannot be told apart."""
    best, last = ("msp", 0.2, None, None, "leads"), ("vim", 1.0, 0.8, 0.7, "behind")
    clear = of_detectors(last, ("knn", 0.508, 0.308, 0.2, "behind"), best)
    assert "detector msp accept the least OOD: 20.0 % at 95 % TPR (n = 8 from 5 checkpoints" in clear
    assert "with the next, knn, it is 50.8 %, a difference of +30.8 points (95 % interval 20.0 to 41.6 points" in clear
    assert "widened since the best was chosen" in clear
    alike = of_detectors(last, ("knn", 0.202, 0.002, -0.1, "too few to tell"), best)
    assert "it cannot be told apart from the next, knn, with 20.2 %" in alike
    # Over models another may lead than over checkpoints, which count once.
    assert "detector msp accept" in of_detectors(("knn", 0.199, 0.002, -0.1, "too few to tell"), best)
    single = of_detectors(best, ("knn", 0.3, 0.1, None, "too few to tell"))
    assert "cannot be told apart" in single
    assert "no interval" in single
    assert "the next" not in of_detectors(best)


def test_a_gain_is_one_only_where_its_digits_and_its_interval_say_so() -> None:
    """Shares that read the same are no gain; nor is a mean over soups whose interval holds zero."""
    columns = {"ood_dataset": "far", "detector": "knn"}
    for after, verdict in ((0.8268, "does not change"), (0.8276, "raises"), (0.7, "lowers"), (0.9, "raises")):
        rows = [{"method": combining_models.SINGLE, "models": 1, "fpr95": 0.8272, "gain": 0.0}]
        rows += [{"method": combining_models.GREEDY, "models": 4, "fpr95": after, "gain": 0.8272 - after}]
        (line,) = combining._findings(pl.DataFrame([columns | row for row in rows]))
        assert f"chosen greedily, {verdict} the FPR" in said(line)
    context = SimpleNamespace(best_detector="knn")
    for gains, verdict in (
        ([0.1, 0.12, 0.11], "the mean gain is +11.0 points"),
        ([0.1, -0.1, 0.0004], "cannot be told"),
    ):
        parts = [columns | {"part": "soup", "soup": f"s{n}", "group": n, "gain": gain} for n, gain in enumerate(gains)]
        (line,) = soups._findings(context, pl.DataFrame(parts))
        assert verdict in said(line)
    assert "On far, 1 of 3 soups" in said(line)
    # Soups that share ingredients are one value: of a single group there is no interval, and no gain is told.
    (line,) = soups._findings(context, pl.DataFrame(parts).with_columns(group=pl.lit(0)))
    assert "(no interval, as all share ingredients, by" in said(line)


def test_ingredients_are_told_without_json() -> None:
    assert recipe_effects.in_words('{"mixup":0.5,"smoothing":null}') == "mixup 0.5, smoothing None"
    assert recipe_effects.in_words('{"mixup":0.2}') == "mixup 0.2"
    for text in ("resnet50+1a2b3c", "0.1", "odd{", "{}"):
        assert recipe_effects.in_words(text) == text


def test_feature_spaces_differ_only_where_the_widened_interval_says_so() -> None:
    """The furthest is named either way; that it stands out is said of one without zero."""
    row = {"measure": "nc1", "pretraining": "clip", "difference": -2.0, "checkpoints": 6, "other_checkpoints": 9}

    def said_of(low: float, high: float) -> str:
        (found,) = geometry._differences(pl.DataFrame([row | {"low": low, "high": high}]))
        return found

    clear, unclear = said_of(-3.0, -1.0), said_of(-5.0, 1.0)
    assert "stands out" in clear
    assert "2.0</data> standard deviations below the others (95\u00a0% interval 1.00 to 3.00" in clear
    assert "none can be told from chance; furthest is <b>nc1</b>" in unclear
    assert "interval −1.00 to 5.00" in unclear


def test_effects_are_corrected_for_all_that_they_are_chosen_among() -> None:
    """Holm's rule by hand, on each OOD set; a change without p is none of them."""
    effects = pl.DataFrame(
        {
            "ood_dataset": ["far", "near", "far", "far", "near", "far"],
            "ingredient": ["a", "a", "b", "b", "b", "c"],
            "p_mean": [0.04, 0.01, 0.01, 0.015, None, 0.9],
        }
    )
    found = recipes.corrected(effects).sort("ood_dataset", "p_mean", nulls_last=True)
    assert found["p_page"].round(9).to_list() == [0.04, 0.045, 0.08, 0.9, 0.01, None]
