"""Rank correlations of few values, of clustered ones, and within groups: exact, and no more findings by chance than 5 %."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from featurestore.query import catalog
from tests.sql.answers.rows import rho_of
from tests.sql.conftest import insert
from tests.sql.pool import MEASURES, WHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

POINTS = "struct(x double, y double)[][][]"
MEASURED = [name for name in MEASURES if name not in {"model", "dataset", "fit_dataset"}]


def correlations(connection: duckdb.DuckDBPyConnection, many: list[list[Any]]) -> list[dict[str, Any]]:
    """What the macros say of each case: a list of groups, each of pairs of numbers, (n, 2)."""
    cases = [[[{"x": float(x), "y": float(y)} for x, y in group] for group in groups] for groups in many]
    query = (
        "select rank_correlation(list_transform(groups, lambda points: rank_stratum(points))) "
        f"from (select unnest($1::{POINTS}) as groups)"
    )
    return [row[0] for row in connection.execute(query, [cases]).fetchall()]


def test_chance_is_what_all_orders_give(connection: duckdb.DuckDBPyConnection) -> None:
    """Each tabled distribution against all orders of so many things; outside of it there is none."""
    for n in range(2, 9):
        query = f"select unnest(rank_null({n}), recursive := true)"
        found = dict(connection.execute(query).fetchall())
        orders = np.array(list(itertools.permutations(range(n))))
        rho = 1 - 6 * ((orders - np.arange(n)) ** 2).sum(1) / (n**3 - n)
        values, counts = np.unique(rho.round(9), return_counts=True)
        wanted = dict(zip(values, counts / len(orders), strict=True))
        assert {round(value, 9) + 0.0: p for value, p in found.items() if p} == pytest.approx(wanted)
    (total,) = connection.execute("select list_sum(list_transform(rank_null(9), lambda c: c.probability))").fetchall()
    assert total == (pytest.approx(1.0),)
    assert connection.execute("select rank_null(1), rank_null(10)").fetchall() == [(None, None)]


def test_p_of_few_is_that_of_a_permutation_test(connection: duckdb.DuckDBPyConnection) -> None:
    """scipy goes through all pairings; the smallest p is 2 / n!."""
    generator = np.random.default_rng(0)
    cases = [[generator.normal(size=(n, 2))] for n in (3, 4, 5, 6, 7, 7)]
    for (points,), found in zip(cases, correlations(connection, cases), strict=True):
        x, y = points.T
        wanted = stats.permutation_test(
            (x,),
            lambda order, y=y: stats.spearmanr(order, y).statistic,
            permutation_type="pairings",
            vectorized=False,
            n_resamples=10_000,
        )
        assert (found["rho"], found["p"]) == (pytest.approx(wanted.statistic), pytest.approx(wanted.pvalue))
    (found,) = correlations(connection, [[generator.normal(size=(300, 2))]])
    assert found["p"] == pytest.approx(
        2 * stats.t.sf(abs(found["rho"]) * np.sqrt(298 / (1 - found["rho"] ** 2)), 298), rel=0.01
    )
    line = [[[(i, 2 * i) for i in range(n)]] for n in range(2, 10)]
    smallest = [2 / np.prod(np.arange(1, n + 1)) for n in range(2, 10)]
    assert [row["p"] for row in correlations(connection, line)] == pytest.approx(smallest)


@pytest.mark.parametrize("sizes", [(10,), (12,), (8, 8), (11, 2, 2)])
def test_p_of_ten_and_more_is_right_far_out(connection: duckdb.DuckDBPyConnection, sizes: tuple[int, ...]) -> None:
    """p below 1 % is as rare as it says, where Student's t would have it a quarter to a half more often."""
    generator = np.random.default_rng(1)
    drawn, weights = np.zeros(200_000), np.array([n * (n - 1) / (n + 1) for n in sizes])
    for n, weight in zip(sizes, weights, strict=True):
        drawn += weight * rho_of(generator.random((len(drawn), n)).argsort(1), np.arange(n))
    ordered = np.sort(abs(drawn))
    for level in (0.01, 0.002):
        at = ordered[int(len(drawn) * (1 - level))]
        of = [np.sum(w**k * c) for w, k, c in ((weights, 2, [1 / (n - 1) for n in sizes]), (weights, 4, fourth(sizes)))]
        p = connection.execute(f"select beta_p({at}, {of[0]}, {of[1]}, 0)").fetchall()[0][0]
        assert 0.85 * level < p < 1.7 * level


def fourth(sizes: Sequence[int]) -> Any:
    """The fourth cumulant of Spearman's correlation of so many."""
    n = np.array(sizes, float)
    return 3 * (25 * n**3 - 38 * n**2 - 35 * n + 72) / (25 * n * (n + 1) * (n - 1) ** 3) - 3 / (n - 1) ** 2


def test_ties_never_make_p_too_small(connection: duckdb.DuckDBPyConnection) -> None:
    """Through all orders of numbers with ties in both, p is at or below each level no more often than the level says."""
    x = (0, 0, 1, 2, 3, 4)
    cases = [[list(zip(x, y, strict=True))] for y in itertools.permutations((0, 1, 2, 3, 3, 4))]
    p = np.array([row["p"] for row in correlations(connection, cases)])
    for level in np.unique(p):
        assert np.mean(p <= level + 1e-12) <= level + 1e-12
    assert p.min() < 0.1


def test_groups_are_pooled_with_an_exact_p(connection: duckdb.DuckDBPyConnection) -> None:
    """Of two groups that go the same way, through all orders within each; one that is constant, or of one, tells nothing."""
    first, second = [(0, 0), (1, 2), (2, 1), (3, 3)], [(9, 5), (8, 4), (7, 3)]
    chance = [
        w + v
        for w in (4 * 3 / 5) * np.array([stats.spearmanr(range(4), o).statistic for o in itertools.permutations(range(4))])
        for v in (3 * 2 / 4) * np.array([stats.spearmanr(range(3), o).statistic for o in itertools.permutations(range(3))])
    ]  # fmt: skip
    seen = (4 * 3 / 5) * 0.8 + (3 * 2 / 4)
    others = [[(1, 2)], [(3, 1), (3, 2), (3, 3)]]
    for groups in ([first, second], [first, second, *others]):
        (found,) = correlations(connection, [groups])
        assert found["n"] == 6
        assert found["rho"] == pytest.approx(seen / (4 * 3 / 5 + 3 * 2 / 4))
        assert found["p"] == pytest.approx(np.mean(np.abs(chance) >= seen - 1e-9))
    (none,) = correlations(connection, [others])
    assert (none["rho"], none["p"]) == (None, None)


def test_what_may_be_said_of_a_correlation(connection: duckdb.DuckDBPyConnection) -> None:
    """Without an effect it is only said that it is weak where the interval says so; few say nothing."""
    asked = {
        "-0.8, 0.01, -0.9, -0.5": "falls",
        "0.8, 0.01, null, null": "rises",
        "0.1, 0.4, -0.3, 0.45": "weaker than 0.5",
        "0.1, 0.4, -0.3, 0.55": "too few to tell",
        "1.0, 0.3, null, null": "too few to tell",
        "null, null, null, null": None,
    }
    for arguments, said in asked.items():
        assert connection.execute(f"select correlation_verdict({arguments})").fetchall() == [(said,)]


def put_pool(connection: duckdb.DuckDBPyConnection, groups: Sequence[tuple[int, int]], draws: int, seed: int) -> None:
    """Models without any effect: measures and FPRs differ by pretraining and by checkpoint, and do not go together within.

    Args:
        connection: Over an empty lake.
        groups: Of each pretraining, how many checkpoints, and how many finetunes of each.
        draws: How many OOD sets, each with FPRs of its own.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    models, places = [], []
    for pretraining, (checkpoints, finetunes) in enumerate(groups):
        for checkpoint, finetune in itertools.product(range(checkpoints), range(finetunes)):
            name = {"model": f"m{len(models)}", "checkpoint_id": f"{pretraining}-{checkpoint}"}
            models.append(WHOLE | name | {"pretraining": f"p{pretraining}", "finetune_lr": 0.001 * (1 + finetune)})
            places.append((pretraining, pretraining * 1000 + checkpoint))

    def drawn(count: int) -> np.ndarray:
        group, checkpoint = np.unique(np.array(places), axis=0, return_inverse=True)[0][:, 0], np.array(places)[:, 1]
        _, checkpoint = np.unique(checkpoint, return_inverse=True)
        shared = generator.normal(size=(count, len(group))) * np.sqrt(0.8) + 3.0 * group
        return shared[:, checkpoint] + generator.normal(size=(count, len(models))) * np.sqrt(0.2)

    insert(connection, "models", models)
    insert(connection, "datasets", [{"dataset": "fit", "role": "fit", "benchmarks": ["main"], "samples": 9}])
    names = [model["model"] for model in models]
    key = {"dataset": ["fit"] * len(names), "fit_dataset": ["fit"] * len(names), "role": ["fit"] * len(names)}
    of_fit = dict(zip(MEASURED, drawn(len(MEASURED)), strict=True))
    rows = pl.DataFrame({"model": names, **key, **of_fit})
    fpr95 = 1 / (1 + np.exp(-drawn(draws)))
    cells = pl.DataFrame(
        {"model": names * draws, "fpr95": fpr95.ravel(), "ood_dataset": np.repeat([f"d{i}" for i in range(draws)], len(names))}
    ).with_columns(pl.lit("main").alias("benchmark"), pl.lit("mahalanobis").alias("detector"), pl.lit("class_mean").alias("aggregation"))  # fmt: skip
    accuracies = pl.DataFrame({"model": names, "dataset": "id", "top1": drawn(1)[0]})
    cells = cells.with_columns(pl.lit("id").alias("id_dataset"), (1 - pl.col("fpr95")).alias("auroc"))
    for table, frame in (("geometry", rows), ("metrics", cells), ("accuracy", accuracies)):
        connection.register("new_rows", frame)
        connection.execute(f"delete from stored.{table}")
        connection.execute(f"insert into stored.{table} by name from new_rows")


# Of each pretraining, how many checkpoints, and how many finetunes of each; the last is the paper's pool.
DESIGNS = {
    3: [(3, 1)],
    5: [(5, 1)],
    8: [(4, 1), (4, 1)],
    12: [(6, 1), (6, 1)],
    16: [(4, 2), (4, 2)],
    296: [(28, 4), (28, 4), (1, 72)],
}


def said(connection: duckdb.DuckDBPyConnection, name: str) -> pl.DataFrame:
    question = catalog.questions()[name]
    return connection.sql(question.sql, params=question.bind({})).pl()


@pytest.mark.parametrize("models", DESIGNS)
def test_without_an_effect_no_measure_stands_out(connection: duckdb.DuckDBPyConnection, models: int) -> None:
    """Among all measures at once, in 5 % of draws or less, but for two standard errors, though pretrainings and checkpoints differ in everything."""
    draws = 40 if models == 296 else 100
    put_pool(connection, DESIGNS[models], draws, models)
    answer = said(connection, "geometry_predicts_fpr").filter(pl.col("spearman").is_not_null())
    assert len(answer) == draws * len(MEASURED)
    stands_out = answer.group_by("ood_dataset").agg(pl.col("verdict").is_in(["falls", "rises"]).any())
    assert stands_out["verdict"].mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / draws)
    assert answer["p"].null_count() == 0
    if models > 5:
        # What pretrainings differ in goes together over all models: that is no finding.
        assert answer["spearman"].abs().median() > 0.5 > answer["within"].abs().median()


@pytest.mark.parametrize(("models", "n", "within"), [(16, 8, 8), (296, 57, 128)])
def test_finetunes_of_a_checkpoint_are_one_value(
    connection: duckdb.DuckDBPyConnection, models: int, n: int, within: int
) -> None:
    """But where all of a pretraining come from one: there it is its finetunes that are compared."""
    put_pool(connection, DESIGNS[models], 1, 1)
    (row,) = said(connection, "geometry_predicts_fpr").filter(measure="nc1").to_dicts()
    assert (row["models"], row["n"], row["n_within"]) == (models, n, within)
    rows = said(connection, "accuracy_fpr_correlation")
    counts = {row["pretraining"]: row["n"] for row in rows.to_dicts()}
    assert (counts["all"], counts["pooled within"]) == (n, within)
    assert models == 16 or counts["p2"] == 72
