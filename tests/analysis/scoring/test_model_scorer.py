"""What one model's scores are made from, and what judges them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from analysis.lineage.ingredients import learned_by_detector
from analysis.rows.lake_rows import in_tenth
from analysis.scoring import ScoringSelection, score
from analysis.scoring.stored_statistics import read_statistic
from benchmarks.lakes import put
from featurestore.care.garbage import collect
from featurestore.errors import InputError, StorageError
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from tests.analysis.synthetic import ROLES, write_datasets, write_model

if TYPE_CHECKING:
    from featurestore import Lake

TENTH = np.flatnonzero(in_tenth(np.arange(ROLES["test"][1])))
REST = np.flatnonzero(~in_tenth(np.arange(ROLES["test"][1])))


@pytest.fixture
def scored(lake: Lake) -> Lake:
    write_datasets(lake)
    write_model(lake, "m")
    run(lake)
    return lake


def run(lake: Lake, *detectors: str) -> int:
    """Score, and return how many score partitions were made."""
    return score(lake, ScoringSelection(detectors=detectors or ("msp", "mahalanobis")), lambda _: None).scored


def scores(lake: Lake, detector: str, dataset: str = "test") -> dict[str, np.ndarray]:
    rows = lake.read("scores", benchmark="main", model="m", dataset=dataset, detector=detector)
    return {name: rows.column(name).to_numpy() for name in rows.column_names}


def fits(lake: Lake) -> set[str]:
    return {part.key["fit"] for manifest in lake.partitions("fits") for part in manifest.parts}


def test_samples_that_tune_a_detector_do_not_judge_it(scored: Lake) -> None:
    """Without a dataset to tune on, a seeded tenth of the ID test set is: it is left out of scores, ranks and metrics."""
    run(scored, "temp-scaling.openood")
    assert 0 < len(TENTH) < len(REST)
    assert_array_equal(scores(scored, "msp")["sample"], np.arange(ROLES["test"][1]))
    tuned = scores(scored, "temp-scaling.openood")
    assert_array_equal(tuned["sample"], REST)
    above = (tuned["score"][:, None] > tuned["score"]) + (tuned["score"][:, None] == tuned["score"]) / 2
    assert tuned["id_rank"] == pytest.approx(above.mean(axis=1))
    assert len(scores(scored, "temp-scaling.openood", "far")["sample"]) == ROLES["far"][1]
    counts = scored.sql("select distinct detector, n_id from metrics order by detector").fetchall()
    assert counts == [("mahalanobis", 60), ("msp", 60), ("temp-scaling.openood", len(REST))]


def test_only_that_tenth_tunes(scored: Lake) -> None:
    """Statistics of validation data are of its samples alone, and those of the fit dataset of all."""
    run(scored, "temp-scaling.openood", "temp-scaling")
    assert read_statistic(scored, "m", "test", "temperature-grid-val")["rows"] == len(TENTH)
    assert read_statistic(scored, "m", "train", "temperature-grid")["rows"] == ROLES["train"][1]


def test_a_dataset_to_tune_on_takes_the_place_of_the_tenth(scored: Lake) -> None:
    """All of it tunes, all of the ID test set judges, and scores that the tenth had tuned are stale."""
    run(scored, "temp-scaling.openood")
    roles = {"val": ("val", 30), **ROLES}
    write_datasets(scored, roles)
    write_model(scored, "m", {"val": ("val", 30)})
    assert run(scored, "temp-scaling.openood") == 2
    assert read_statistic(scored, "m", "val", "temperature-grid-val")["rows"] == 30
    assert len(scores(scored, "temp-scaling.openood")["sample"]) == ROLES["test"][1]


def test_only_statistics_are_stored(scored: Lake) -> None:
    """What detectors learn is computed again, and gives the same scores to the last bit from what the lake holds."""
    assert fits(scored) == {"class-statistics", "feature-norms", "within-class-kurtosis"}
    first = scores(scored, "mahalanobis", "far")["score"]
    key = {"benchmark": "main", "model": "m", "dataset": "far", "detector": "mahalanobis"}
    put(scored, "scores", key, {"sample": [0], "score": [0.0]}, replacing=True)
    (before,) = scored.partitions("fits")
    assert run(scored) == 1
    assert_array_equal(scores(scored, "mahalanobis", "far")["score"], first)
    assert [before] == scored.partitions("fits")


def test_what_earlier_versions_stored_of_detectors_is_let_go(scored: Lake) -> None:
    """Scores stay current, the manifest drops it, and the garbage collector deletes it."""
    key = {"model": "m", "dataset": "train", "fit": "mahalanobis"}
    columns = {"array": ["shift"], "row": [0], "values": [[1.0]]}
    put(scored, "fits", key, columns, {"detector_version": 1, "statistics": ["x"]})
    statistics = fits(scored) - {"mahalanobis"}
    assert run(scored) == 0
    assert fits(scored) == statistics
    (manifest,) = scored.partitions("fits")
    assert not any(map(learned_by_detector, manifest.parts))
    version = manifest.version
    assert run(scored) == 0
    (manifest,) = scored.partitions("fits")
    assert manifest.version == version
    deleted = collect(scored.storage, timedelta(0)).deleted
    assert any("fit=mahalanobis" in entry.key for entry in deleted)


def said(lake: Lake, *detectors: str) -> str:
    """What scoring says."""
    lines: list[str] = []
    score(lake, ScoringSelection(detectors=detectors), lines.append)
    return "\n".join(lines)


def test_a_detector_that_cannot_learn_is_left_out_and_said(lake: Lake) -> None:
    """The others are scored; asked for by name, it fails."""
    write_datasets(lake)
    write_model(lake, "m")
    assert "m: without knn.sampled: Fitting knn.sampled of m: knn.sampled goes by the distance" in said(lake, "all")
    held = {part.key["detector"] for manifest in lake.partitions("scores") for part in manifest.parts}
    assert {"msp", "mahalanobis", "temp-scaling.openood"} <= held
    assert "knn.sampled" not in held
    with pytest.raises(InputError, match=r"Fitting knn\.sampled of m"):
        said(lake, "knn.sampled")


def test_what_a_detector_lacks_is_named(lake: Lake) -> None:
    """Activations on the fit dataset, which the benchmark has or not, or a head."""
    roles = {name: role for name, role in ROLES.items() if name != "train"}
    write_datasets(lake, roles)
    write_model(lake, "m", roles, head=False)
    needs = "activations on the fit dataset of the benchmark, which has none"
    assert f"m: without mahalanobis, which need {needs}" in said(lake, "msp", "mahalanobis")
    assert "m: without ssc, which need a linear head, and the model has none" in said(lake, "msp", "ssc")
    write_datasets(lake)
    assert "m: without mahalanobis, which need activations on the fit dataset train" in said(lake, "mahalanobis", "msp")


def test_accuracy_is_that_of_the_labelled_samples(scored: Lake) -> None:
    """Of the ID test set, in blocks."""
    rows = scored.scan("activations", model="m", dataset="test").collect()
    right = rows["logits"].to_numpy().argmax(axis=1) == rows["label"].to_numpy()
    assert scored.sql("select n, top1, top5 from accuracy").fetchall() == [(60, pytest.approx(right.mean()), 1.0)]


def test_what_was_done_and_what_to_know_of_it_is_said(lake: Lake) -> None:
    """A line per model, with what it has no activations on; and what detectors warn of."""
    write_datasets(lake)
    write_model(lake, "m", {name: role for name, role in ROLES.items() if name != "far"})
    lines = said(lake, "residual", "msp")
    assert "m: residual takes 3 principal dimensions, because the features have only 6" in lines
    assert "m in main: 2 score partitions made, 0 in the lake already; no activations yet on far" in lines


def test_scores_that_nothing_can_make_again_are_withdrawn(scored: Lake) -> None:
    """Of a detector that needs a head, once the network under the name has none; what can be made again is."""
    run(scored, "msp", "nci")
    heads = TABLES["heads"]
    assert writing.drop(scored.storage, heads, {"model": "m"}, lambda _: True)
    lines: list[str] = []
    score(scored, ScoringSelection(), lines.append)
    assert not [line for line in lines if "withdrew" in line], "they are still of the activations of now"
    write_model(scored, "m", head=False, again=1)
    lines.clear()
    score(scored, ScoringSelection(detectors=["msp", "mahalanobis"]), lines.append)
    (said,) = [line for line in lines if "withdrew" in line]
    assert "nci" in said
    assert "msp" not in said
    held = {part.key["detector"] for manifest in scored.partitions("scores") for part in manifest.parts}
    assert {"msp", "mahalanobis"} <= held
    assert "nci" not in held
    judged = {name for (name,) in scored.sql("select distinct detector from metrics").fetchall()}
    assert judged == {"msp", "mahalanobis"}
    activations = {m.key["dataset"]: m.parts[0].fingerprint for m in scored.partitions("activations")}
    for manifest in scored.partitions("fits"):
        assert {p.ingredients["activations"] for p in manifest.parts} == {activations[manifest.key["dataset"]]}


def test_scores_of_which_one_cannot_be_stored_are_not_committed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are stored behind the job, side by side; what fails there ends it before its commit."""
    write_datasets(lake)
    write_model(lake, "m")
    create = lake.storage.create

    def full_disk(key: str, data: bytes) -> bool:
        if "dataset=far/detector=energy/" in key:
            raise StorageError("The disk is full.")
        return create(key, data)

    with monkeypatch.context() as patch:
        patch.setattr(lake.storage, "create", full_disk)
        with pytest.raises(StorageError, match="full"):
            run(lake, "msp", "energy", "max-logit")
    assert [manifest.key["dataset"] for manifest in lake.partitions("scores")] == ["test"]
    assert run(lake, "msp", "energy", "max-logit") > 0
    assert {
        detector: len(scores(lake, detector, "far")["score"]) for detector in ("msp", "energy", "max-logit")
    } == dict.fromkeys(("msp", "energy", "max-logit"), ROLES["far"][1])
