"""A lake's detector in use: the lake's own numbers, a threshold that says how sure it is, and files that need no lake."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from analysis.detectors import detectors
from analysis.judging import ThresholdedDetector
from analysis.judging.from_lake import read_judge
from analysis.metrics import threshold_at, threshold_interval
from analysis.scoring import ScoringSelection, score
from benchmarks.lakes import put_dataset
from featurestore import Lake
from featurestore.errors import ConflictError, InputError, LakeError, MissingError
from featurestore.verbs import VerbLake
from tests.analysis.synthetic import CLASSES, DIM, write_datasets, write_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROLES = {"train": ("fit", 300), "test": ("id", 120), "far": ("ood", 40)}
NAMES = (
    "msp",
    "mahalanobis",
    "vim",
    "knn.openood",
    "knn@k=7",
    "relation",
    "nnguide.openood",
    "react.openood",
    "gmm",
    "neglabel",
)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    (folder := tmp_path_factory.mktemp("judging") / "lake").mkdir()
    lake = Lake(folder)
    write_datasets(lake, ROLES)
    write_model(lake, "m", ROLES)
    write_model(lake, "headless", ROLES, head=False)
    score(lake, ScoringSelection(models=("m",), detectors=NAMES), lambda _: None)
    return lake


@pytest.fixture
def lake(scored: Lake, tmp_path: Path) -> Lake:
    """A copy that the test may change."""
    shutil.copytree(scored.location, tmp_path / "lake")
    return Lake(tmp_path / "lake")


def judge_of(lake: Lake, detector: str = "mahalanobis", model: str = "m", **how: Any) -> ThresholdedDetector:
    return read_judge(ThresholdedDetector, lake, model, detector, say=lambda _: None, **how)


def far(lake: Lake) -> tuple[NDArray[Any], NDArray[Any]]:
    blocks = zip(*lake.batches(model="m", dataset="far", columns=("feature", "logits")), strict=True)
    feature, logits = (np.concatenate(column) for column in blocks)
    return feature, logits


@pytest.mark.parametrize("name", NAMES)
def test_it_scores_as_the_lake_does_also_pickled_and_saved(scored: Lake, tmp_path: Path, name: str) -> None:
    """Scores and ranks of activations that the lake holds are the lake's; the file is read where there is no lake."""
    judge = judge_of(scored, name)
    held = scored.read("scores", benchmark="main", model="m", dataset="far", detector=name)
    own = scored.read("scores", benchmark="main", model="m", dataset="test", detector=name)["score"].to_numpy()
    feature, logits = far(scored)
    scores = judge.score(feature, logits)
    assert_array_equal(scores, held["score"].to_numpy())
    assert_array_equal(judge.id_rank(scores), held["id_rank"].to_numpy())
    assert judge.threshold == threshold_at(own, 0.95)
    assert_array_equal(judge.accepts(feature, logits), scores >= judge.threshold)
    judge.save(tmp_path / "file")
    for other in (pickle.loads(pickle.dumps(judge.in_memory())), ThresholdedDetector.load(tmp_path / "file")):
        assert_allclose(other.score(feature, logits), scores, rtol=1e-13)
        assert other.threshold == judge.threshold
        assert other.threshold_interval == judge.threshold_interval
        assert other.network == judge.network
        assert (other.benchmark, other.id_dataset, other.class_names) == ("main", "test", judge.class_names)


def test_a_loaded_file_needs_no_lake_and_no_torch(lake: Lake, tmp_path: Path) -> None:
    """In another process, from another folder, with the lake gone; detectors that compare carry the fit rows."""
    feature, logits = far(lake)
    np.savez(tmp_path / "rows.npz", feature=feature, logits=logits)
    expected = judge_of(lake, "knn.openood").score(feature, logits)
    judge_of(lake, "knn.openood").save(tmp_path / "judge")
    shutil.rmtree(lake.location)
    code = (
        "import sys, numpy as np; from featurestore.judge import Judge; judge = Judge.load('judge');"
        "rows = np.load('rows.npz'); np.save('scores.npy', judge.score(rows['feature'], rows['logits']));"
        "assert not {'torch', 'timm', 'PIL'} & set(sys.modules)"
    )
    paths = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=paths)  # our own code
    assert_allclose(np.load(tmp_path / "scores.npy"), expected, rtol=1e-13)


def test_one_image_gives_one_number(scored: Lake) -> None:
    """A feature [D] and logits [C], as from a network's hook."""
    judge = judge_of(scored, "vim")
    feature, logits = far(scored)
    one = judge.score(feature[0], logits[0])
    assert one.shape == ()
    assert one == pytest.approx(judge.score(feature, logits)[0], rel=1e-12)
    assert judge.accepts(feature[0], logits[0]) in {True, False}
    with pytest.raises(InputError, match=f"have {DIM - 1} dimensions; expected {DIM}"):
        judge.score(feature[0, 1:], logits[0])
    with pytest.raises(InputError, match=f"have 2 classes; expected {CLASSES}"):
        judge.score(feature[0], logits[0, 1:])


def test_a_higher_rate_lowers_the_threshold_within_its_interval(scored: Lake) -> None:
    """The interval is that of the ID scores, and holds the threshold."""
    ordered = [judge_of(scored, tpr=tpr) for tpr in (0.5, 0.9, 0.95)]
    assert ordered[0].threshold > ordered[1].threshold > ordered[2].threshold
    for judge in ordered:
        low, high = judge.threshold_interval
        assert low <= judge.threshold <= high
        assert (low, high) == threshold_interval(judge.id_scores, judge.tpr)


@pytest.mark.parametrize("tpr", [0.0, 1.0, 95, -1, float("nan")])
def test_a_rate_that_is_no_share_is_refused(scored: Lake, tpr: float) -> None:
    """As percent are; at 0 and 1 there is no threshold but an extreme score."""
    with pytest.raises(InputError, match="--tpr is the share of ID images to accept, between 0 and 1"):
        judge_of(scored, tpr=tpr)


def test_what_is_not_there_is_said_with_what_to_run(lake: Lake) -> None:
    """Model, detector, scores, benchmark, activations."""
    for model, detector, said in [
        ("n", "mahalanobis", "There is no model with activations 'n'"),
        ("m", "mahalanobi", "mahalanobis"),
        ("m", "energy", "has no scores of test by m and energy.*run `featurestore score --model m --detector energy`"),
    ]:
        with pytest.raises(MissingError, match=said):
            judge_of(lake, detector, model)
    with pytest.raises(MissingError, match="nowhere"):
        judge_of(lake, benchmark="nowhere")
    shutil.rmtree(Path(lake.location) / "activations" / "model=m" / "dataset=train")
    assert judge_of(lake, "msp")
    with pytest.raises(
        MissingError, match=r"m has no activations on train, which mahalanobis needs.*extract --dataset train"
    ):
        judge_of(lake)


def test_an_ensemble_has_no_network(lake: Lake) -> None:
    """Its members have."""
    VerbLake(lake.location).score(ensemble="pair=m/msp,m/mahalanobis", say=None, progress=None)
    with pytest.raises(InputError, match="pair is an ensemble, and has no network of its own"):
        judge_of(lake, "msp", "pair")


def test_stale_scores_set_no_threshold(lake: Lake) -> None:
    """Neither those of other activations of the ID test set, nor those of a detector that learned from others, nor of other samples."""
    write_model(lake, "m", {"train": ROLES["train"]}, again=1)
    assert judge_of(lake, "msp")
    with pytest.raises(
        ConflictError, match=r"are stale, as .*run `featurestore score --model m --detector mahalanobis`"
    ):
        judge_of(lake)
    score(lake, ScoringSelection(models=("m",), detectors=("mahalanobis",)), lambda _: None)
    assert judge_of(lake)
    write_model(lake, "m", {"test": ROLES["test"]}, again=1)
    with pytest.raises(ConflictError, match="are stale, as they were made from other activations, id_activations: run"):
        judge_of(lake, "msp")


def test_statistics_that_are_gone_are_gathered_again(lake: Lake) -> None:
    """As scores that are current do not bring them back."""
    feature, logits = far(lake)
    expected = judge_of(lake).score(feature, logits)
    shutil.rmtree(Path(lake.location) / "fits")
    assert_array_equal(judge_of(lake).score(feature, logits), expected)


def test_several_benchmarks_have_several_thresholds(lake: Lake) -> None:
    """Without a `main`, one must be named; datasets that a detector does not need may be missing."""
    put_dataset(lake, "other", "id", ["x"] * 120, [0] * 120, benchmarks=["second"])
    put_dataset(lake, "third", "id", ["x"] * 120, [0] * 120, benchmarks=["third"])
    write_model(lake, "n", {"other": ("id", 120), "third": ("id", 120)})
    score(lake, ScoringSelection(models=("n",), detectors=("msp",)), lambda _: None)
    assert judge_of(lake, "msp").benchmark == "main"
    assert judge_of(lake, "msp", "n", benchmark="second").id_dataset == "other"
    with pytest.raises(LakeError, match="n has no activations on test"):
        judge_of(lake, "msp", "n")


def test_classes_have_the_names_that_the_datasets_give_them(lake: Lake) -> None:
    """Where a class has several names, none."""
    assert judge_of(lake, "msp").class_names == {}
    names, labels = ["ant", "bee", "cat"] * 40, [0, 1, 2] * 40
    shutil.rmtree(Path(lake.location) / "samples" / "dataset=train")
    shutil.rmtree(Path(lake.location) / "samples" / "dataset=test")
    shutil.rmtree(Path(lake.location) / "datasets" / "dataset=test")
    put_dataset(lake, "test", "id", names, labels, classes=CLASSES)
    assert judge_of(lake, "msp").class_names == {0: "ant", 1: "bee", 2: "cat"}


def test_files_that_are_no_judge_are_refused(scored: Lake, tmp_path: Path) -> None:
    """Whatever they are, in a sentence; and nothing in them is run."""
    ran = tmp_path / "ran"

    class Run:
        def __reduce__(self) -> Any:
            return Path.touch, (ran,)

    (tmp_path / "text").write_text("no archive")
    (tmp_path / "pickle").write_bytes(pickle.dumps(Run()))
    np.savez(tmp_path / "objects", json=np.array([Run()], object))
    np.savez(tmp_path / "arrays", a=np.ones(3))
    whole = judge_of(scored).save(tmp_path / "whole").read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    for name in ("text", "pickle", "objects.npz", "arrays.npz", "half", "missing"):
        with pytest.raises(InputError, match=f"{name} cannot be read as a saved judge"):
            ThresholdedDetector.load(tmp_path / name)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"versions": {"mahalanobis": 0}}, ConflictError, "saved with another version of mahalanobis"),
        ({"format": 2}, ConflictError, "saved by a later version of featurestore"),
        ({"detector": "mine"}, MissingError, "no detector 'mine'"),
    ],
)
def test_files_of_other_versions_are_refused(
    scored: Lake, tmp_path: Path, change: dict[str, Any], error: type[LakeError], said: str
) -> None:
    """Their numbers would be others than those that set the threshold."""
    with np.load(judge_of(scored).save(tmp_path / "judge")) as archive:
        arrays = dict(archive)
    text = json.loads(str(arrays.pop("json")[()]))
    np.savez(tmp_path / "changed.npz", json=np.array(json.dumps(text | change)), **arrays)
    with pytest.raises(error, match=said):
        ThresholdedDetector.load(tmp_path / "changed.npz")


def test_every_detector_that_learns_says_what_it_learned_from(scored: Lake) -> None:
    """The file holds the statistics that the detector needs, and no others."""
    judge = judge_of(scored, "vim")
    assert set(judge.fitted.statistics) == {need.name for need in detectors()["vim"].statistics}
