"""Interactions of two ingredients: fours of recipes, in clusters of checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from featurestore.query import catalog
from tests.sql.pool import WHOLE
from tests.sql.test_effects import design_models, drawn, put_models

if TYPE_CHECKING:
    import duckdb

# Places in the design: augmentation, weight decay, regularisation, pretraining, rate, size.
CROSSED = {
    ("pretraining", "weight_decay"): (3, 1, 56, 14),
    ("finetune_lr", "weight_decay"): (4, 1, 56, 28),
    ("finetune_lr", "resolution"): (4, 5, 56, 56),
}


def asked(connection: duckdb.DuckDBPyConnection, **chosen: Any) -> list[dict[str, Any]]:
    question = catalog.questions()["interactions"]
    return connection.sql(question.sql, params=question.bind({"detector": "msp"} | chosen)).pl().to_dicts()


def differences(values: np.ndarray, one: int, other: int) -> np.ndarray:
    """By draw and cluster: the effect of one ingredient at the second value of another, less that at the first."""
    effects = np.diff(values, axis=1 + one)
    found = np.diff(effects, axis=1 + other)
    return found.mean((-2, -1)).reshape(len(values), -1)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_intervals_cover_what_they_say(correlation: float) -> None:
    """Without any interaction, 93 to 97 % of them have zero in them, though finetunes of a checkpoint are alike."""
    values = drawn(np.random.default_rng(0), 4000, correlation)
    for one, other, _, clusters in CROSSED.values():
        found = differences(values, one, other)
        assert found.shape[1] == clusters
        half = stats.t.ppf(0.975, clusters - 1) * found.std(1, ddof=1) / np.sqrt(clusters)
        assert 0.93 <= np.mean(abs(found.mean(1)) <= half) <= 0.97


def test_the_paper_s_design_is_crossed(connection: duckdb.DuckDBPyConnection) -> None:
    """Fours, clusters, both effects, their difference, interval and p; and each pair of ingredients once."""
    values = drawn(np.random.default_rng(1), 1, 0.5)
    put_models(connection, design_models(), values.ravel())
    rows = asked(connection)
    assert len(rows) == 10 + 5 * 21
    by_pair = {(row["ingredient"], row["other"]): row for row in rows}
    assert len(by_pair) == 15
    for pair, (one, other, fours, clusters) in CROSSED.items():
        row, found = by_pair[pair], differences(values, one, other)[0]
        tested = stats.ttest_1samp(found, 0)
        ends = tested.confidence_interval()
        assert (row["fours"], row["clusters"]) == (fours, clusters)
        assert row["interaction"] == pytest.approx(found.mean()) == pytest.approx(row["effect_to"] - row["effect_from"])
        assert (row["low"], row["high"], row["p"]) == tuple(map(pytest.approx, (*ends, tested.pvalue)))
    ordered = sorted(rows, key=lambda row: row["p"])
    assert ordered[0]["p_holm"] == pytest.approx(min(1, 115 * ordered[0]["p"]))


def test_an_ingredient_that_is_asked_for_comes_first(connection: duckdb.DuckDBPyConnection) -> None:
    """What weight decay does by pretraining is the same interaction as what pretraining does by weight decay."""
    values = drawn(np.random.default_rng(2), 1, 0.5)
    put_models(connection, design_models(), values.ravel())
    of_decay = {
        row["other"]: row for row in asked(connection, ingredient="weight_decay") if row["other"] != "augmentation"
    }
    assert set(of_decay) == {"dropout+stochastic_depth", "finetune_lr", "pretraining", "resolution"}
    (other,) = [row for row in asked(connection, ingredient="pretraining") if row["other"] == "weight_decay"]
    row = of_decay["pretraining"]
    assert (row["from_value"], row["to_value"], row["other_from"], row["other_to"]) == ("0.03", "0.1", "in1k", "in21k")
    assert row["interaction"] == pytest.approx(other["interaction"])
    assert row["effect_from"] != pytest.approx(other["effect_from"])


def test_repeats_are_averaged_and_what_is_unknown_makes_no_four(connection: duckdb.DuckDBPyConnection) -> None:
    """Two seeds of each of four recipes are one four; three recipes are none; unknown models are counted."""
    corners = [(decay, rate, seed) for decay in (0.03, 0.1) for rate in (0.01, 0.03) for seed in (1, 2)]
    models = [
        WHOLE | {"model": f"m{i}", "weight_decay": decay, "finetune_lr": rate, "recipe": f'{{"seed":{seed}}}'}
        for i, (decay, rate, seed) in enumerate(corners)
    ]
    put_models(connection, models, [0.1, 0.3, 0.4, 0.4, 0.2, 0.2, 0.9, 1.1])
    (row,) = asked(connection)
    assert (row["ingredient"], row["other"], row["fours"], row["clusters"]) == ("finetune_lr", "weight_decay", 1, 1)
    assert (row["effect_from"], row["effect_to"]) == (pytest.approx(0.2), pytest.approx(0.8))
    assert (row["interaction"], row["low"], row["p"], row["left_out"]) == (pytest.approx(0.6), None, None, 0)
    for model in models[-2:]:
        model["dropout"] = None
    put_models(connection, models, [0.5] * 8)
    (row,) = asked(connection)
    assert (row["ingredient"], row["fours"], row["interaction"], row["left_out"]) == (None, 0, None, 2)
