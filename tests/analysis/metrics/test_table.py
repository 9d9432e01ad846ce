"""The metrics of a model in the lake, in both spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis.lineage import ingredients
from analysis.lineage.benchmark import Benchmark
from analysis.lineage.ingredients import metrics_target
from analysis.metrics import table
from featurestore.layout.judged_scores import scores_digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.pipeline import Commands

STANDARD = "from metrics order by all"
FULL = "from spectra where spectrum = 'full' order by all"


@pytest.fixture
def shifted(copied: Commands) -> Commands:
    """The pipeline's lake with two csid sets, of which the model a knows both, and b one; scored again."""
    for seed, name in enumerate(("fog", "snow")):
        copied.add(name, "csid", {"ant": 5, "bee": 5, "cat": 5}, seed=20 + seed)
    assert copied.extract({"a": 1}, "fog", "snow").code == 0
    assert copied.extract({"b": 2}, "fog").code == 0
    return copied


def values(commands: Commands, detector: str, *datasets: str) -> NDArray[np.float64]:
    rows = [
        commands.lake.read("scores", benchmark="main", model="a", dataset=name, detector=detector) for name in datasets
    ]
    return np.concatenate([row.column("score").to_numpy() for row in rows])


def test_the_full_spectrum_pools_all_id_sets(shifted: Commands) -> None:
    """Threshold and ranks are those of the pooled ID scores; a model that lacks a csid set has the standard spectrum alone."""
    before = shifted.lake.sql(STANDARD).fetchall()
    said = shifted.ok("score", "--detector", "msp", "--detector", "mahalanobis")
    assert "b in main:" in said
    assert "no activations yet on snow" in said
    assert shifted.lake.sql(STANDARD).fetchall() == before != []
    rows = shifted.lake.sql(FULL).pl().filter(ood_dataset="far", aggregation="pooled").to_dicts()
    assert {row["model"] for row in rows} == {"a"}
    assert {row["detector"] for row in rows} == {"msp", "mahalanobis"}
    for row in rows:
        ids, ood = values(shifted, row["detector"], "test", "fog", "snow"), values(shifted, row["detector"], "far")
        assert (row["n_id"], row["n_ood"]) == (len(ids), len(ood))
        assert row["fpr95"] == np.mean(ood >= np.quantile(ids, 0.05))
        wins = np.mean(ids[:, None] > ood) + np.mean(ids[:, None] == ood) / 2
        assert row["auroc"] == pytest.approx(wins, abs=1e-12)
    shown = shifted.lake.ask("full_spectrum", ood="far", detector="msp").pl().to_dicts()
    assert [(row["model"], row["n_id"], row["n_id_full"]) for row in shown] == [("a", 36, 66)]


def test_csid_sets_are_scored_and_have_an_accuracy(shifted: Commands) -> None:
    """Their scores are ranked among those of the ID test set, as all are; nothing is missing or wrong then."""
    shifted.ok("score", "--detector", "msp")
    scored = "select distinct model, dataset from scores join datasets using (dataset) where role = 'csid' order by all"
    assert shifted.lake.sql(scored).fetchall() == [("a", "fog"), ("a", "snow"), ("b", "fog")]
    right = "select model, dataset, n from accuracy where dataset in ('fog', 'snow') order by all"
    assert shifted.lake.sql(right).fetchall() == [("a", "fog", 15), ("a", "snow", 15), ("b", "fog", 15)]
    assert "no fault" in shifted.ok("verify", "--deep")
    status = shifted.ok("status", "--model", "a", "--format", "csv")
    assert "stale" not in status
    shifted.extract({"b": 2}, "snow")
    shifted.ok("score", "--detector", "msp")
    assert shifted.lake.sql(f"select distinct model from ({FULL}) order by 1").fetchall() == [("a",), ("b",)]


def test_what_leaves_takes_the_full_spectrum_along(shifted: Commands) -> None:
    """Without one csid set the others pool to something else, which score computes; without any, the rest is as before."""
    before = shifted.lake.sql(STANDARD).fetchall()
    fingerprint = shifted.lake.partitions("metrics", model="a")[0].parts[0].fingerprint
    shifted.ok("score", "--detector", "msp")
    shifted.ok("dataset", "remove", "snow")
    assert shifted.lake.sql(FULL).fetchall() == []
    shifted.ok("score", "--detector", "msp")
    rows = shifted.lake.sql(f"select distinct model, n_id from ({FULL}) where detector = 'msp' order by all").fetchall()
    assert [model for model, _ in rows] == ["a", "b"]
    assert {n for _, n in rows} == {51}
    shifted.ok("dataset", "remove", "fog")
    assert shifted.lake.sql(FULL).fetchall() == []
    assert shifted.lake.sql(STANDARD).fetchall() == before
    assert shifted.lake.partitions("metrics", model="a")[0].parts[0].fingerprint == fingerprint
    assert "no fault" in shifted.ok("verify", "--deep")


def test_lakes_without_csid_sets_keep_their_fingerprints() -> None:
    """The ingredient is there only where all csid sets of the benchmark have scores."""
    scores = {"test": {"msp": "1"}, "far": {"msp": "2"}}
    plain = Benchmark("main", "train", "test", ("far",))
    wanted = {"version": 3, "id_dataset": "test"} | {
        f"scores of {name}": scores_digest(of) for name, of in scores.items()
    }
    assert metrics_target(plain, "m", scores).ingredients == wanted
    awaited = Benchmark("main", "train", "test", ("far",), csids=("fog",))
    assert metrics_target(awaited, "m", scores).fingerprint == metrics_target(plain, "m", scores).fingerprint
    here = scores | {"fog": {"msp": "3"}}
    assert metrics_target(awaited, "m", here).ingredients["csid"] == ["fog"]
    assert metrics_target(awaited, "m", here).fingerprint != metrics_target(plain, "m", here).fingerprint


def test_metrics_of_before_intervals_are_made_again_of_the_scores_that_are_there(
    copied: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are stale, and read with null; score fills them in, and touches no scores."""
    monkeypatch.setattr(ingredients, "_METRICS_VERSION", 2)
    monkeypatch.setattr(table, "_NAMES", [name for name in table._NAMES if not name.endswith(("_low", "_high"))])
    copied.ok("score", "--detector", "msp")
    monkeypatch.undo()
    unknown = "select count(*) from metrics where fpr95_low is null and auroc_high is null"
    assert copied.lake.sql(unknown).fetchall() == copied.lake.sql("select count(*) from metrics").fetchall() != [(0,)]
    assert "stale" in copied.ok("status", "--format", "csv")
    scores = [part.fingerprint for manifest in copied.lake.partitions("scores") for part in manifest.parts]
    versions = [manifest.version for manifest in copied.lake.partitions("scores")]
    copied.ok("score", "--detector", "msp")
    assert copied.lake.sql(unknown).fetchall() == [(0,)]
    assert "stale" not in copied.ok("status", "--format", "csv")
    assert [part.fingerprint for manifest in copied.lake.partitions("scores") for part in manifest.parts] == scores
    assert [manifest.version for manifest in copied.lake.partitions("scores")] == versions


def test_ensembles_have_the_full_spectrum_too(shifted: Commands) -> None:
    """Their scores of csid sets are combined as those of others, and pooled alike."""
    shifted.ok("score", "--detector", "msp", "--detector", "energy")
    shifted.ok("score", "--ensemble", "duo=a/msp,a/energy")
    rows = shifted.lake.sql(
        "select spectrum, n_id from spectra where model = 'duo' group by all order by all"
    ).fetchall()
    assert rows == [("full", 66), ("standard", 36)]
    assert "stale" not in shifted.ok("status", "--model", "duo", "--format", "csv")
