"""Matched pairs against a double loop over models."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.lakes import put_rows
from tests.sql.conftest import insert
from tests.sql.pool import WHOLE

if TYPE_CHECKING:
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
    kwargs = "+1a2b3c" if "depth" in (model["model_kwargs"] or "") else ""
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
