"""One golden answer per question, computed in plain Python from the pool's rows."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from featurestore.query import catalog
from tests.sql.answers import accuracy, detectors, mistakes, published, ranks, recipes, regressions, samples
from tests.sql.answers.rows import RECIPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb

    from featurestore import Lake

    # From tests/sql/conftest.py: models and metrics as rows.
    Pool = Any
    Row = dict[str, Any]
    Connections = dict[str, duckdb.DuckDBPyConnection]

EFFECT_ORDER = "ood_dataset mean_difference detector from_value to_value"
POOLS = ["whole", "one model", "no recipe", "two pairs", "ties", "none"]


# By question: the golden answer, and the columns that order it (those with a minus sign: largest first).
GOLDEN: Mapping[str, tuple[Callable[..., list[Row]], str]] = {
    "accuracy_fpr_correlation": (accuracy.accuracy_fpr_correlation, "ood_dataset pretraining spearman detector"),
    "accuracy_vs_unit_test_fpr": (accuracy.accuracy_vs_unit_test_fpr, "mean_fpr95 model detector"),
    "best_detector": (detectors.best_detector, "ood_dataset pretraining mean_fpr95 detector"),
    "accuracy_vs_ninco_fpr": (accuracy.accuracy_vs_ninco_fpr, "fpr95 model detector"),
    "augmentation_effect": (recipes.effect("augmentation"), EFFECT_ORDER),
    "best_practice": (recipes.best_practice, "ood_dataset detector advice"),
    "best_recipe": (recipes.best_recipe, " ".join(["place", *RECIPE])),
    "clip_gap": (detectors.clip_gap, "ood_dataset pretraining"),
    "confused_with": (samples.confused_with, "-accepted ood_class place"),
    "coverage": (accuracy.coverage, "-missing detector ood_dataset"),
    "detector_agreement": (samples.detector_agreement, "ood_dataset -mean_spearman first second"),
    "detector_ranks": (ranks.detector_ranks, "mean_rank detector"),
    "ensemble_gain": (detectors.ensemble_gain, "ensemble combination ood_dataset"),
    "full_spectrum": (detectors.full_spectrum, "ood_dataset -auroc_full detector model"),
    "groups": (detectors.groups, "ood_group -mean_auroc detector model"),
    "geometry_predicts_fpr": (detectors.geometry_predicts_fpr, "ood_dataset detector place measure"),
    "hardest_samples": (samples.hardest_samples, "-accepted -mean_id_rank sample"),
    "hyperparameters": (detectors.hyperparameters, "ood_dataset detector constant others value"),
    "miscalibration": (mistakes.miscalibration, "dataset ece model"),
    "interactions": (
        recipes.interactions,
        "ood_dataset detector ingredient other from_value to_value other_from other_to",
    ),
    "model_overview": (detectors.model_overview, "-accuracy model ood_dataset"),
    "ninco_vs_unit_test_fpr": (accuracy.ninco_vs_unit_test_fpr, "fpr95 model detector"),
    "overlaps": (samples.overlaps, "seriousness -samples benchmark dataset other_dataset"),
    "per_class_difficulty": (accuracy.per_class_difficulty, "caught -best_fpr95 -mean_fpr95 ood_dataset ood_class"),
    "published_accuracy_vs_fpr": (published.published_accuracy_vs_fpr, "-accuracy model detector"),
    "published_best_detector": (published.published_best_detector, "pretraining mean_fpr95 detector"),
    "published_comparison": (published.published_comparison, "model published_model detector ood_dataset"),
    "recipe_regression": (regressions.recipe_regression, "ood_dataset detector pretraining feature ingredient"),
    "resolution_effect": (recipes.effect("input_size"), EFFECT_ORDER),
    "selective_prediction": (mistakes.selective_prediction, "model place detector"),
    "soup_vs_ingredients": (recipes.soup_vs_ingredients, "soup ood_dataset detector"),
    "dropout_effect": (recipes.effect("dropout", "dropout+stochastic_depth"), EFFECT_ORDER),
    "finetune_lr_effect": (recipes.effect("finetune_lr"), EFFECT_ORDER),
    "high_accuracy_failures": (accuracy.high_accuracy_failures, "-accuracy model -failed detector"),
    "pretraining_effect": (recipes.pretraining_effect, EFFECT_ORDER),
    "unit_test_heatmap": (accuracy.unit_test_heatmap, "model -fpr95 unit_test"),
    "weight_decay_effect": (recipes.effect("weight_decay"), EFFECT_ORDER),
}
OTHER_PARAMETERS: Mapping[str, list[dict[str, Any]]] = {
    "accuracy_vs_ninco_fpr": [{"detector": "knn", "aggregation": "pooled"}, {"ood": "unit-tests"}],
    "pretraining_effect": [
        {"aggregation": "pooled"},
        {"benchmark": "other"},
        {"aggregation": "pooled", "metric": "aupr_in"},
    ],
    "augmentation_effect": [{"aggregation": "pooled"}],
    "best_practice": [
        {"metric": "aupr_in"},
        {"finetune_lr": 0.003, "detector": "msp"},
        {"pretraining": "in1k", "ood": "ninco"},
        {"weight_decay": 9.0, "aggregation": "pooled"},
    ],
    "best_recipe": [{"metric": "auroc"}, {"ood": "unit-tests", "detector": "msp", "top": 2}],
    "clip_gap": [
        {"metric": "aupr_out"},
        {"feature_based": "knn", "logit_based": "msp"},
        {"feature_based": "mean-rank", "logit_based": "msp"},
    ],
    "confused_with": [{"top": 1, "tpr": 0.5}, {"model": "wd", "ood_class": "fog"}, {"detector": "msp", "tpr": 1.0}],
    "coverage": [{"benchmark": "other"}],
    "detector_agreement": [{"ood": "ninco"}, {"model": "wd"}],
    "detector_ranks": [
        {"ood": "ninco", "metric": "auroc"},
        {"aggregation": "pooled"},
        {"benchmark": "other"},
        {"ood": "no such"},
    ],
    "ensemble_gain": [{"aggregation": "pooled"}],
    "geometry_predicts_fpr": [
        {"ood": "ninco", "detector": "all"},
        {"aggregation": "pooled", "detector": "knn"},
        {"benchmark": "other"},
    ],
    "full_spectrum": [{"ood": "ninco", "detector": "knn"}, {"aggregation": "class_mean", "benchmark": "other"}],
    "groups": [{"group": "near", "detector": "msp"}, {"spectrum": "full"}, {"aggregation": "class_mean"}],
    "hardest_samples": [{"ood": "unit-tests", "top": 3}, {"detector": "knn", "tpr": 0.6}],
    "hyperparameters": [{"constant": "gamma"}, {"base": "knn", "ood": "ninco"}, {"aggregation": "pooled"}],
    "miscalibration": [{"benchmark": "other"}, {"benchmark": "no such"}],
    "interactions": [
        {"ingredient": "weight_decay", "metric": "auroc"},
        {"detector": "all", "ood": "ninco"},
        {"aggregation": "pooled", "detector": "knn"},
    ],
    "model_overview": [{"metric": "auroc"}, {"aggregation": "pooled"}, {"benchmark": "other"}],
    "ninco_vs_unit_test_fpr": [
        {"metric": "aupr_in"},
        {"detector": "knn", "aggregation": "pooled"},
        {"unit_tests": "no such"},
    ],
    "overlaps": [{"benchmark": "other"}, {"benchmark": "no such"}],
    "per_class_difficulty": [{"ood": "ninco"}, {"detector": "msp", "threshold": 0.3}],
    "published_accuracy_vs_fpr": [{"detector": "vim"}],
    "published_comparison": [{"rows": "mine"}, {"aggregation": "pooled"}],
    "selective_prediction": [
        {"ood": "ninco", "detector": "knn"},
        {"aggregation": "pooled", "benchmark": "other"},
        {"ood": "no such"},
    ],
    "recipe_regression": [
        {"least": 1, "detector": "all"},
        {"least": 1, "within": "all", "metric": "auroc"},
        {"within": "all", "aggregation": "pooled", "ood": "ninco"},
        {"least": 1, "benchmark": "other"},
    ],
    "soup_vs_ingredients": [{"aggregation": "pooled"}],
    "accuracy_fpr_correlation": [{"aggregation": "pooled"}, {"benchmark": "other"}],
    "accuracy_vs_unit_test_fpr": [
        {"metric": "aupr_in"},
        {"detector": "msp"},
        {"unit_tests": "ninco"},
        {"benchmark": "other"},
        {"detector": "x"},
    ],
    "best_detector": [
        {"metric": "auroc"},
        {"metric": "aupr_out"},
        {"aggregation": "pooled"},
        {"benchmark": "other"},
        {"benchmark": "no such"},
    ],
    "high_accuracy_failures": [{"top": 1}, {"top": 3, "threshold": 0.3}, {"unit_tests": "ninco"}, {"threshold": 1.0}],
    "unit_test_heatmap": [{"metric": "auroc"}, {"detector": "msp"}, {"detector": "knn", "unit_tests": "ninco"}],
    "weight_decay_effect": [{"aggregation": "pooled"}, {"benchmark": "other"}],
}
ALSO_LOWEST = ("whole", "none")
"""The pools that questions are asked of on the lowest versions of the libraries, too."""


def once(name: str, pool: str, *more: Any) -> Any:
    """A case of a question and a pool."""
    return pytest.param(name, pool, *more, marks=() if pool in ALSO_LOWEST else pytest.mark.once)


CASES = [once(name, pool, {}) for name in GOLDEN for pool in POOLS] + [
    once(name, pool, parameters) for name, many in OTHER_PARAMETERS.items() for parameters in many for pool in POOLS[:2]
]
OF_METRICS = [
    pytest.param(name, pool, {"metric": metric}, marks=() if (metric, pool) == ("auroc", "whole") else pytest.mark.long)
    for name, question in catalog.questions().items()
    if "metric" in question.parameters
    for metric, pool in (("auroc", "ties"), ("auroc", "whole"), ("aupr_in", "whole"), ("aupr_out", "whole"))
]


@pytest.fixture(scope="session")
def connections(lakes: dict[str, Lake]) -> dict[str, duckdb.DuckDBPyConnection]:
    """One connection with all views per lake: questions are plain SQL in any client."""
    return {name: lake.connect() for name, lake in lakes.items()}


def asked(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[Row]:
    """The answer; what was asked before is not computed again."""
    return list(_answer(connection, name, tuple(sorted(parameters.items()))))


@cache
def _answer(connection: duckdb.DuckDBPyConnection, name: str, parameters: tuple[tuple[str, Any], ...]) -> list[Row]:
    question = catalog.questions()[name]
    return connection.sql(question.sql, params=question.bind(dict(parameters))).pl().to_dicts()


def comparable(rows: list[Row], order: str) -> list[tuple[Any, ...]]:
    """The columns that order an answer, nulls last, differences in the last digits forgotten."""

    def key(value: Any, sign: int) -> Any:
        if value is None or isinstance(value, str):
            return (value is None, value or "")
        return (False, sign * round(float(value), 9) + 0.0)

    columns = [(name.removeprefix("-"), -1 if name.startswith("-") else 1) for name in order.split()]
    return [tuple(key(row[name], sign) for name, sign in columns) for row in rows]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_finding_names_its_paper_and_the_place_in_it(name: str) -> None:
    finding = catalog.questions()[name].finding
    assert not finding or re.search(r"\(arXiv \d{4}\.\d{4,5}, [^()]*\w[^()]*\)", finding)


def test_every_question_has_a_golden_answer() -> None:
    """A new question comes with an independent computation of its answer."""
    assert set(GOLDEN) == set(catalog.questions())
    assert set(OTHER_PARAMETERS) <= set(GOLDEN)


@pytest.mark.parametrize(("name", "pool", "parameters"), [*CASES, *OF_METRICS], ids=str)
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


@pytest.mark.parametrize(("name", "pool"), [once(name, pool) for name in GOLDEN for pool in POOLS])
def test_the_order_is_the_documented_one_and_total(connections: Connections, name: str, pool: str) -> None:
    """The ordering columns tell all rows apart, so that the same lake always prints the same answer."""
    keys = comparable(asked(connections[pool], name), GOLDEN[name][1])
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("pool", [pytest.param("whole", marks=pytest.mark.once), "none"])
@pytest.mark.parametrize("name", GOLDEN)
def test_the_header_names_the_answer_s_columns(lakes: dict[str, Lake], name: str, pool: str) -> None:
    """What `--explain` promises is what comes, in that order, also from an empty lake."""
    assert lakes[pool].ask(name).columns == list(catalog.questions()[name].columns)


@pytest.mark.parametrize("name", GOLDEN)
def test_no_answer_has_the_json_of_an_architecture(connections: Connections, name: str) -> None:
    """Networks with arguments of their own have short names, which tell them apart."""
    for row in asked(connections["whole"], name):
        assert not any("num_heads" in str(value) for value in row.values()), row


def test_short_names_tell_architectures_apart(connections: Connections) -> None:
    """Neither the size of the images nor the number of classes makes another; models and results have both names."""
    connection = connections["whole"]
    query = "select distinct short_architecture, architecture from {} where model in ('base', 'deep', 'deeper') order by all"
    for view in ("models", "results"):
        found = dict(connection.execute(query.format(view)).fetchall())
        assert set(found.values()) == {"vit_small_patch16_224"}
        plain, *custom = found
        assert (plain, len(custom)) == ("vit_small_patch16_224", 2)
        assert all(re.fullmatch(r"vit_small_patch16_224\+[0-9a-f]{6}", name) for name in custom)
    both = "'deep' in (first, second) and 'deeper' in (first, second)"
    rows = connection.execute(
        f"select first_value, second_value from pairs where ingredient = 'architecture' and {both}"
    )
    assert [set(row) for row in rows.fetchall()] == [set(custom)]
    texts = connection.execute("select from_value, to_value from effects where ingredient = 'architecture'").fetchall()
    assert texts
    assert not any("{" in value for pair in texts for value in pair if value)


@pytest.mark.parametrize("name", [name for name in GOLDEN if not name.startswith("published_")])
def test_an_empty_lake_answers_with_no_rows(connections: Connections, name: str) -> None:
    assert asked(connections["none"], name) == []


@pytest.mark.parametrize("name", [name for name in GOLDEN if name.endswith("_effect")])
def test_without_pairs_there_is_no_effect(connections: Connections, name: str) -> None:
    """A single model makes no pair, nor one of which a part is unknown; each answer counts these."""
    assert asked(connections["one model"], name) == []
    rows = asked(connections["no recipe"], name)
    assert {(row["pairs"], row["clusters"], row["from_value"], row["left_out"]) for row in rows} == {(0, 0, None, 1)}


def test_a_single_pair_has_no_interval(connections: Connections) -> None:
    rows = asked(connections["two pairs"], "weight_decay_effect")
    assert rows
    assert {(row["pairs"], row["low"], row["high"]) for row in rows} == {(1, None, None)}
