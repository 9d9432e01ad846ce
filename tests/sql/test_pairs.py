"""Matched pairs against a double loop over models."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.lakes import put_rows
from tests.sql.conftest import insert

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from featurestore import Lake

maybe = st.none
CHOICES = {
    "architecture": st.sampled_from(["vit", "swin"]),
    "model_kwargs": st.sampled_from([None, "{}", '{"img_size":32}', '{"depth":2,"img_size":64}', '{"depth":2}']),
    "input_size": st.sampled_from([32, 224]),
    "pretraining": maybe() | st.sampled_from(["in1k", "in21k", "scratch"]),
    "pretrain_epochs": maybe() | st.sampled_from([7.0, 300.0]),
    "pretrain_lr": st.sampled_from([0.001, 0.003]),
    "pretrain_weight_decay": maybe() | st.just(0.03),
    "weight_decay": maybe() | st.sampled_from([0.0, 1e-4, 0.03, 0.1, 10.0]),
    "dropout": maybe() | st.sampled_from([0.0, 0.1]),
    "stochastic_depth": st.sampled_from([0.0, 0.1]),
    "augmentation": maybe() | st.sampled_from(["light", "1", "1.0", "10", "9"]),
    "finetune_dataset": st.sampled_from(["in1k", "none"]),
    "finetune_lr": maybe() | st.just(0.01),
    "finetune_steps": maybe() | st.sampled_from([500, 20_000]),
    "finetune_epochs": maybe() | st.just(8.0),
    "soup_of": maybe() | st.sampled_from([["a", "b"], ["a"]]),
    "recipe": maybe() | st.sampled_from(['{"seed":1}', '{"mix":1}', '{"mix":1,"run":2}']),
    # No part of the recipe.
    "params": st.integers(1, 2),
    "checkpoint_id": maybe() | st.just("c"),
}
NOT_BY_THEMSELVES = {"architecture", "model_kwargs", "input_size", "recipe", "params", "checkpoint_id"}
OPTIONAL = {"pretrain_weight_decay", "soup_of", "recipe"}
OF_PRETRAINING = {"pretrain_epochs", "pretrain_lr", "pretrain_weight_decay"}
recipes = st.fixed_dictionaries(CHOICES)


@st.composite
def similar_models(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Models each made from another by a change or two: random recipes would hardly ever differ in just one place."""
    known = {"weight_decay": 0.03, "dropout": 0.0, "augmentation": "light", "finetune_steps": 500, "finetune_lr": 0.01}
    pretraining = {"pretraining": draw(st.sampled_from(["in1k", "scratch"])), "pretrain_epochs": 7.0}
    base = draw(recipes) | known | pretraining
    models = [base]
    for _ in range(draw(st.integers(0, 5))):
        changed = draw(st.lists(st.sampled_from(list(CHOICES)), max_size=2))
        models.append(draw(st.sampled_from(models)) | {name: draw(CHOICES[name]) for name in changed})
    return [{"model": f"m{i}", **recipe} for i, recipe in enumerate(models)]


def ingredients(model: dict[str, Any]) -> dict[str, Any]:
    """What counts as an ingredient: the image size is the resolution's, not the architecture's; repeats are alike."""
    kwargs = '{"depth":2}' if "depth" in (model["model_kwargs"] or "") else "{}"
    found = {
        "architecture": f"{model['architecture']}{kwargs}",
        "resolution": model["input_size"],
        **{name: model[name] for name in CHOICES if name not in NOT_BY_THEMSELVES},
        "recipe": "mix" if "mix" in (model["recipe"] or "") else None,
    }
    unused = set(OPTIONAL)
    if model["pretraining"] == "scratch":
        unused |= OF_PRETRAINING
        found |= dict.fromkeys(OF_PRETRAINING)
    if model["finetune_dataset"] == "none":
        unused |= {"finetune_lr", "finetune_steps", "finetune_epochs"}
        found |= dict.fromkeys(("finetune_lr", "finetune_steps", "finetune_epochs"))
    if found["finetune_steps"] or found["finetune_epochs"]:
        unused |= {"finetune_steps", "finetune_epochs"}
    is_known = all(value is not None or name in unused for name, value in found.items())
    return found if is_known else {}


def is_smaller(first: Any, second: Any) -> bool:
    """Numbers by size, also where they are written as text; other texts, and equal numbers, by their letters."""
    try:
        if float(first) != float(second):
            return float(first) < float(second)
    except (TypeError, ValueError):
        pass
    return str(first) < str(second)


def naive_pairs(models: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """The double loop: over recipes that are known whole, the first model of each."""
    known = {model["model"]: ingredients(model) for model in models if ingredients(model)}
    firsts = {name: mine for name, mine in known.items() if name == min(n for n in known if known[n] == mine)}
    found = set()
    for (first, a), (second, b) in itertools.permutations(firsts.items(), 2):
        differing = {name for name in a if a[name] != b[name]}
        if (a["pretraining"] == "scratch") != (b["pretraining"] == "scratch"):
            differing -= OF_PRETRAINING
        together = ["dropout", "stochastic_depth"]
        names = together if differing == set(together) else sorted(differing)
        is_pair = names == together or len(names) == 1
        if is_pair and None not in (a[names[0]], b[names[0]]) and is_smaller(a[names[0]], b[names[0]]):
            found.add(("+".join(names), first, second))
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(models=similar_models())
def test_pairs_are_those_of_a_double_loop(connection: duckdb.DuckDBPyConnection, models: list[dict[str, Any]]) -> None:
    """Two recipes that are known whole make a pair where exactly one ingredient differs; the smaller value comes first."""
    insert(connection, "models", models)
    found = connection.execute("select ingredient, first, second from pairs").fetchall()
    assert len(found) == len(set(found))
    assert set(found) == naive_pairs(models)
    complete = connection.execute("select distinct model from ingredients where complete").fetchall()
    assert {name for (name,) in complete} == {model["model"] for model in models if ingredients(model)}


WHOLE = {
    "architecture": "vit", "input_size": 224, "pretraining": "in21k", "pretrain_epochs": 300.0, "pretrain_lr": 0.001,
    "weight_decay": 0.03, "dropout": 0.0, "stochastic_depth": 0.0, "augmentation": "light1", "finetune_dataset": "in1k",
    "finetune_lr": 0.01, "finetune_steps": 20_000,
}  # fmt: skip
"""A recipe of which everything is known."""
metric_rows = st.lists(
    st.tuples(
        st.sampled_from(["main", "other"]),
        st.sampled_from(["m0", "m1", "m2"]),
        st.sampled_from(["msp", "knn"]),
        st.sampled_from(["ninco", "unit-tests"]),
        st.sampled_from([("class", "dune"), ("class", "fog"), ("pooled", None)]),
    ),
    unique=True,
    max_size=25,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    decays=st.lists(st.none() | st.sampled_from([0.0, 0.03, 0.1]), min_size=3, max_size=3, unique=True),
    cells=metric_rows,
)
def test_differences_are_those_of_a_double_loop(
    connection: duckdb.DuckDBPyConnection, decays: list[float | None], cells: list[tuple[Any, ...]]
) -> None:
    """Each pair gives one difference per benchmark, detector, OOD set, class and aggregation that both models have."""
    models = [WHOLE | {"model": f"m{i}", "weight_decay": decay} for i, decay in enumerate(decays)]
    values = {cell: (i * 7 % 11 / 11, i * 5 % 13 / 13) for i, cell in enumerate(cells)}
    insert(connection, "models", models)
    names = "benchmark", "model", "detector", "ood_dataset", "aggregation", "ood_class", "fpr95", "auroc"
    rows = [dict(zip(names, (*cell[:4], *cell[4], *numbers), strict=True)) for cell, numbers in values.items()]
    insert(connection, "metrics", rows)
    expected = set()
    for a, b in itertools.permutations(models, 2):
        if None in (a["weight_decay"], b["weight_decay"]) or a["weight_decay"] >= b["weight_decay"]:
            continue
        for (benchmark, model, detector, ood, aggregate), mine in values.items():
            theirs = values.get((benchmark, b["model"], detector, ood, aggregate))
            if model == a["model"] and theirs:
                differences = [theirs[0] - mine[0], theirs[1] - mine[1]]
                expected.add((a["model"], b["model"], benchmark, detector, ood, *aggregate, *differences))
    query = """
        select first, second, benchmark, detector, ood_dataset, aggregation, ood_class, fpr95_difference, auroc_difference
        from paired_differences where ingredient = 'weight_decay'
    """
    found = connection.execute(query).fetchall()
    assert len(found) == len(expected)
    assert set(found) == expected


def test_values_are_shown_as_text(lake: Lake) -> None:
    """A pair says what differs, from the stored rows of a real lake."""
    for name, dropout in (("b", 0.1), ("a", 0.0)):
        put_rows(lake, "models", {"model": name}, WHOLE | {"dropout": dropout})
    assert lake.sql("select * exclude (cluster) from pairs").fetchall() == [("a", "b", "dropout", "0.0", "0.1")]


def judge(connection: duckdb.DuckDBPyConnection, models: list[dict[str, Any]], fpr95: Sequence[float]) -> None:
    """Put models, each with its fpr95 by one detector on one OOD set."""
    insert(connection, "models", models)
    cell = {"benchmark": "main", "detector": "msp", "ood_dataset": "ninco", "aggregation": "class_mean"}
    rows = [{"model": m["model"], **cell, "fpr95": float(x), "auroc": 0.5} for m, x in zip(models, fpr95, strict=True)]
    insert(connection, "metrics", rows)


def effect_of(connection: duckdb.DuckDBPyConnection, ingredient: str) -> dict[tuple[str, str], dict[str, Any]]:
    rows = connection.sql("from effects where ingredient = ?", params=[ingredient]).pl().to_dicts()
    return {(row["from_value"], row["to_value"]): row for row in rows}


def test_repeats_are_one_recipe(connection: duckdb.DuckDBPyConnection) -> None:
    """Three seeds of each of two recipes are one pair, of their means: not nine; and a seed is no ingredient."""
    seeds = [(decay, seed) for decay in (0.03, 0.1) for seed in range(3)]
    models = [
        WHOLE | {"model": f"{decay}-{seed}", "weight_decay": decay, "recipe": f'{{"run":{seed}}}'}
        for decay, seed in seeds
    ]
    judge(connection, models, [0.30, 0.32, 0.34, 0.31, 0.29, 0.24])
    row = effect_of(connection, "weight_decay")["0.03", "0.1"]
    assert (row["pairs"], row["clusters"], row["low"], row["p"], row["left_out"]) == (1, 1, None, 1.0, 0)
    assert row["mean_difference"] == pytest.approx(0.28 - 0.32)
    assert connection.execute("select distinct ingredient from pairs").fetchall() == [("weight_decay",)]


def test_what_is_unknown_of_both_makes_no_pair(connection: duckdb.DuckDBPyConnection) -> None:
    """Two models alike in all that is known of them, but not in whether they had dropout: left out, and counted."""
    models = [WHOLE | {"model": f"m{decay}", "weight_decay": decay, "dropout": None} for decay in (0.03, 0.1)]
    judge(connection, models, [0.3, 0.2])
    ((values, row),) = effect_of(connection, "weight_decay").items()
    assert (values, row["pairs"], row["clusters"], row["left_out"]) == ((None, None), 0, 0, 2)


def test_finetunes_of_one_checkpoint_are_one_cluster(connection: duckdb.DuckDBPyConnection) -> None:
    """By the recipe, or where the recipes tell two apart, by the name of the checkpoint."""
    rates = [(rate, decay) for decay in (0.03, 0.1) for rate in (0.01, 0.03)]
    models = [
        WHOLE | {"model": f"m{i}", "finetune_lr": rate, "weight_decay": decay, "checkpoint_id": None}
        for i, (rate, decay) in enumerate(rates)
    ]
    judge(connection, models, [0.1, 0.2, 0.3, 0.4])
    row = effect_of(connection, "finetune_lr")["0.01", "0.03"]
    assert (row["pairs"], row["clusters"]) == (2, 2)
    judge(
        connection, [m | {"checkpoint_id": "clip", "pretrain_weight_decay": 0.2} for m in models], [0.1, 0.2, 0.3, 0.4]
    )
    row = effect_of(connection, "finetune_lr")["0.01", "0.03"]
    assert (row["pairs"], row["clusters"], row["low"]) == (2, 1, None)


def test_a_decay_of_the_finetuning_tells_no_checkpoints_apart(connection: duckdb.DuckDBPyConnection) -> None:
    """Where that of pretraining is told apart; else the only one that is told is taken for it."""
    decays = [(0.1, 0.0), (0.1, 0.01), (None, 0.1), (0.03, 0.1)]
    insert(
        connection,
        "models",
        [
            WHOLE | {"model": f"m{i}", "pretrain_weight_decay": pretraining, "weight_decay": decay}
            for i, (pretraining, decay) in enumerate(decays)
        ],
    )
    found = dict(connection.execute("select distinct model, checkpoint from ingredients").fetchall())
    assert found["m0"] == found["m1"] == found["m2"] != found["m3"]


# The design of the paper's 224 models: each combination of seven augmentations, two weight decays, two regularisations and
# two pretrainings is a checkpoint, which was finetuned with two rates at two sizes.
CHECKPOINTS, FINETUNES = (7, 2, 2, 2), (2, 2)
DESIGN = list(itertools.product(*map(range, CHECKPOINTS + FINETUNES)))


def design_models() -> list[dict[str, Any]]:
    augmentations = ("none", "light0", "light1", "medium1", "medium2", "strong1", "strong2")
    return [
        WHOLE | {
            "model": f"m{i:03d}", "augmentation": augmentations[aug], "weight_decay": (0.03, 0.1)[decay],
            "dropout": 0.1 * reg, "stochastic_depth": 0.1 * reg, "pretraining": ("in1k", "in21k")[pre],
            "finetune_lr": (0.01, 0.03)[rate], "input_size": (224, 384)[size],
        }
        for i, (aug, decay, reg, pre, rate, size) in enumerate(DESIGN)
    ]  # fmt: skip


def drawn(generator: np.random.Generator, draws: int, correlation: float) -> np.ndarray:
    """Numbers of unit variance for each draw and model of the design; finetunes of a checkpoint are correlated."""
    of_checkpoint = generator.normal(size=(draws, *CHECKPOINTS, 1, 1)) * np.sqrt(correlation)
    return of_checkpoint + generator.normal(size=(draws, *CHECKPOINTS, *FINETUNES)) * np.sqrt(1 - correlation)


def clustered_interval(values: np.ndarray, axis: int, first: int, second: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Ends of the interval of each draw, for one ingredient: the differences of pairs, a mean per cluster, Student's t.

    Args:
        values: Numbers, (draws, *CHECKPOINTS, *FINETUNES).
        axis: The ingredient's place in the design.
        first: The index of its first value.
        second: That of its second.
    """
    differences = np.take(values, [second], 1 + axis) - np.take(values, [first], 1 + axis)
    means = differences.mean((-2, -1)).reshape(len(values), -1)
    count = means.shape[1]
    half = stats.t.ppf(0.975, count - 1) * means.std(1, ddof=1) / np.sqrt(count)
    return means.mean(1) - half, means.mean(1) + half, count


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_intervals_cover_what_they_say_where_finetunes_are_alike(correlation: float) -> None:
    """Without any effect, 93 to 97 % of the nominal 95 % intervals include zero; of those that take pairs for independent, not."""
    values = drawn(np.random.default_rng(0), 4000, correlation)
    for axis, second in ((0, 6), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)):
        low, high, _ = clustered_interval(values, axis, 0, second)
        assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97
    pairs = (values[:, :, 1] - values[:, :, 0]).reshape(4000, -1)
    half = stats.t.ppf(0.975, 111) * pairs.std(1, ddof=1) / np.sqrt(112)
    assert (np.mean(abs(pairs.mean(1)) <= half) >= 0.93) == (correlation == 0)


def test_effects_have_the_interval_that_was_simulated(connection: duckdb.DuckDBPyConnection) -> None:
    """On one draw of the design: pairs, clusters, means and intervals of all ingredients."""
    values = drawn(np.random.default_rng(1), 1, 0.5)
    judge(connection, design_models(), values.ravel())
    asked = {
        ("weight_decay", "0.03", "0.1"): (1, 0, 1, 112, 28),
        ("dropout+stochastic_depth", "0.0+0.0", "0.1+0.1"): (2, 0, 1, 112, 28),
        ("pretraining", "in1k", "in21k"): (3, 0, 1, 112, 28),
        ("finetune_lr", "0.01", "0.03"): (4, 0, 1, 112, 56),
        ("resolution", "224", "384"): (5, 0, 1, 112, 56),
        ("augmentation", "light0", "strong2"): (0, 1, 6, 32, 8),
    }
    for (ingredient, before, after), (axis, first, second, pairs, clusters) in asked.items():
        row = effect_of(connection, ingredient)[before, after]
        low, high, count = clustered_interval(values, axis, first, second)
        assert (row["pairs"], row["clusters"], count) == (pairs, clusters, clusters)
        assert (row["low"], row["high"]) == (pytest.approx(low[0]), pytest.approx(high[0]))
