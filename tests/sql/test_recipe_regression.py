"""The regression on recipes: against numpy, its coverage, and what it will not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from featurestore.query import catalog
from tests.sql.answers.regressions import recipe_regression, refitted
from tests.sql.conftest import insert
from tests.sql.pool import WHOLE, Pool
from tests.sql.test_effects import DESIGN, design_models, drawn, put_models

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from tests.sql.answers.rows import Row

NOTHING_ELSE = dict.fromkeys(("pretrain_epochs", "pretrain_lr", "dropout", "stochastic_depth", "finetune_steps"))
ROUNDED = {"rel": 1e-7, "abs": 1e-10}


def random_search(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Finetunes of one checkpoint with rates, decays, epochs, mixup, smoothing and augmentation of their own."""
    generator = np.random.default_rng(seed)
    models = []
    for i in range(count):
        lr, decay = 10 ** generator.uniform(-6, -4), 10 ** generator.uniform(-4, -0.3)
        mix, smoothing = (generator.uniform(0, top) * generator.integers(0, 2) for top in (0.9, 0.25))
        drawn_ = f"rand-m{generator.integers(1, 20)}-n{generator.integers(0, 3)}" if i % 3 else "none"
        found = {"finetune_lr": lr, "weight_decay": decay, "finetune_epochs": float(generator.integers(4, 17))}
        found |= {"augmentation": drawn_, "recipe": f'{{"mix":{mix},"smoothing":{smoothing}}}'}
        named = {"model": f"m{i:03d}", "pretraining": "clip-openai", "checkpoint_id": "clip", "soup_of": None}
        models.append(WHOLE | NOTHING_ELSE | named | found)
    return models


def answers(
    connection: duckdb.DuckDBPyConnection, models: list[dict[str, Any]], fpr95: Sequence[float], **chosen: Any
) -> list[Row]:
    """The answer, after it was compared with numpy's."""
    put_models(connection, models, fpr95)
    metrics = [
        {"benchmark": "main", "detector": "msp", "ood_dataset": "ninco", "aggregation": "class_mean"}
        | {"model": model["model"], "fpr95": float(value)}
        for model, value in zip(models, fpr95, strict=True)
    ]
    # What the frozen pool has in common is not said of these.
    plain = [{"finetune_epochs": None, "soup_of": None, "recipe": "{}", "model_kwargs": "{}"} | m for m in models]
    expected = recipe_regression(Pool(plain, metrics, [], [], [], [], []), detector="msp", **chosen)
    question = catalog.questions()["recipe_regression"]
    rows = connection.sql(question.sql, params=question.bind({"detector": "msp"} | chosen)).pl().to_dicts()
    expected.sort(key=lambda row: (row["pretraining"] is None, row["pretraining"] or "", row["ingredient"] or ""))
    assert len(rows) == len(expected)
    for row, one in zip(rows, expected, strict=True):
        assert row == {k: pytest.approx(v, **ROUNDED) if isinstance(v, float) else v for k, v in one.items()}
    return rows


def of(rows: list[Row], ingredient: str) -> Row:
    return next(row for row in rows if row["ingredient"] == ingredient)


def test_a_random_search_is_told_of_this_checkpoint_alone(connection: duckdb.DuckDBPyConnection) -> None:
    """What a tenfold learning rate does is found among six other ingredients, and said of these finetunes."""
    models = random_search(72)
    noise = np.random.default_rng(1).normal(size=72) * 0.05
    fpr95 = [0.5 + 0.1 * np.log10(m["finetune_lr"]) + x for m, x in zip(models, noise, strict=True)]
    rows = answers(connection, models, fpr95)
    assert [row["ingredient"] for row in rows] == [
        "augmentation.magnitude", "augmentation.operations", "finetune_epochs", "finetune_lr", "recipe.mix", "recipe.smoothing",
        "weight_decay",
    ]  # fmt: skip
    assert {(row["models"], row["checkpoints"], row["speaks_of"]) for row in rows} == {
        (72, 1, "finetunes of this checkpoint")
    }
    rate = of(rows, "finetune_lr")
    assert rate["scale"] == of(rows, "weight_decay")["scale"] == "log10"
    assert rate["change"] == pytest.approx(0.1, abs=0.03)
    assert rate["p_holm"] < 0.001
    assert all(row["p_holm"] > 0.05 for row in rows if row is not rate)


def test_the_paper_s_design_is_told_by_checkpoints(connection: duckdb.DuckDBPyConnection) -> None:
    """Finetunes of one checkpoint are left out together, whichever pretraining; the degrees of freedom are those of checkpoints."""
    values = drawn(np.random.default_rng(1), 1, 0.5).ravel()
    rows = answers(connection, design_models(), values, within="all")
    freedom = {row["ingredient"]: row["freedom"] for row in rows}
    assert freedom == {f"augmentation={name}": 13 for name in ("light0", "light1", "medium1", "medium2", "strong1", "strong2")} | {
        "dropout": 46, "finetune_lr": 55, "pretraining=in21k": 46, "resolution": 55, "weight_decay": 46,
    }  # fmt: skip
    assert {(row["models"], row["checkpoints"], row["speaks_of"]) for row in rows} == {
        (224, 56, "checkpoints like these")
    }
    assert "stochastic_depth (collinear)" in rows[0]["ingredients_left_out"]
    within = answers(connection, design_models(), values)
    assert {(row["pretraining"], row["models"], row["checkpoints"]) for row in within} == {
        ("in1k", 112, 28),
        ("in21k", 112, 28),
    }


def columns(models: list[dict[str, Any]], named: Sequence[str]) -> np.ndarray:
    """An intercept, rates and decays as logarithms, and for each text a column of its own but for the first."""
    found = [np.ones(len(models))]
    for name in named:
        values = [model[name] for model in models]
        if isinstance(values[0], str):
            found += [np.array([v == value for v in values], float) for value in sorted(set(values))[1:]]
        else:
            found.append(np.log10(values) if name in {"finetune_lr", "weight_decay"} else np.array(values))
    return np.column_stack(found)


def coverage(x: np.ndarray, units: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of each coefficient but the intercept's, the share of draws without any effect whose interval has zero in it."""
    coefficients, errors, freedom = refitted(x, units, y)
    half = stats.t.ppf(0.975, np.floor(freedom + 1e-6))[:, None] * errors
    return np.mean(abs(coefficients) <= half, 1)[1:]


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_intervals_over_checkpoints_cover_what_they_say(correlation: float) -> None:
    """In the paper's design; those that take finetunes of a checkpoint for independent do not."""
    named = ("augmentation", "dropout", "finetune_lr", "input_size", "pretraining", "weight_decay")
    x, units = columns(design_models(), named), np.unique([d[:4] for d in DESIGN], axis=0, return_inverse=True)[1]
    y = drawn(np.random.default_rng(0), 3000, correlation).reshape(3000, -1).T
    found = coverage(x, units.ravel(), y)
    assert ((found >= 0.93) & (found <= 0.97)).all()
    if correlation:
        assert min(coverage(x, np.arange(len(x)), y[:, :200])) < 0.8


def test_intervals_over_models_cover_what_they_say() -> None:
    """In a random search of 72 finetunes, also where the errors grow with the learning rate."""
    models = random_search(72)
    for i, model in enumerate(models):
        model["mix"] = float(i % 2) * (i % 7)
    x = columns(models, ("finetune_lr", "weight_decay", "finetune_epochs", "mix"))
    errors = np.random.default_rng(0).normal(size=(72, 3000))
    for scale in (1.0, 2 ** (x[:, [1]] - x[:, 1].mean())):
        found = coverage(x, np.arange(72), errors * scale)
        assert ((found >= 0.93) & (found <= 0.97)).all()


def test_few_checkpoints_are_compared_within_each(connection: duckdb.DuckDBPyConnection) -> None:
    """What differs between three checkpoints alone is theirs, and no ingredient's."""
    models = random_search(60)
    for i, model in enumerate(models):
        model |= {"checkpoint_id": f"c{i % 3}", "pretrain_lr": (0.1, 0.2, 0.3)[i % 3]}
    rate = np.array([np.log10(m["finetune_lr"]) for m in models])
    noise = np.random.default_rng(2).normal(size=60) * 0.01
    rows = answers(connection, models, 0.2 * rate + noise + 5.0 * (np.arange(60) % 3))
    assert {row["speaks_of"] for row in rows} == {"finetunes of these 3 checkpoints"}
    assert "pretrain_lr (the same within each checkpoint)" in rows[0]["ingredients_left_out"]
    assert of(rows, "finetune_lr")["change"] == pytest.approx(0.2, abs=0.01)


def test_what_is_left_out_is_counted_and_named(connection: duckdb.DuckDBPyConnection) -> None:
    """A soup, a model of unknown rate, and ingredients that cannot be told; repeats are one recipe, with their mean."""
    models = random_search(44)
    for i, model in enumerate(models):
        kind = ("adam", "sgd")[i % 2]
        model["recipe"] = f'{{"seed":{i},"note":"n{i}","kind":"{kind}","swa":{str(i % 4 < 2).lower()}}}'
        model |= {"dropout": 0.1 if i < 9 else None, "augmentation": ("none", "light")[i // 3 % 2], "finetune_steps": 5}
    models[0] |= {"soup_of": ["m001", "m002"]}
    models[1] |= {"finetune_lr": None}
    models[3] |= {name: models[2][name] for name in models[2] if name not in {"model", "recipe"}}
    models[3]["recipe"] = models[2]["recipe"].replace('"seed":2', '"seed":3')
    rows = answers(connection, models, np.random.default_rng(3).normal(size=44))
    assert {(row["models"], row["recipes"], row["left_out"]) for row in rows} == {(42, 41, 2)}
    assert [row["ingredient"] for row in rows] == [
        "augmentation=light", "finetune_epochs", "finetune_lr", "recipe.kind=sgd", "recipe.swa=true", "weight_decay",
    ]  # fmt: skip
    for reason in ("dropout (unknown)", "finetune_steps (constant)", "recipe.note (too many values)"):
        assert reason in rows[0]["ingredients_left_out"]


def test_too_few_recipes_tell_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    """Five for each coefficient are asked for; a level where all are equal has no effect, and no certainty either."""
    models, fpr95 = random_search(39), np.random.default_rng(4).normal(size=39)
    rows = answers(connection, models, fpr95)
    assert {(row["standardised"], row["p"], row["speaks_of"]) for row in rows} == {(None, None, "too few to tell")}
    assert all(row["low"] is not None for row in answers(connection, models, fpr95, least=4))
    assert {(row["standardised"], row["p"]) for row in answers(connection, models, [0.5] * 39, least=4)} == {
        (None, None)
    }


def test_an_effect_that_one_model_tells_has_no_interval(connection: duckdb.DuckDBPyConnection) -> None:
    models = [model | {"dropout": 0.0} for model in random_search(50)]
    models[7]["dropout"] = 0.1
    rows = answers(connection, models, np.random.default_rng(5).normal(size=50))
    alone = of(rows, "dropout")
    assert alone["standardised"] is not None
    assert (alone["low"], alone["high"], alone["p"], alone["p_holm"]) == (None, None, None, None)
    assert all(row["low"] is not None for row in rows if row is not alone)


def test_numbers_and_other_augmentations_are_read_as_they_stand(connection: duckdb.DuckDBPyConnection) -> None:
    """A weight decay of 0 has no logarithm; one augmentation that is not timm's RandAugment makes all of them texts."""
    models = random_search(60)
    for i, model in enumerate(models):
        model["augmentation"] = ("none", "rand-m9-n2", "light1")[i % 3]
    models[0]["weight_decay"] = 0.0
    rows = answers(connection, models, np.random.default_rng(6).normal(size=60))
    assert (of(rows, "weight_decay")["scale"], of(rows, "finetune_lr")["scale"]) == ("number", "log10")
    assert of(rows, "augmentation=light1")["scale"] == "against none"


def test_the_inverse_passes_over_what_follows_from_the_columns_before(connection: duckdb.DuckDBPyConnection) -> None:
    x = np.random.default_rng(7).normal(size=(30, 6))
    x[:, 3] = x[:, 0] - 2 * x[:, 1]
    sums = (x.T @ x).tolist()
    ((gram, inverse),) = connection.execute("select gram($1), matrix_inverse($2)", [x.T.tolist(), sums]).fetchall()
    expected, kept = np.zeros((6, 6)), np.ix_([0, 1, 2, 4, 5], [0, 1, 2, 4, 5])
    expected[kept] = np.linalg.inv(np.array(sums)[kept])
    np.testing.assert_allclose(gram, sums)
    np.testing.assert_allclose(inverse, expected, atol=1e-12)


def test_a_lake_without_recipes_has_no_columns(connection: duckdb.DuckDBPyConnection) -> None:
    insert(connection, "models", [{"model": "m"}])
    assert connection.execute("select model, checkpoint, name from recipe_columns()").fetchall() == [("m", None, None)]
