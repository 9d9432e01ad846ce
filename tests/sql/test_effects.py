"""Effects of ingredients: repeats, what is unknown, clusters of finetunes, and intervals that cover what they say."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from tests.sql.conftest import insert
from tests.sql.pool import WHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb


def put_models(connection: duckdb.DuckDBPyConnection, models: list[dict[str, Any]], fpr95: Sequence[float]) -> None:
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
    put_models(connection, models, [0.30, 0.32, 0.34, 0.31, 0.29, 0.24])
    row = effect_of(connection, "weight_decay")["0.03", "0.1"]
    assert (row["pairs"], row["clusters"], row["low"], row["p"], row["left_out"]) == (1, 1, None, 1.0, 0)
    assert row["mean_difference"] == pytest.approx(0.28 - 0.32)
    assert connection.execute("select distinct ingredient from pairs").fetchall() == [("weight_decay",)]


def test_what_is_unknown_of_both_makes_no_pair(connection: duckdb.DuckDBPyConnection) -> None:
    """Two models alike in all that is known of them, but not in whether they had dropout: left out, and counted."""
    models = [WHOLE | {"model": f"m{decay}", "weight_decay": decay, "dropout": None} for decay in (0.03, 0.1)]
    put_models(connection, models, [0.3, 0.2])
    ((values, row),) = effect_of(connection, "weight_decay").items()
    assert (values, row["pairs"], row["clusters"], row["left_out"]) == ((None, None), 0, 0, 2)


def test_finetunes_of_one_checkpoint_are_one_cluster(connection: duckdb.DuckDBPyConnection) -> None:
    """By the recipe, or where the recipes tell two apart, by the name of the checkpoint."""
    rates = [(rate, decay) for decay in (0.03, 0.1) for rate in (0.01, 0.03)]
    models = [
        WHOLE | {"model": f"m{i}", "finetune_lr": rate, "weight_decay": decay, "checkpoint_id": None}
        for i, (rate, decay) in enumerate(rates)
    ]
    put_models(connection, models, [0.1, 0.2, 0.3, 0.4])
    row = effect_of(connection, "finetune_lr")["0.01", "0.03"]
    assert (row["pairs"], row["clusters"]) == (2, 2)
    assert (row["from_fpr95"], row["mean_difference"]) == (pytest.approx(0.2), pytest.approx(0.1))
    put_models(
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
    put_models(connection, design_models(), values.ravel())
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
