"""Each study on a small lake: its frame against a slow and obvious way, its chart, its command."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

import analysis.studies
from analysis.studies import (
    accuracy_vs_fpr,
    combining_models,
    detector_by_pretraining,
    detector_difference,
    detector_ranks,
    ensemble_transfer,
    geometry,
    geometry_vs_fpr,
    hyperparameters,
    recipe_effects,
    score_distributions,
    soups,
    threshold_explorer,
    unit_test_heatmap,
)
from analysis.studies.command import run
from analysis.studies.results import ModelScores
from benchmarks.lakes import put, put_rows
from benchmarks.lakes.random_scores import Shape, make
from featurestore.errors import MissingError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from featurestore import Lake

STUDIES = [
    import_module(f"analysis.studies.{module.name}")
    for module in pkgutil.iter_modules(analysis.studies.__path__)
    if hasattr(import_module(f"analysis.studies.{module.name}"), "chart")
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    shape = Shape(models=8, soup=True, detectors=("mahalanobis", "msp", "msp@t=30"))
    lake = make(tmp_path_factory.mktemp("studies") / "lake", shape)
    for detector, t in (("msp", 1), ("msp@t=30", 30)):
        put_rows(lake, "detectors", {"detector": detector}, {"hyperparameters": json.dumps({"t": t})})
    return lake


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.__name__.rpartition(".")[2])
def test_every_study_writes_its_table_and_its_chart(lake: Lake, study: ModuleType, tmp_path: Path) -> None:
    """The command's options are the arguments of `data`; the chart is drawn from what `data` returns."""
    run(study.data, study.chart, ["--lake", lake.location, "--out", str(tmp_path / "out.csv")])
    run(study.data, study.chart, ["--lake", lake.location, "--out", str(tmp_path / "out.json")])
    frame = study.data(lake)
    assert pl.read_csv(tmp_path / "out.csv").columns == frame.columns
    (rows,) = json.loads((tmp_path / "out.json").read_text())["datasets"].values()
    assert len(rows) == len(frame) > 0


def test_studies_are_found() -> None:
    assert len(STUDIES) >= 12


def test_a_study_runs_as_a_module(lake: Lake) -> None:
    command = [sys.executable, "-m", "analysis.studies.threshold_explorer", "--lake", lake.location, "--model"]
    done = subprocess.run([*command, "m003"], capture_output=True, text=True, check=True)
    assert "m003" in done.stdout
    failed = subprocess.run([*command, "m033"], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("Error: ")
    assert failed.stderr.count("\n") == 1


def test_a_file_that_cannot_be_read_is_a_sentence(lake: Lake, tmp_path: Path) -> None:
    """DuckDB reads it when rows are asked for."""
    with pytest.raises(SystemExit, match=r"^Error: DuckDB cannot read the lake: IO Error: .*gone"):
        run(lambda _: duckdb.sql(f"from '{tmp_path}/gone.parquet'").pl(), soups.chart, ["--lake", lake.location])


@pytest.mark.parametrize(
    "study", [soups, recipe_effects, hyperparameters, accuracy_vs_fpr, ensemble_transfer, combining_models]
)
def test_a_study_of_a_lake_without_what_it_shows_says_so(study: ModuleType, tmp_path: Path) -> None:
    """An empty table can be printed and written; there is no chart of it."""
    lake = make(tmp_path / "lake", Shape(models=1, recipes=False, accuracy=False))
    run(study.data, study.chart, ["--lake", lake.location, "--out", str(tmp_path / "out.csv")])
    assert pl.read_csv(tmp_path / "out.csv").is_empty()
    with pytest.raises(SystemExit, match=r"^Error: There is nothing to draw: the table has no rows. One row per"):
        run(study.data, study.chart, ["--lake", lake.location, "--out", str(tmp_path / "out.html")])


def test_accuracy_vs_fpr_has_a_row_per_model_detector_and_ood_set(lake: Lake) -> None:
    frame = accuracy_vs_fpr.data(lake)
    assert len(frame) == len(frame.unique(["model", "detector", "ood_dataset"])) == 9 * 3 * 2
    metrics = lake.sql(
        "select model, detector, ood_dataset, avg(fpr95) as mean from metrics where aggregation = 'class' group by all"
    ).pl()
    joined = frame.join(metrics, on=["model", "detector", "ood_dataset"])
    assert joined["fpr95"].to_list() == pytest.approx(joined["mean"].to_list())


def test_effects_are_those_of_the_questions_and_of_the_pairs(lake: Lake) -> None:
    frame = recipe_effects.data(lake)
    asked = lake.ask("dropout_effect").pl()
    own = frame.filter(pl.col("ingredient") == "dropout")
    columns = ["ood_dataset", "detector", "mean_difference", "low", "high"]
    assert_frame_equal(own.select(columns), asked.select(columns), check_row_order=False)
    results = {
        (r["model"], r["detector"], r["ood_dataset"]): r["fpr95"]
        for r in accuracy_vs_fpr.data(lake).iter_rows(named=True)
    }
    pairs = lake.sql("from pairs where ingredient = 'dropout'").pl()
    for row in own.iter_rows(named=True):
        of = [
            [results[name, row["detector"], row["ood_dataset"]] for name in pairs[side]] for side in ("first", "second")
        ]
        assert row["from_fpr95"] == pytest.approx(np.mean(of[0]))
        assert row["to_fpr95"] == pytest.approx(np.mean(of[1]))
        assert row["pairs"] == len(pairs)
    assert set(frame["ingredient"]) >= {"pretraining", "dropout", "finetune_lr"}


def test_the_detector_heatmap_is_the_mean_over_models(lake: Lake) -> None:
    frame = detector_by_pretraining.data(lake)
    results = accuracy_vs_fpr.data(lake)
    expected = results.group_by("ood_dataset", "pretraining", "detector").agg(mean_fpr95=pl.col("fpr95").mean())
    assert_frame_equal(frame.select(expected.columns), expected, check_row_order=False)


def test_two_detectors_are_compared_on_the_samples_that_both_have(lake: Lake) -> None:
    """Values are the stored metrics', of the two best where none is named; and one detector alone is nothing to compare."""
    metrics = {
        (row["detector"], row["ood_dataset"]): row
        for row in lake.sql("from metrics where model = 'm003' and aggregation = 'pooled'").pl().to_dicts()
    }
    frame = detector_difference.data(lake, model="m003", first="msp", second="mahalanobis", aggregation="pooled")
    assert set(frame.select("ood_dataset", "metric").rows()) == {
        (ood, metric) for ood in ("far", "unit-tests") for metric in ("fpr95", "auroc")
    }
    for row in frame.iter_rows(named=True):
        stored = [metrics[row[side], row["ood_dataset"]] for side in ("first", "second")]
        assert [row["first_value"], row["second_value"]] == pytest.approx([of[row["metric"]] for of in stored])
        assert (row["n_id"], row["n_ood"]) == (stored[0]["n_id"], stored[0]["n_ood"])
        assert row["low"] <= row["difference"] <= row["high"]
    ranked = accuracy_vs_fpr.data(lake).filter(pl.col("model") == detector_difference.data(lake)["model"][0])
    best = ranked.group_by("detector").agg(pl.col("fpr95").mean()).sort("fpr95", "detector")["detector"].to_list()
    assert detector_difference.data(lake).select("first", "second").unique().rows() == [tuple(best[:2])]
    with pytest.raises(MissingError, match="did you mean"):
        detector_difference.data(lake, first="mahalanobi")


def test_bars_join_detectors_that_are_not_told_apart(lake: Lake) -> None:
    """Each pair in a bar is alike by the question's answer, and each pair of neighbours that is alike is in a bar."""
    frame = detector_ranks.data(lake)
    asked = lake.ask("detector_ranks").pl()
    alike = dict(asked.select("detector", "alike").iter_rows())
    bars = [set(group.split(", ")) for group in frame["group"].drop_nulls()]
    for bar in bars:
        assert all(other in alike[one] for one in bar for other in bar - {one})
    names = asked["detector"].to_list()
    for one, other in pairwise(names):
        assert (other in alike[one]) == any({one, other} <= bar for bar in bars)
    made = pl.DataFrame(
        {"detector": [*"abcd"], "mean_rank": [1.0, 2, 3, 4], "alike": [["b"], ["a", "c"], ["b", "d"], ["c"]]}
    )
    assert [group for _, _, group in detector_ranks._groups(made)] == ["a, b", "b, c", "c, d"]
    none = made.with_columns(alike=pl.Series([[], ["c", "d"], ["b", "d"], ["b", "c"]], dtype=pl.List(pl.String)))
    assert detector_ranks._groups(none) == [(2.0, 4.0, "b, c, d")]


def test_constants_are_drawn_against_the_mean_over_models(lake: Lake) -> None:
    """Values of which one is thirty times another on a logarithmic axis."""
    frame = hyperparameters.data(lake)
    results = accuracy_vs_fpr.data(lake).filter(pl.col("detector") != "mahalanobis")
    wanted = results.group_by("ood_dataset", "detector").agg(pl.col("fpr95").mean()).sort("ood_dataset", "detector")
    assert frame["mean_fpr95"].to_list() == pytest.approx(wanted["fpr95"].to_list())
    assert frame["value"].to_list() == [1, 30] * 2
    (panel,) = hyperparameters.chart(frame).to_dict()["concat"]
    assert panel["encoding"]["x"]["scale"]["type"] == "log"
    assert hyperparameters.data(lake, base="mahalanobis").is_empty()


def test_the_unit_test_heatmap_marks_failures(lake: Lake) -> None:
    frame = unit_test_heatmap.data(lake)
    assert len(frame) == 9 * 3 * 3
    assert (frame["failed"] == (frame["fpr95"] > 0.1)).all()
    asked = lake.ask("unit_test_heatmap", detector="msp").pl()
    own = frame.filter(pl.col("detector") == "msp")
    assert_frame_equal(
        own.select("model", "unit_test", "fpr95", "failed", "verdict"),
        asked.select("model", "unit_test", "fpr95", "failed", "verdict"),
        check_row_order=False,
    )


def test_distributions_lose_no_sample(lake: Lake) -> None:
    frame = score_distributions.data(lake, model="m001", bins=7)
    shares = frame.group_by("detector", "dataset").agg(pl.col("share").sum())
    assert shares["share"].to_list() == pytest.approx([1] * 9)
    ids = lake.scan("scores", benchmark="main", model="m001", dataset="test", detector="msp").collect()["score"]
    assert frame.filter(pl.col("detector") == "msp")["threshold"][0] == pytest.approx(np.quantile(ids.to_numpy(), 0.05))


def test_pretrainings_are_compared_in_pooled_standard_deviations(lake: Lake) -> None:
    """Hedges' g of each group of checkpoints against the rest, by the samples themselves; on logarithms where values span magnitudes."""
    frame = geometry.data(lake)
    checkpoints = lake.sql("select distinct model, checkpoint from ingredients").pl()
    tried = len(frame.drop_nulls("difference").unique(["measure", "pretraining"]))
    assert set(frame["model"]) == {*(f"m{i:03d}" for i in range(8)), "soup"}
    assert set(frame["measure"]) == set(geometry.MEASURES)
    assert frame.filter(pl.col("measure") == "condition_within")["scale"].unique().to_list() == ["log"]
    for (measure, scale), part in frame.group_by("measure", "scale"):
        x = part["value"].log10() if scale == "log" else part["value"]
        assert part["standardised"].to_list() == pytest.approx(((x - x.mean()) / x.std()).to_list()), measure
        of_checkpoints = (
            part.with_columns(x=x)
            .join(checkpoints, on="model")
            .group_by("pretraining", "checkpoint")
            .agg(pl.col("x").mean())
        )
        for (pretraining,), group in part.group_by("pretraining"):
            is_own = pl.col("pretraining") == pretraining
            own, rest = (of_checkpoints.filter(side)["x"].to_numpy() for side in (is_own, ~is_own))
            n, m = len(own), len(rest)
            pooled = np.sqrt(((n - 1) * own.var(ddof=1) + (m - 1) * rest.var(ddof=1)) / (n + m - 2))
            g = (own.mean() - rest.mean()) / pooled * (1 - 3 / (4 * (n + m) - 9))
            reach = stats.t.ppf(1 - 0.025 / tried, n + m - 2) * np.sqrt((n + m) / (n * m) + g**2 / (2 * (n + m)))
            expected = (len(group), len(part) - len(group), n, m, *map(pytest.approx, (g, g - reach, g + reach)))
            columns = ("models", "others", "checkpoints", "other_checkpoints", "difference", "low", "high")
            assert group.select(columns).unique().rows() == [expected]


def test_geometry_of_single_models_and_constant_measures_has_no_difference(tmp_path: Path) -> None:
    """Three models of three pretrainings, then with one measure that is the same for all, then another benchmark."""
    lake = make(tmp_path / "lake", Shape(models=3))
    assert geometry.data(lake)["difference"].null_count() == 3 * len(geometry.MEASURES)
    for model in ("m000", "m001", "m002"):
        key = {"model": model, "dataset": "train", "fit_dataset": "train"}
        columns = {"role": ["fit"], "rows": [9], "nc1": [0.5], "nc3": [float(model[-1])]}
        put(lake, "geometry", key, columns, {"seed": 1}, replacing=True)
    assert geometry.data(lake)["measure"].unique().to_list() == ["nc3"]
    assert geometry.data(lake, "other").is_empty()


def test_predictors_are_the_question_s_and_say_which_way(lake: Lake) -> None:
    frame = geometry_vs_fpr.data(lake, detector="msp")
    assert len(frame) == 2 * (len(geometry.MEASURES) + 1)
    asked = lake.ask("geometry_predicts_fpr", detector="msp").pl()
    assert_frame_equal(frame.drop("goes", "shown", "shown_low", "shown_high"), asked)
    assert (
        frame["shown"].to_list()
        == frame["within"].fill_null(frame["spearman"]).to_list()
        != asked["spearman"].to_list()
    )
    up, down = ((pl.col("shown_low") > 0).fill_null(value=False), (pl.col("shown_high") < 0).fill_null(value=False))
    assert (frame["goes"] == "larger, higher FPR").to_list() == frame.select(up).to_series().to_list()
    assert (frame["goes"] == "larger, lower FPR").to_list() == frame.select(down).to_series().to_list()


def test_constant_scores_have_a_distribution(tmp_path: Path) -> None:
    lake = make(tmp_path / "lake", Shape(models=1, detectors=("msp",)))
    for dataset in ("test", "far", "unit-tests"):
        key = {"benchmark": "main", "model": "m000", "dataset": dataset, "detector": "msp"}
        count = len(lake.read("scores", **key))
        columns = {"sample": list(range(count)), "score": [1.0] * count, "id_rank": [0.5] * count}
        put(lake, "scores", key, columns, {"seed": 1}, replacing=True)
    frame = score_distributions.data(lake)
    assert frame.group_by("dataset").agg(pl.col("share").sum())["share"].to_list() == pytest.approx([1] * 3)


def test_the_curve_at_95_percent_is_the_pooled_metric(lake: Lake) -> None:
    frame = threshold_explorer.data(lake, model="m002").filter(pl.col("tpr") == 0.95)
    metrics = lake.scan("metrics", model="m002").filter(pl.col("aggregation") == "pooled").collect()
    joined = frame.join(metrics, on=["detector", "ood_dataset"])
    assert len(joined) == 6
    assert joined["fpr"].to_list() == pytest.approx(joined["fpr95"].to_list())


@pytest.mark.parametrize("n_id", [21, 41, 101, 2001, 50001])
def test_thresholds_that_are_an_id_score_accept_ood_scores_equal_to_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, n_id: int
) -> None:
    """As the stored FPR does: the 5 % quantile of so many scores is one of them, and 1 - 0.95 is a little more than 0.05."""
    of_id = pl.DataFrame({"detector": "msp", "dataset": "test", "score": np.arange(n_id, dtype=float)})
    tied = (n_id - 1) / 20
    of_ood = pl.DataFrame({"detector": "msp", "dataset": "far", "score": [tied, tied, tied - 0.5, tied + 1]})
    monkeypatch.setattr(threshold_explorer, "model_scores", lambda *_: ModelScores("m", of_id, of_ood))
    (row,) = threshold_explorer.data(lake).filter(pl.col("tpr") == 0.95).rows(named=True)
    assert (row["threshold"], row["fpr"]) == (tied, 0.75)


def test_soups_stand_beside_their_ingredients(lake: Lake) -> None:
    frame = soups.data(lake)
    assert len(frame) == 3 * 3 * 2
    (own,) = frame.filter(
        pl.col("part") == "soup", pl.col("detector") == "msp", pl.col("ood_dataset") == "far"
    ).iter_rows(named=True)
    others = frame.filter(pl.col("part") == "ingredient", pl.col("detector") == "msp", pl.col("ood_dataset") == "far")
    assert set(others["model"]) == {"m000", "m001"}
    assert own["gain"] == pytest.approx(others["fpr95"].mean() - own["fpr95"])


def test_one_model_is_nothing_to_combine(tmp_path: Path) -> None:
    lake = make(tmp_path / "lake", Shape(models=1))
    assert combining_models.data(lake).is_empty()
    assert ensemble_transfer.data(lake).is_empty()
