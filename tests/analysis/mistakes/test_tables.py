"""What lakes hold of models' mistakes and confidence: made with the scores, made again with them, and gone with them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analysis.detectors.registry import detectors
from analysis.mistakes.rejection import oscr, rejection
from analysis.rows.lake_rows import in_tenth
from analysis.scoring import ScoringSelection, score
from analysis.status import read_lake_index, status_rows
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from tests.analysis.synthetic import write_datasets, write_model
from tests.conftest import faults

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.pipeline import Commands

    Row = dict[str, Any]

DETECTORS = ("msp", "mahalanobis", "temp-scaling.openood")
TOLD = ("aurc", "eaurc", "augrc", "misclassification_auroc", "misclassification_fpr95", "accuracy")


def run(lake: Lake, *names: str) -> int:
    return score(lake, ScoringSelection(detectors=names or DETECTORS), lambda _: None).scored


def rows(lake: Lake, table: str, **where: str) -> list[Row]:
    frame = lake.sql(f"from {table} order by all").pl()
    return frame.filter(*(frame[name] == value for name, value in where.items())).to_dicts()


def states(lake: Lake) -> dict[tuple[str, str, str], str]:
    every = status_rows(read_lake_index(lake), detectors())
    return {
        (row.model, row.dataset, name): " and ".join(stage.reasons) or stage.state
        for row in every
        for name, stage in row.stages.items()
        if name in {"selective", "calibration"}
    }


@pytest.fixture
def scored(lake: Lake) -> Lake:
    write_datasets(lake)
    write_model(lake, "m", unlabelled={"test": 8})
    run(lake)
    return lake


def test_numbers_are_those_of_scores_and_predictions(scored: Lake) -> None:
    """Of the labelled samples that judge: neither the unlabelled one nor those that tuned a detector."""
    activations = scored.scan("activations", model="m", dataset="test").collect().to_dicts()
    right = {row["sample"]: int(np.argmax(row["logits"])) == row["label"] for row in activations}
    assert {row["detector"] for row in rows(scored, "selective")} == set(DETECTORS)
    for row in rows(scored, "selective"):
        own, far = (
            scored.read("scores", benchmark="main", model="m", dataset=name, detector=row["detector"])
            for name in ("test", "far")
        )
        kept = [sample for sample in own["sample"].to_pylist() if sample != 8]
        tuned = int(in_tenth(np.arange(60)).sum()) if row["detector"] == "temp-scaling.openood" else 0
        assert row["unlabelled"] == int(8 in own["sample"].to_pylist())
        assert (row["n_id"], row["n_id"] + row["unlabelled"]) == (len(kept), 60 - tuned)
        values = np.array(
            [s for s, n in zip(own["score"].to_pylist(), own["sample"].to_pylist(), strict=True) if n != 8]
        )
        correct = np.array([right[sample] for sample in kept])
        expected = rejection(values, correct)
        assert {name: row[name] for name in TOLD} == {name: getattr(expected, name) for name in TOLD}
        assert row["risks"] == expected.risks.tolist()
        assert row["lacking"] is None
        (told,) = rows(scored, "oscr", detector=row["detector"])
        assert told["oscr"] == oscr(values, correct, far["score"].to_numpy()) <= told["accuracy"] == row["accuracy"]
        assert (told["ood_dataset"], told["n_id"], told["n_ood"]) == ("far", len(kept), 40)
    (own_calibration,) = rows(scored, "calibration")
    assert (
        own_calibration["accuracy"] == scored.sql("select top1 from accuracy where dataset = 'test'").fetchall()[0][0]
    )
    assert (own_calibration["dataset"], own_calibration["n"], own_calibration["unlabelled"]) == ("test", 59, 1)
    assert faults(scored) == []


def test_a_model_that_predicts_nothing_has_rows_that_say_why(lake: Lake) -> None:
    """Without a head, without a label, as an ensemble of scores."""
    write_datasets(lake)
    write_model(lake, "m")
    for model in ("same", "bare"):
        write_model(lake, model)
    for manifest in lake.partitions("heads", model="same"):
        detail = {**manifest.parts[0].details, "tells_classes": False}
        writing.commit(
            lake.storage,
            TABLES["heads"],
            manifest.key,
            [
                writing.Target(TABLES["heads"], manifest.key, {"other": 1}, {}).part(
                    list(manifest.parts[0].fragments), detail
                )
            ],
            replacing=True,
        )
    run(lake, "mahalanobis")
    (same,) = rows(lake, "selective", model="same")
    assert same["lacking"] == "the weights of the model's head are the same for each class"
    assert (same["n_id"], same["unlabelled"], same["aurc"], same["risks"]) == (0, 60, None, None)
    (calibration,) = rows(lake, "calibration", model="same")
    assert (calibration["n"], calibration["ece"], calibration["lacking"]) == (0, None, same["lacking"])
    (told,) = rows(lake, "oscr", model="same")
    assert (told["oscr"], told["n_ood"], told["lacking"]) == (None, 40, same["lacking"])
    asked = {row["model"]: row for row in lake.ask("selective_prediction").pl().to_dicts()}
    assert (asked["same"]["place"], asked["same"]["lacking"]) == (None, same["lacking"])
    assert asked["m"]["place"] == 1
    assert set(states(lake).values()) == {"fresh"}
    assert faults(lake) == []


def test_a_lake_of_an_earlier_version_is_filled_in_without_scoring(scored: Lake) -> None:
    """Status says that it is missing; views are empty until then, and nothing else is written."""
    before = {m.path: m.parts for name in TABLES for m in scored.partitions(name)}
    held = {table: rows(scored, table) for table in ("selective", "oscr", "calibration")}
    for name in ("selective", "calibration"):
        shutil.rmtree(f"{scored.location}/{name}")
    assert set(states(scored).values()) == {"missing"}
    assert rows(scored, "selective") == rows(scored, "oscr") == rows(scored, "calibration") == []
    for question in ("selective_prediction", "miscalibration"):
        lacking = {row["lacking"] for row in scored.ask(question).pl().to_dicts()}
        assert lacking == {"not computed yet: run `featurestore score`"}
    assert run(scored) == 0
    assert {m.path: m.parts for name in TABLES for m in scored.partitions(name)} == before
    assert {table: rows(scored, table) for table in held} == held
    assert set(states(scored).values()) == {"fresh"}


def test_what_changes_makes_it_stale_and_score_makes_it_again(scored: Lake) -> None:
    """Another detector, and activations of another network; a second run has nothing to do."""
    paths = [manifest.path for name in ("selective", "calibration") for manifest in scored.partitions(name)]
    run(scored)
    assert [manifest.path for name in ("selective", "calibration") for manifest in scored.partitions(name)] == paths
    run(scored, "energy")
    assert [manifest.version for name in ("selective", "calibration") for manifest in scored.partitions(name)] == [2, 1]
    assert len(rows(scored, "selective")) == len(DETECTORS) + 1
    write_model(scored, "m", again=1)
    assert states(scored) == {
        ("m", "test", "selective"): "the scores of far, test are stale",
        ("m", "test", "calibration"): "the activations were extracted again",
    }
    run(scored, "energy", *DETECTORS)
    assert set(states(scored).values()) == {"fresh"}
    assert [row["n"] for row in rows(scored, "calibration")] == [60]


def test_shifted_sets_have_a_calibration_and_change_nothing_of_the_rest(copied: Commands) -> None:
    """Selective prediction is judged by the ID test set alone."""
    before = copied.lake.partitions("selective")
    copied.add("fog", "csid", {"ant": 5, "bee": 5, "cat": 5}, seed=20)
    assert copied.extract({"a": 1, "b": 2}, "fog").code == 0
    copied.ok("score")
    assert copied.lake.partitions("selective") == before
    found = copied.lake.sql("select dataset, count(*) from calibration group by all order by all").fetchall()
    assert found == [("fog", 2), ("test", 2)]
    asked = copied.lake.ask("miscalibration").pl()
    assert asked["dataset"].to_list() == ["fog", "fog", "test", "test"]
    assert ", 0 stale, 0 missing" in copied.ok("status")


def test_an_ensemble_has_rows_that_say_why(copied: Commands) -> None:
    copied.ok("score", "--ensemble", "duo=a/msp,a/energy")
    (own,) = rows(copied.lake, "selective", model="duo")
    assert (own["n_id"], own["lacking"]) == (0, "an ensemble of scores predicts no class")
    assert [row["oscr"] for row in rows(copied.lake, "oscr", model="duo")] == [None, None]
    assert ", 0 stale, 0 missing" in copied.ok("status")
