"""Matched pairs against a double loop over models."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.lakes import put
from tests.sql.conftest import insert

if TYPE_CHECKING:
    import duckdb

    from featurestore import Lake

maybe = st.none
CHOICES = {
    "architecture": st.sampled_from(["vit", "swin"]),
    "model_kwargs": st.sampled_from([None, "{}", '{"img_size":32}', '{"depth":2,"img_size":64}', '{"depth":2}']),
    "input_size": st.sampled_from([32, 224]),
    "pretraining": maybe() | st.sampled_from(["in1k", "in21k"]),
    "weight_decay": maybe() | st.sampled_from([0.0, 1e-4, 0.03, 0.1, 10.0]),
    "dropout": maybe() | st.sampled_from([0.0, 0.1]),
    "augmentation": maybe() | st.sampled_from(["light", "1", "1.0", "10", "9"]),
    "finetune_steps": maybe() | st.sampled_from([500, 20_000]),
    "soup_of": maybe() | st.sampled_from([["a", "b"], ["a"]]),
    "recipe": maybe() | st.just('{"seed":1}'),
    # These do not count: they go with the pretraining, or are no part of the recipe.
    "pretrain_epochs": st.sampled_from([7.0, 300.0]),
    "params": st.integers(1, 2),
}
NOT_BY_THEMSELVES = {"architecture", "model_kwargs", "input_size", "pretrain_epochs", "params"}
recipes = st.fixed_dictionaries(CHOICES)


@st.composite
def similar_models(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Models each made from another by a change or two: random recipes would hardly ever differ in just one place."""
    base = draw(recipes)
    models = [base]
    for _ in range(draw(st.integers(0, 5))):
        changed = draw(st.lists(st.sampled_from(list(CHOICES)), max_size=2))
        models.append(draw(st.sampled_from(models)) | {name: draw(CHOICES[name]) for name in changed})
    return [{"model": f"m{i}", **recipe} for i, recipe in enumerate(models)]


def ingredients(model: dict[str, Any]) -> dict[str, Any]:
    """What counts as an ingredient: the image size is the resolution's, not the architecture's."""
    kwargs = '{"depth":2}' if "depth" in (model["model_kwargs"] or "") else "{}"
    return {
        "architecture": f"{model['architecture']}{kwargs}",
        "resolution": model["input_size"],
        **{name: model[name] for name in CHOICES if name not in NOT_BY_THEMSELVES},
    }


def is_smaller(first: Any, second: Any) -> bool:
    """Numbers by size, also where they are written as text; other texts, and equal numbers, by their letters."""
    try:
        if float(first) != float(second):
            return float(first) < float(second)
    except (TypeError, ValueError):
        pass
    return str(first) < str(second)


def naive_pairs(models: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    found = set()
    for a, b in itertools.permutations(models, 2):
        mine, others = ingredients(a), ingredients(b)
        differing = [name for name in mine if mine[name] != others[name]]
        if len(differing) == 1:
            first, second = mine[differing[0]], others[differing[0]]
            if first is not None and second is not None and is_smaller(first, second):
                found.add((differing[0], a["model"], b["model"]))
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(models=similar_models())
def test_pairs_are_those_of_a_double_loop(connection: duckdb.DuckDBPyConnection, models: list[dict[str, Any]]) -> None:
    """Two models make a pair where exactly one ingredient differs and both know it; the smaller value comes first."""
    insert(connection, "models", models)
    found = connection.execute("select ingredient, first, second from pairs").fetchall()
    assert len(found) == len(set(found))
    assert set(found) == naive_pairs(models)


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
@given(decays=st.tuples(*[st.none() | st.sampled_from([0.0, 0.03, 0.1])] * 3), cells=metric_rows)
def test_differences_are_those_of_a_double_loop(
    connection: duckdb.DuckDBPyConnection, decays: tuple[float | None, ...], cells: list[tuple[Any, ...]]
) -> None:
    """Each pair gives one difference per benchmark, detector, OOD set, class and aggregation that both models have."""
    models = [{"model": f"m{i}", "architecture": "vit", "weight_decay": decay} for i, decay in enumerate(decays)]
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
        put(lake, "models", {"model": name}, {"architecture": ["vit"], "dropout": [dropout]})
    assert lake.sql("from pairs").fetchall() == [("a", "b", "dropout", "0.0", "0.1")]
