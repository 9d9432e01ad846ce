"""One golden answer per question, computed in plain Python from the pool's rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from featurestore.query import catalog
from tests.sql import answers, sample_answers
from tests.sql.answers import grouped, interval, of_model, selected, sign_test, t_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb

    from featurestore import Lake

    # From tests/sql/conftest.py: models and metrics as rows.
    Pool = Any
    Row = dict[str, Any]
    Connections = dict[str, duckdb.DuckDBPyConnection]

# The pairs of the pool that differ in one ingredient alone, by hand: ingredient, first, second.
PAIRS = [
    ("weight_decay", "base", "wd"),
    ("weight_decay", "drop", "wd-drop"),
    ("weight_decay", "lr", "lr-wd"),
    ("weight_decay", "strong", "strong-wd"),
    ("dropout", "base", "drop"),
    ("dropout", "wd", "wd-drop"),
    ("dropout+stochastic_depth", "no-depth", "drop-depth"),
    ("finetune_lr", "base", "lr"),
    ("finetune_lr", "wd", "lr-wd"),
    ("pretraining", "scratch", "base"),
    ("pretraining", "base", "published"),
    ("pretraining", "scratch", "published"),
    ("augmentation", "base", "strong"),
    ("augmentation", "wd", "strong-wd"),
    ("augmentation", "large", "large-strong"),
    ("input_size", "base", "large"),
    ("input_size", "strong", "large-strong"),
    ("input_size", "b-224", "b-384"),
]
EFFECT_ORDER = "ood_dataset mean_difference detector from_value to_value"
POOLS = ["whole", "one model", "no recipe", "two pairs", "ties", "none"]


def accuracy_vs_unit_test_fpr(
    pool: Pool, benchmark: str = "main", unit_tests: str = "unit-tests", detector: str = "all"
) -> list[Row]:
    rows = selected(pool, benchmark=benchmark, ood_dataset=unit_tests, aggregation="class")
    return [
        {
            "model": model,
            "pretraining": of_model(pool, model)["pretraining"],
            "detector": name,
            "accuracy": of_model(pool, model)["accuracy"],
            "mean_fpr95": np.mean([row["fpr95"] for row in group]),
            "failed": sum(row["fpr95"] > 0.1 for row in group),
            "unit_tests": len(group),
        }
        for (model, name), group in grouped(rows, lambda r: (r["model"], r["detector"])).items()
        if detector in {"all", name}
    ]


def accuracy_fpr_correlation(pool: Pool, benchmark: str = "main", aggregation: str = "class_mean") -> list[Row]:
    rows = selected(pool, benchmark=benchmark, aggregation=aggregation)
    answer = []
    cells = grouped(rows, lambda r: (r["ood_dataset"], "all", r["detector"]))
    cells |= grouped(rows, lambda r: (r["ood_dataset"], of_model(pool, r["model"])["pretraining"], r["detector"]))
    for (ood, pretraining, detector), every in cells.items():
        group = [r for r in every if of_model(pool, r["model"])["accuracy"] is not None]
        accuracy = [of_model(pool, r["model"])["accuracy"] for r in group]
        fpr = [r["fpr95"] for r in group]
        defined = len(set(accuracy)) > 1 and len(set(fpr)) > 1
        pearson = np.corrcoef(accuracy, fpr)[0, 1] if defined else None
        spearman = stats.spearmanr(accuracy, fpr).statistic if defined else None
        row = {"ood_dataset": ood, "pretraining": pretraining, "detector": detector, "models": len(group)}
        row |= {"left_out": len(every) - len(group), "pearson": pearson, "spearman": spearman}
        answer.append(row | interval("pearson", pearson, len(group)) | interval("spearman", spearman, len(group)))
    return answer


def best_detector(pool: Pool, benchmark: str = "main", aggregation: str = "class_mean") -> list[Row]:
    rows = selected(pool, benchmark=benchmark, aggregation=aggregation)
    best = {
        key: min(r["fpr95"] for r in group)
        for key, group in grouped(rows, lambda r: (r["ood_dataset"], r["model"])).items()
    }
    by = grouped(rows, lambda r: (r["ood_dataset"], of_model(pool, r["model"])["pretraining"], r["detector"]))
    return [
        {
            "ood_dataset": ood,
            "pretraining": pretraining,
            "detector": detector,
            "models": len(group),
            "wins": sum(r["fpr95"] == best[ood, r["model"]] for r in group),
            "mean_fpr95": np.mean([r["fpr95"] for r in group]),
            "mean_auroc": np.mean([r["auroc"] for r in group]),
        }
        for (ood, pretraining, detector), group in by.items()
    ]


def high_accuracy_failures(
    pool: Pool, benchmark: str = "main", unit_tests: str = "unit-tests", top: int = 5, threshold: float = 0.1
) -> list[Row]:
    rows = selected(pool, benchmark=benchmark, ood_dataset=unit_tests, aggregation="class")
    accuracies = {r["model"]: of_model(pool, r["model"])["accuracy"] for r in rows}
    ranked = [name for name, accuracy in accuracies.items() if accuracy is not None]
    leaders = sorted(ranked, key=lambda name: (-accuracies[name], name))[:top]
    failing = [r for r in rows if r["model"] in leaders and r["fpr95"] > threshold]
    answer = []
    for (model, detector), group in grouped(failing, lambda r: (r["model"], r["detector"])).items():
        worst_first = sorted(group, key=lambda r: (-r["fpr95"], r["ood_class"]))
        answer.append(
            {
                "model": model,
                "accuracy": accuracies[model],
                "detector": detector,
                "failed": len(group),
                "worst": worst_first[0]["ood_class"],
                "worst_fpr95": worst_first[0]["fpr95"],
                "failures": [r["ood_class"] for r in worst_first],
                "left_out": len(accuracies) - len(ranked),
            }
        )
    return answer


def unit_test_heatmap(
    pool: Pool, benchmark: str = "main", unit_tests: str = "unit-tests", detector: str = "mahalanobis"
) -> list[Row]:
    rows = selected(pool, benchmark=benchmark, ood_dataset=unit_tests, aggregation="class", detector=detector)
    return [
        {"model": r["model"], "unit_test": r["ood_class"], "fpr95": r["fpr95"], "failed": r["fpr95"] > 0.1}
        for r in rows
    ]


def known(pool: Pool, name: str, ingredient: str) -> str | None:
    """A model's value of an ingredient as text, joined by + where it is two."""
    values = [of_model(pool, name).get(part) for part in ingredient.split("+")]
    return None if None in values else "+".join(str(value) for value in values)


def effect(*ingredients: str) -> Callable[..., list[Row]]:
    def answer(pool: Pool, benchmark: str = "main", aggregation: str = "class_mean") -> list[Row]:
        rows = selected(pool, benchmark=benchmark, aggregation=aggregation)
        of = {(r["model"], r["ood_dataset"], r["detector"]): r for r in rows}
        found = []
        for ingredient, first, second in (pair for pair in PAIRS if pair[0] in ingredients):
            for (model, ood, detector), a in of.items():
                if model == first and (second, ood, detector) in of:
                    values = known(pool, first, ingredient), known(pool, second, ingredient)
                    found.append({"key": (ood, detector, *values), "a": a, "b": of[second, ood, detector]})
        left_out = Counter(
            (ood, detector)
            for model, ood, detector in of
            if known(pool, model, ingredients[0]) is None and model != "all-in-one"
        )
        groups = grouped(found, lambda pair: pair["key"])
        for cell in set(left_out) - {key[:2] for key in groups}:
            groups[*cell, None, None] = []
        return [summary(key, group) | {"left_out": left_out[key[:2]]} for key, group in groups.items()]

    return answer


def summary(key: tuple[Any, ...], group: list[Row]) -> Row:
    fpr = np.array([pair["b"]["fpr95"] - pair["a"]["fpr95"] for pair in group])
    auroc = np.array([pair["b"]["auroc"] - pair["a"]["auroc"] for pair in group])
    low, high = t_interval(fpr)
    improved, worsened = int((fpr < 0).sum()), int((fpr > 0).sum())
    return {
        "ood_dataset": key[0],
        "detector": key[1],
        "from_value": key[2],
        "to_value": key[3],
        "pairs": len(group),
        "mean_difference": fpr.mean() if len(fpr) else None,
        "low": low,
        "high": high,
        "improved": improved,
        "worsened": worsened,
        "p": sign_test(improved, worsened),
        "mean_auroc_difference": auroc.mean() if len(fpr) else None,
    }


# By question: the golden answer, and the columns that order it (those with a minus sign: largest first).
GOLDEN: Mapping[str, tuple[Callable[..., list[Row]], str]] = {
    "accuracy_fpr_correlation": (accuracy_fpr_correlation, "ood_dataset pretraining spearman detector"),
    "accuracy_vs_unit_test_fpr": (accuracy_vs_unit_test_fpr, "mean_fpr95 model detector"),
    "best_detector": (best_detector, "ood_dataset pretraining mean_fpr95 detector"),
    "accuracy_vs_ninco_fpr": (answers.accuracy_vs_ninco_fpr, "fpr95 model detector"),
    "augmentation_effect": (effect("augmentation"), EFFECT_ORDER),
    "best_recipe": (answers.best_recipe, answers.RECIPE_ORDER),
    "clip_gap": (answers.clip_gap, "ood_dataset pretraining"),
    "confused_with": (sample_answers.confused_with, "-accepted ood_class place"),
    "coverage": (answers.coverage, "-missing detector ood_dataset"),
    "detector_agreement": (sample_answers.detector_agreement, "ood_dataset -mean_spearman first second"),
    "ensemble_gain": (answers.ensemble_gain, "ensemble combination ood_dataset"),
    "geometry_predicts_fpr": (answers.geometry_predicts_fpr, "ood_dataset detector place measure"),
    "hardest_samples": (sample_answers.hardest_samples, "-accepted -mean_id_rank sample"),
    "per_class_difficulty": (answers.per_class_difficulty, "caught -best_fpr95 -mean_fpr95 ood_dataset ood_class"),
    "published_accuracy_vs_fpr": (answers.published_accuracy_vs_fpr, "-accuracy model detector"),
    "published_best_detector": (answers.published_best_detector, "pretraining mean_fpr95 detector"),
    "published_comparison": (answers.published_comparison, "model published_model detector ood_dataset"),
    "resolution_effect": (effect("input_size"), EFFECT_ORDER),
    "soup_vs_ingredients": (answers.soup_vs_ingredients, "soup ood_dataset detector"),
    "dropout_effect": (
        effect("dropout", "dropout+stochastic_depth"),
        EFFECT_ORDER,
    ),
    "finetune_lr_effect": (effect("finetune_lr"), EFFECT_ORDER),
    "high_accuracy_failures": (high_accuracy_failures, "-accuracy model -failed detector"),
    "pretraining_effect": (effect("pretraining"), EFFECT_ORDER),
    "unit_test_heatmap": (unit_test_heatmap, "model -fpr95 unit_test"),
    "weight_decay_effect": (effect("weight_decay"), EFFECT_ORDER),
}
OTHER_PARAMETERS: Mapping[str, list[dict[str, Any]]] = {
    "accuracy_vs_ninco_fpr": [{"detector": "knn", "aggregation": "pooled"}, {"ood": "unit-tests"}],
    "augmentation_effect": [{"aggregation": "pooled"}],
    "best_recipe": [{"ood": "unit-tests", "detector": "msp", "top": 2}],
    "clip_gap": [{"feature_based": "knn", "logit_based": "msp"}, {"feature_based": "mean-rank", "logit_based": "msp"}],
    "confused_with": [{"top": 1, "tpr": 0.5}, {"model": "wd", "ood_class": "fog"}, {"detector": "msp", "tpr": 1.0}],
    "coverage": [{"benchmark": "other"}],
    "detector_agreement": [{"ood": "ninco"}, {"model": "wd"}],
    "ensemble_gain": [{"aggregation": "pooled"}],
    "geometry_predicts_fpr": [
        {"ood": "ninco", "detector": "all"},
        {"aggregation": "pooled", "detector": "knn"},
        {"benchmark": "other"},
    ],
    "hardest_samples": [{"ood": "unit-tests", "top": 3}, {"detector": "knn", "tpr": 0.6}],
    "per_class_difficulty": [{"ood": "ninco"}, {"detector": "msp", "threshold": 0.3}],
    "published_accuracy_vs_fpr": [{"detector": "vim"}],
    "published_comparison": [{"rows": "mine"}, {"aggregation": "pooled"}],
    "soup_vs_ingredients": [{"aggregation": "pooled"}],
    "accuracy_fpr_correlation": [{"aggregation": "pooled"}, {"benchmark": "other"}],
    "accuracy_vs_unit_test_fpr": [
        {"detector": "msp"},
        {"unit_tests": "ninco"},
        {"benchmark": "other"},
        {"detector": "x"},
    ],
    "best_detector": [{"aggregation": "pooled"}, {"benchmark": "other"}, {"benchmark": "no such"}],
    "high_accuracy_failures": [{"top": 1}, {"top": 3, "threshold": 0.3}, {"unit_tests": "ninco"}, {"threshold": 1.0}],
    "unit_test_heatmap": [{"detector": "msp"}, {"detector": "knn", "unit_tests": "ninco"}],
    "weight_decay_effect": [{"aggregation": "pooled"}, {"benchmark": "other"}],
}
CASES = [(name, pool, {}) for name in GOLDEN for pool in POOLS] + [
    (name, pool, parameters) for name, many in OTHER_PARAMETERS.items() for parameters in many for pool in POOLS[:2]
]


@pytest.fixture(scope="module")
def connections(lakes: dict[str, Lake]) -> dict[str, duckdb.DuckDBPyConnection]:
    """One connection with all views per lake: questions are plain SQL in any client."""
    return {name: lake.connect() for name, lake in lakes.items()}


def asked(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[Row]:
    question = catalog.questions()[name]
    return connection.sql(question.sql, params=question.bind(parameters)).pl().to_dicts()


def comparable(rows: list[Row], order: str) -> list[tuple[Any, ...]]:
    """The columns that order an answer, nulls last, differences in the last digits forgotten."""

    def key(value: Any, sign: int) -> Any:
        if value is None or isinstance(value, str):
            return (value is None, value or "")
        return (False, sign * round(float(value), 9) + 0.0)

    columns = [(name.removeprefix("-"), -1 if name.startswith("-") else 1) for name in order.split()]
    return [tuple(key(row[name], sign) for name, sign in columns) for row in rows]


def test_every_question_has_a_golden_answer() -> None:
    """A new question comes with an independent computation of its answer."""
    assert set(GOLDEN) == set(catalog.questions())
    assert set(OTHER_PARAMETERS) <= set(GOLDEN)


@pytest.mark.parametrize(("name", "pool", "parameters"), CASES, ids=str)
def test_the_answer_is_the_golden_one(
    connections: Connections, pools: dict[str, Pool], name: str, pool: str, parameters: dict[str, Any]
) -> None:
    """SQL and plain Python agree row by row, for whole and small pools, ties and missing recipes."""
    golden, order = GOLDEN[name]
    found = asked(connections[pool], name, **parameters)
    wanted = golden(pools[pool], **parameters)
    for answer in (found, wanted):
        answer.sort(key=lambda row: comparable([row], order))
    assert len(found) == len(wanted)
    for row, expected in zip(found, wanted, strict=True):
        assert row == {
            key: pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
            for key, value in expected.items()
        }


@pytest.mark.parametrize("name", GOLDEN)
def test_the_whole_pool_has_something_to_say(lakes: dict[str, Lake], connections: Connections, name: str) -> None:
    """No golden test passes for want of rows; and `Lake.ask` gives what its SQL gives."""
    rows = lakes["whole"].ask(name).pl().to_dicts()
    assert len(rows) >= 3
    assert comparable(rows, GOLDEN[name][1]) == comparable(asked(connections["whole"], name), GOLDEN[name][1])


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("name", GOLDEN)
def test_the_order_is_the_documented_one_and_total(connections: Connections, name: str, pool: str) -> None:
    """The ordering columns tell all rows apart, so that the same lake always prints the same answer."""
    keys = comparable(asked(connections[pool], name), GOLDEN[name][1])
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("pool", ["whole", "none"])
@pytest.mark.parametrize("name", GOLDEN)
def test_the_header_names_the_answer_s_columns(lakes: dict[str, Lake], name: str, pool: str) -> None:
    """What `--explain` promises is what comes, in that order, also from an empty lake."""
    assert lakes[pool].ask(name).columns == list(catalog.questions()[name].columns)


@pytest.mark.parametrize("name", [name for name in GOLDEN if not name.startswith("published_")])
def test_an_empty_lake_answers_with_no_rows(connections: Connections, name: str) -> None:
    assert asked(connections["none"], name) == []


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.endswith("_effect")])
def test_without_pairs_there_is_no_effect(connections: Connections, name: str) -> None:
    """A single model, or models with an unknown ingredient, make no pair; those whose value is not known are counted."""
    assert asked(connections["one model"], name) == []
    rows = asked(connections["no recipe"], name)
    assert {(row["pairs"], row["from_value"], row["left_out"]) for row in rows} <= {(0, None, 1)}
    assert bool(rows) == (name == "pretraining_effect")


def test_a_single_pair_has_no_interval(connections: Connections) -> None:
    rows = asked(connections["two pairs"], "weight_decay_effect")
    assert rows
    assert {(row["pairs"], row["low"], row["high"]) for row in rows} == {(1, None, None)}
