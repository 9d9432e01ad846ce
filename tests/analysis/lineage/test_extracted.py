"""What a dataset was replaced by is joined with nothing that was made of the images before."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from extract.images import loader
from featurestore.errors import StaleWarning
from tests.extract.job.conftest import leave_at_the_next_pass
from tests.tiny import write_images

if TYPE_CHECKING:
    from tests.pipeline import Commands

METRICS = "select model, detector, ood_dataset, ood_class, n_ood, fpr95, auroc from metrics where ood_dataset = '{}' order by all"


@pytest.fixture
def scored(fresh: Commands) -> Commands:
    fresh.add("train", "fit", {"ant": 8, "bee": 8, "cat": 8})
    fresh.add("test", "id", {"ant": 6, "bee": 6, "cat": 6}, seed=1)
    fresh.add("far", "ood", {"dog": 9, "elk": 8}, seed=2)
    fresh.add("near", "ood", {"fox": 4}, seed=3)
    assert fresh.extract({"a": 1, "b": 2}, "train", "test", "far", "near").code == 0
    fresh.ok("score", "--detector", "msp", "--detector", "mahalanobis")
    return fresh


def metrics(commands: Commands, dataset: str) -> list[tuple[object, ...]]:
    with warnings.catch_warnings(action="ignore", category=StaleWarning):
        return commands.lake.sql(METRICS.format(dataset)).fetchall()


def replace(commands: Commands, name: str, role: str, classes: dict[str, int]) -> None:
    """Other images, as many as before, under the same name."""
    images = write_images(commands.folder / f"other-{name}", classes, 7)
    commands.ok("dataset", "add", name, images, "--role", role, "--replace")


def test_scores_of_a_replaced_ood_set_are_judged_no_more(scored: Commands) -> None:
    """They were joined by position with other classes, and all metrics written anew; now that dataset is left out."""
    near = metrics(scored, "near")
    replace(scored, "far", "ood", {"auk": 9, "dog": 3, "elk": 5})
    done = scored("score", "--detector", "energy")
    assert done.code == 3
    assert done.err == (
        "far was left out: the activations of 2 models (a, b) are of other samples than far has now: "
        "run `featurestore extract --replace --dataset far`, then `featurestore score`.\n"
    )
    assert metrics(scored, "far") == []
    kept = [row for row in metrics(scored, "near") if row[1] != "energy"]
    assert kept == near
    scored.extract({"a": 1, "b": 2}, "far", options=("--replace",))
    scored.ok("score", "--detector", "msp", "--detector", "mahalanobis", "--detector", "energy")
    assert {row[3] for row in metrics(scored, "far")} == {"auk", "dog", "elk", None}


def test_nothing_is_scored_against_a_replaced_id_set(scored: Commands) -> None:
    """One model is refused, and of several each is listed: then nothing is left."""
    before = metrics(scored, "far")
    replace(scored, "test", "id", {"ant": 5, "bee": 7, "cat": 6})
    said = scored.refused("score", "--model", "a")
    assert "The activations of a on test are of other samples than test has now: run `featurestore extract" in said
    everything = scored("score")
    assert everything.code == 1
    assert "b: The activations of b on test are of other samples" in everything.err
    assert metrics(scored, "far") == before


def test_detectors_learn_nothing_from_a_replaced_fit_set(scored: Commands) -> None:
    """Those that learn are left out; those that do not are judged as before."""
    before = [row for row in metrics(scored, "far") if row[1] == "msp"]
    replace(scored, "train", "fit", {"ant": 9, "bee": 9, "cat": 6})
    done = scored("score", "--detector", "msp", "--detector", "mahalanobis")
    assert done.code == 3
    assert "train was left out: the activations of 2 models (a, b) are of other samples than train has now" in done.err
    assert "without mahalanobis, which need activations on the fit dataset train" in done.out
    assert metrics(scored, "far") == before


def test_a_model_that_was_extracted_again_on_one_dataset_stops_no_other(scored: Commands) -> None:
    """The activations of one network and of another are not joined; the model is listed, the others are scored."""
    scored.extract({"a": 5}, "far", options=("--replace",))
    done = scored("score", "--detector", "energy")
    assert done.code == 3
    assert done.err.startswith("a was left out: The activations of a on test and on far differ in ")
    assert "weights_sha256" in done.err
    assert "extract the older ones again with --replace" in done.err
    held = {m.key["model"] for m in scored.lake.partitions("scores") for p in m.parts if p.key["detector"] == "energy"}
    assert held == {"b"}
    assert "differ in" in scored.refused("score", "--model", "a")


def test_an_ensemble_leaves_a_replaced_ood_set_out_and_is_refused_on_a_replaced_id_set(scored: Commands) -> None:
    """Its members' scores of other samples are not combined."""
    scored.ok("score", "--ensemble", "two=a/msp,b/msp")
    assert {row[0] for row in metrics(scored, "far")} == {"a", "b", "two"}
    replace(scored, "far", "ood", {"auk": 9, "dog": 3, "elk": 5})
    assert "not on far, where a member has no scores of its samples" in scored.ok(
        "score", "--ensemble", "two=a/msp,b/msp"
    )
    assert {row[0] for row in metrics(scored, "far")} == {"a", "b"}
    assert {row[0] for row in metrics(scored, "near")} == {"a", "b", "two"}
    replace(scored, "test", "id", {"ant": 5, "bee": 7, "cat": 6})
    said = scored.refused("score", "--ensemble", "two=a/msp,b/msp")
    assert "The activations of a on test are of other samples than test has now" in said


def test_what_is_judged_on_fewer_samples_says_so_until_the_others_are_read(
    fresh: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images of a class were away: its metrics were those of the other class, without a word."""
    monkeypatch.setattr(loader, "_PAUSES", ())
    fresh.add("test", "id", {"ant": 6, "bee": 6, "cat": 6}, seed=1)
    fresh.add("far", "ood", {"dog": 9, "elk": 8}, seed=2)
    assert fresh.extract({"a": 1}, "test").code == 0
    place = fresh.folder / "far" / "elk"
    with monkeypatch.context() as patch:
        leave_at_the_next_pass(patch, place)
        assert fresh.extract({"a": 1}, "far", options=("--allow-unreadable",)).code == 3
    place.with_name("elk-away").rename(place)
    said = "a on far: 9 of 17 samples; the others are failures\n"
    assert said in fresh.ok("score", "--detector", "msp")
    assert said in fresh.ok("status")
    judged = "select n_id, n_ood from metrics where ood_dataset = 'far' and aggregation = 'pooled'"
    with pytest.warns(StaleWarning, match="9 of 17 samples of far"):
        assert fresh.lake.sql(judged).fetchall() == [(18, 9)]
    fresh.ok("verify", "--deep")

    assert fresh.extract({"a": 1}, "test", "far").code == 0
    status = fresh.ok("status")
    assert "stale because the activations were extracted again" in status
    assert "are failures" not in status
    assert "are failures" not in fresh.ok("score", "--detector", "msp")
    assert fresh.lake.sql(judged).fetchall() == [(18, 17)]
    fresh.ok("verify", "--deep")
