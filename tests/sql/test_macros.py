"""Macros against numpy and scipy, and metrics from raw scores against the stored ones."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.metrics import id_rank
from extract.pools.vit_ood_2024 import entries
from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.query import catalog
from tests.analysis.metrics.oracle import judged_by_class
from tests.sql.conftest import insert

if TYPE_CHECKING:
    import duckdb

# Half of the tests' scores are rounded, so that ties fall on thresholds, too.
scores = st.lists(
    st.integers(0, 8).map(lambda n: n / 8) | st.floats(-3, 3).map(lambda x: round(x, 3)), min_size=1, max_size=40
)
TPRS = [0.0, 0.05, 0.5, 0.8, 0.95, 0.99, 1.0]


def value(connection: duckdb.DuckDBPyConnection, expression: str, *parameters: Any) -> Any:
    return connection.execute(f"select {expression}", list(parameters)).fetchall()[0][0]


def fill(connection: duckdb.DuckDBPyConnection, id_scores: list[float], ood: list[float], classes: list[str]) -> None:
    """One model and detector, an ID and an OOD set."""
    ordered, tables = np.sort(id_scores), {"datasets": [], "samples": [], "scores": []}
    for name, role, values in (("id", "id", id_scores), ("ood", "ood", ood)):
        row = {"dataset": name, "role": role, "benchmarks": ["main"], "samples": len(values) + 2}
        tables["datasets"].append(row)
        names = classes if role == "ood" else ["x"] * len(values)
        key = {"benchmark": "main", "model": "m", "dataset": name, "detector": "d"}
        for sample, (score, rank) in enumerate(zip(values, id_rank(values, ordered).tolist(), strict=True)):
            tables["samples"].append({"dataset": name, "sample": sample, "class_name": names[sample]})
            tables["scores"].append(key | {"sample": sample, "score": score, "id_rank": rank})
    for table, rows in tables.items():
        insert(connection, table, rows)


@pytest.mark.parametrize(("x", "freedom"), [(0.0, 3), (3.0, 1), (7.5, 4), (20.0, 9), (90.0, 55), (700.0, 12)])
def test_chi_square_s_p_is_scipy_s(connection: duckdb.DuckDBPyConnection, x: float, freedom: int) -> None:
    """Of even and odd degrees of freedom."""
    found = value(connection, "chi_square_p(?, ?)", x, freedom)
    assert found == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-3 if x > 100 else 1e-9)


@pytest.mark.parametrize("z", [0.0, 1e-9, 0.5, -1.96, 3.0, 5.6, 5.7, 8.0, 20.0])
def test_the_normal_p_is_scipy_s(connection: duckdb.DuckDBPyConnection, z: float) -> None:
    wanted = 2 * stats.norm.sf(abs(z))
    assert value(connection, "normal_p(?)", z) == pytest.approx(wanted, rel=1e-3, abs=1e-15)
    assert value(connection, "normal_p(?)", z) == pytest.approx(wanted, abs=1e-10)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(id_scores=scores, ood=scores, tpr=st.sampled_from(TPRS))
def test_fpr_and_auroc_from_scores_are_those_of_numpy(
    connection: duckdb.DuckDBPyConnection, id_scores: list[float], ood: list[float], tpr: float
) -> None:
    """At any TPR and for any classes, ties and classes of one sample included, to the last bit but for the class mean."""
    classes = [f"c{i % 3}" for i in range(len(ood))]
    fill(connection, id_scores, ood, classes)
    threshold = np.quantile(id_scores, round(1 - tpr, 12))
    assert connection.execute(f"select threshold, n_id from thresholds_at({tpr})").fetchall() == [
        (threshold, len(id_scores))
    ]
    accepted = {
        name: np.mean([s >= threshold for s, c in zip(ood, classes, strict=True) if c == name]) for name in set(classes)
    }
    found = connection.execute(f"select aggregation, ood_class, fpr from fpr_at('m', 'd', 'ood', {tpr})").fetchall()
    rows = {(aggregation, name): fpr for aggregation, name, fpr in found}
    assert {name: rows["class", name] for name in accepted} == accepted
    assert rows["pooled", None] == np.mean(np.array(ood) >= threshold)
    assert rows["class_mean", None] == pytest.approx(np.mean(list(accepted.values())), abs=1e-14)
    assert len(rows) == len(accepted) + 2
    stored = {(row.aggregation, row.ood_class): row.metrics.auroc for row in judged_by_class(id_scores, ood, classes)}
    aurocs = connection.execute("select aggregation, ood_class, auroc from auroc('m', 'd', 'ood')").fetchall()
    assert {(aggregation, name): auroc for aggregation, name, auroc in aurocs} == {
        key: pytest.approx(auroc, abs=1e-14) for key, auroc in stored.items()
    }


def test_a_subset_of_classes_is_a_set_of_its_own(connection: duckdb.DuckDBPyConnection) -> None:
    """The classes that are left make the mean and the pool; names that are not there choose nothing."""
    fill(connection, [0.0, 1.0, 2.0], [0.5, 1.5, 2.5, 9.0], ["a", "a", "b", "c"])
    query = (
        "select aggregation, n_ood, fpr from fpr_at(null, null, null, 0.5, classes_ := ['a', 'b', 'z']) order by all"
    )
    assert connection.execute(query).fetchall() == [
        ("class", 1, 1.0), ("class", 2, 0.5), ("class_mean", 3, 0.75), ("pooled", 3, 2 / 3),
    ]  # fmt: skip
    found = connection.execute(
        "select auroc from auroc('m', 'd', 'ood', classes_ := ['c']) where aggregation = 'pooled'"
    )
    assert found.fetchall() == [(0.0,)]
    assert connection.execute("from fpr_at('m', 'd', 'ood', 0.5, benchmark_ := 'other')").fetchall() == []


@given(
    rows=st.lists(st.tuples(st.none() | st.integers(-3, 3), st.none() | st.integers(-3, 3)), min_size=1, max_size=30)
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_correlations_are_those_of_scipy(connection: duckdb.DuckDBPyConnection, rows: list[tuple[Any, Any]]) -> None:
    """Rows with a null do not count, ties have their mean rank, and a constant has no correlation."""
    query = (
        "select pearson(x, y), spearman(x, y) from (select unnest($1::struct(x double, y double)[], recursive := true))"
    )
    found = connection.execute(query, [[{"x": x, "y": y} for x, y in rows]]).fetchall()[0]
    known = np.array([row for row in rows if None not in row], float).reshape(-1, 2)
    if any(len(set(column)) < 2 for column in known.T):
        assert found == (None, None)
    else:
        expected = np.corrcoef(known.T)[0, 1], stats.spearmanr(*known.T).statistic
        assert found == pytest.approx(expected, abs=1e-12)


def test_ranks_share_their_place_on_ties(connection: duckdb.DuckDBPyConnection) -> None:
    numbers = [3.0, 1.0, 2.0, 1.0, 3.0, 3.0]
    assert value(connection, "ranks(?)", numbers) == stats.rankdata(numbers).tolist()


def test_student_s_quantiles_are_those_of_scipy(connection: duckdb.DuckDBPyConnection) -> None:
    """Tabled ones to the last digits, the others to eight."""
    freedom = [1, 2, 7, 40, 41, 60, 295, 10_000]
    found = [value(connection, f"student_t({n})") for n in freedom]
    np.testing.assert_allclose(found, stats.t.ppf(0.975, freedom), rtol=5e-9)
    np.testing.assert_allclose(found[:4], stats.t.ppf(0.975, freedom[:4]), rtol=1e-12)
    assert value(connection, "student_t(0)") is None


def test_the_reach_of_student_s_t_is_scipy_s(connection: duckdb.DuckDBPyConnection) -> None:
    """Also for the level of one of many comparisons."""
    for p, freedom in ((0.05, 1), (0.05, 55), (0.05 / 828, 2), (1e-6, 7), (1e-6, 295)):
        assert value(connection, f"student_reach({p}, {freedom})") == pytest.approx(
            stats.t.isf(p / 2, freedom), rel=1e-8
        )
    assert value(connection, "student_reach(0.05, 0)") is None


@pytest.mark.parametrize("split", [(0, 0), (0, 1), (3, 9), (9, 3), (5, 5), (0, 40), (100, 300)])
def test_the_sign_test_is_scipy_s(connection: duckdb.DuckDBPyConnection, split: tuple[int, int]) -> None:
    expected = stats.binomtest(split[0], sum(split)).pvalue if sum(split) else 1.0
    assert value(connection, f"sign_test({split[0]}, {split[1]})") == pytest.approx(expected, rel=1e-9)


def test_the_bootstrap_draws_what_its_seed_says(connection: duckdb.DuckDBPyConnection) -> None:
    """Each draw follows from md5, so that the interval is the same on every machine, and another seed gives another."""

    def draw(seed: int, r: int, k: int, n: int) -> int:
        return int.from_bytes(hashlib.md5(f"{seed}/{r}/{k}".encode()).digest()[8:], "little") % n

    numbers = [0.0, 0.25, 0.5, 1.0, 4.0]
    means = [np.mean([numbers[draw(0, r, k, 5)] for k in range(5)]) for r in range(200)]
    found = value(connection, "bootstrap_ci(?, resamples := 200)", numbers)
    assert found == {
        "low": pytest.approx(np.quantile(means, 0.025)),
        "high": pytest.approx(np.quantile(means, 0.975)),
    }
    assert value(connection, "bootstrap_ci(?, resamples := 200, seed := 1)", numbers) != found
    assert value(connection, "bootstrap_ci([]::double[])") is None


def test_the_interval_of_a_correlation(connection: duckdb.DuckDBPyConnection) -> None:
    """Fisher's z; none of a perfect correlation, nor below ten pairs: both would claim what nobody knows."""
    half = stats.norm.ppf(0.975) / np.sqrt(17)
    expected = {
        "low": pytest.approx(np.tanh(np.arctanh(0.5) - half)),
        "high": pytest.approx(np.tanh(np.arctanh(0.5) + half)),
    }
    assert value(connection, "correlation_ci(0.5, 20)") == expected
    assert value(connection, "correlation_ci(1.0, 20)") is None
    assert value(connection, "correlation_ci(1, 4)") is None
    assert value(connection, "correlation_ci(0.5, 9)") is None


def test_matrices_without_a_part_are_those_of_numpy(connection: duckdb.DuckDBPyConnection) -> None:
    """What had no inverse stays empty."""
    parts = np.arange(12.0).reshape(3, 2, 2)
    (total,) = connection.execute("select matrix_sum($1)", [parts.tolist()]).fetchone() or ()
    assert total == parts.sum(0).tolist()
    query = "select matrix_without($1, $2, [[1.0, 0], [0, 0]])"
    assert connection.execute(query, [total, parts[0].tolist()]).fetchone() == (
        [[parts[1:, 0, 0].sum(), 0.0], [0.0, 0.0]],
    )


def test_p_values_are_those_of_scipy(connection: duckdb.DuckDBPyConnection) -> None:
    """Of Student's t, for even and odd degrees of freedom; of a correlation never below a permutation test's."""
    for t, freedom in ((0.0, 4), (-12.7, 1), (1.5, 2), (2.0, 3), (-2.5, 27), (2.5, 28), (3.0, 295), (0.1, 1000)):
        assert value(connection, f"student_p({t}, {freedom})") == pytest.approx(
            2 * stats.t.sf(abs(t), freedom), abs=1e-12
        )
    assert value(connection, "student_p(1.0, 0)") is None
    x, y = np.random.default_rng(0).normal(size=(2, 12))
    expected = stats.pearsonr(x, y)
    assert value(connection, f"correlation_p({expected.statistic}, 12)") == pytest.approx(expected.pvalue)
    assert value(connection, "correlation_p(-1.0, 10)") == pytest.approx(2 / 3_628_800)
    assert value(connection, "correlation_p(0.9, 9)") is None


def test_every_macro_is_documented_in_any_client(connection: duckdb.DuckDBPyConnection) -> None:
    """Titles are DuckDB comments, arguments are those of the header, and a table macro has the columns that it documents."""
    query = "select function_name, parameters, comment from duckdb_functions() where function_type like '%macro' and not internal"
    found = {name: (arguments, comment) for name, arguments, comment in connection.execute(query).fetchall()}
    for name, macro in catalog.macros().items():
        assert found[name] == (list(macro.arguments), macro.title)
        if macro.columns:
            given = ", ".join("null" for argument in macro.arguments.values() if argument.default is None)
            assert connection.sql(f"from {name}({given})").columns == list(macro.columns)
    assert not set(catalog.macros()) & set(catalog.questions())


def test_a_query_through_a_macro_gets_the_views_that_it_reads(lake: Lake) -> None:
    """A query that names a macro alone works on a connection with just its views."""
    assert catalog.views_behind("from fpr_at('m', 'd', 'ood', 0.9)") == {"scores", "samples", "datasets"}
    assert catalog.views_behind("select spearman(top1, n) from accuracy") == {"accuracy"}
    assert lake.sql("from fpr_at('m', 'd', 'ood', 0.9)").fetchall() == []
    assert lake.sql("select spearman(top1, n) from accuracy").fetchall() == [(None,)]


def test_the_paper_s_pool_makes_the_pairs_that_its_design_has(connection: duckdb.DuckDBPyConnection) -> None:
    """224 AugReg models, every combination of seven ingredients: each pair of values meets in each combination of the others."""
    columns = [name for name in TABLES["models"].columns.names if name in entries()[0].recipe]
    rows = [
        {"model": e.name, "architecture": e.architecture, "input_size": int(e.architecture[-3:])}
        | {name: e.recipe[name] for name in columns}
        for e in entries()
        if e.name.startswith("b_16")
    ]
    insert(connection, "models", rows)
    query = "select ingredient, count(*), count(distinct cluster) from pairs group by 1"
    found = {name: (pairs, clusters) for name, pairs, clusters in connection.execute(query).fetchall()}
    assert found == {
        **dict.fromkeys(("pretraining", "weight_decay", "dropout+stochastic_depth"), (112, 28)),
        **dict.fromkeys(("finetune_lr", "resolution"), (112, 56)),
        "augmentation": (21 * 32, 21 * 8),
    }


def test_a_real_lake_s_stored_metrics_follow_from_its_scores() -> None:
    """On the frozen lake, fpr_at 95 % and auroc are the stored numbers, per class and on aggregates."""
    query = """
        select f.fpr, m.fpr95, a.auroc, m.auroc, f.n_ood = m.n_ood and a.n_ood = m.n_ood and f.n_id = m.n_id
        from metrics as m
        inner join fpr_at(null, null, null, 0.95) as f using (model, detector, ood_dataset, aggregation)
        inner join auroc(null, null, null) as a using (model, detector, ood_dataset, aggregation)
        where m.ood_class is not distinct from f.ood_class and m.ood_class is not distinct from a.ood_class
    """
    with Lake(Path(__file__).parents[1] / "compat" / "lake_v1").connect() as frozen:
        rows = frozen.execute(query).fetchall()
        assert len(rows) == frozen.execute("select count(*) from metrics").fetchall()[0][0] > 0
    for fpr, stored_fpr, auroc, stored_auroc, is_same_number in rows:
        assert (fpr, auroc, True) == (
            pytest.approx(stored_fpr, abs=1e-14),
            pytest.approx(stored_auroc, abs=1e-14),
            is_same_number,
        )
