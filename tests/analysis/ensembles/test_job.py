"""Ensembles through the real command, against their slow twins."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pytest

from analysis.ensembles.combining import fitted_weights, tunes, tuning_classes
from tests.pipeline import Commands, write_pool

MEMBERS = ("a/msp", "b/energy", "b/mahalanobis")
TRIO = f"trio={','.join(MEMBERS)}"


@pytest.fixture
def commands(copied: Commands) -> Commands:
    return copied


def stored(commands: Commands, model: str, detector: str, dataset: str) -> dict[int, tuple[float, float]]:
    """Score and rank by sample."""
    rows = commands.lake.read("scores", benchmark="main", model=model, detector=detector, dataset=dataset)
    return {row["sample"]: (row["score"], row["id_rank"]) for row in rows.to_pylist()}


def members(commands: Commands, dataset: str) -> list[dict[int, tuple[float, float]]]:
    return [stored(commands, *member.split("/"), dataset) for member in MEMBERS]


def stages(commands: Commands, model: str) -> dict[tuple[str, str], str]:
    """State and reason by dataset and stage."""
    rows = csv.DictReader(io.StringIO(commands.ok("status", "--format", "csv", "--model", model)))
    return {(row["dataset"], row["stage"]): row["reason"] or row["state"] for row in rows}


def naive_ranks(scores: dict[int, float], id_scores: dict[int, float]) -> dict[int, float]:
    count = len(id_scores)
    return {
        sample: sum((other < own) + 0.5 * (other == own) for other in id_scores.values()) / count
        for sample, own in scores.items()
    }


def test_a_mean_of_ranks_is_that_by_sample(commands: Commands) -> None:
    """By sample number, and ranked among the ensemble's own ID scores."""
    assert "3 score partitions made" in commands.ok("score", "--ensemble", TRIO)
    of_id = {sample: np.mean([member[sample][1] for member in members(commands, "test")]) for sample in range(36)}
    for dataset in ("test", "far", "unit-tests"):
        own = members(commands, dataset)
        wanted = {sample: np.mean([member[sample][1] for member in own]) for sample in own[0]}
        found = stored(commands, "trio", "mean-rank", dataset)
        assert {s: v for s, (v, _) in found.items()} == pytest.approx(wanted)
        assert {s: r for s, (_, r) in found.items()} == pytest.approx(naive_ranks(wanted, of_id))


def test_a_mean_of_z_scores_is_that_by_sample(commands: Commands) -> None:
    """With mean and deviation of each member's ID scores; MODEL alone takes the one detector given."""
    commands.ok("score", "--ensemble", "pair=a,b/energy", "--detector", "msp", "--combine", "mean-z")
    for dataset in ("test", "far"):
        total: dict[int, float] = {}
        for model, detector in (("a", "msp"), ("b", "energy")):
            of_id = np.array([score for score, _ in stored(commands, model, detector, "test").values()])
            for sample, (score, _) in stored(commands, model, detector, dataset).items():
                total[sample] = total.get(sample, 0.0) + (score - of_id.mean()) / of_id.std() / 2
        found = {s: v for s, (v, _) in stored(commands, "pair", "mean-z", dataset).items()}
        assert found == pytest.approx(total)


def test_samples_that_tune_weights_do_not_judge_them(commands: Commands) -> None:
    """Neither the tuning classes of the OOD dataset nor the tuning tenth of the ID test set have scores."""
    commands.ok("score", "--ensemble", TRIO, "--combine", "weighted", "--tune-on", "far")
    tuning_ids = set(np.flatnonzero(tunes(np.arange(36))))
    assert 0 < len(tuning_ids) < 12
    classes = commands.lake.read("samples", dataset="far").column("class_name").to_pylist()
    (tuning_class,) = tuning_classes(classes)
    assert set(stored(commands, "trio", "weighted", "test")) == set(range(36)) - tuning_ids
    judged = stored(commands, "trio", "weighted", "far")
    assert set(judged) == {sample for sample, name in enumerate(classes) if name != tuning_class}
    assert len(stored(commands, "trio", "weighted", "unit-tests")) == 8

    of_id, of_far = members(commands, "test"), members(commands, "far")
    chosen = np.array([[member[s][0] for member in of_id] for s in sorted(tuning_ids)])
    tuning_ood = np.array([[m[s][0] for m in of_far] for s, name in enumerate(classes) if name == tuning_class])
    mean, deviation = chosen.mean(axis=0), chosen.std(axis=0)
    weights = fitted_weights((chosen - mean) / deviation, (tuning_ood - mean) / deviation)
    for sample, (score, _) in judged.items():
        assert score == pytest.approx(sum((np.array([m[sample][0] for m in of_far]) - mean) / deviation * weights))
    counts = "select ood_dataset, n_id, n_ood from metrics where model = 'trio' and aggregation = 'pooled' order by 1"
    n_id = 36 - len(tuning_ids)
    assert commands.lake.sql(counts).fetchall() == [("far", n_id, len(judged)), ("unit-tests", n_id, 8)]
    recipe = json.loads(commands.lake.read("models", model="trio").column("recipe")[0].as_py())
    assert recipe["weights"]["main"] == pytest.approx(weights.tolist())
    assert recipe["tuned_on"] == "far"
    _, part = commands.lake.part("scores", benchmark="main", model="trio", dataset="far", detector="weighted")
    assert part.details["tuning_classes"] == [tuning_class]


def test_an_ensemble_is_a_model_like_any_other(commands: Commands) -> None:
    """Metrics follow from its scores, questions and the report answer, verify and gc accept it, and nothing is made twice."""
    assert "3 score partitions made, 0 cache hits" in commands.ok("score", "--ensemble", TRIO)
    assert "3 score partitions made" in commands.ok("score", "--ensemble", TRIO, "--combine", "mean-z")
    (row,) = commands.lake.read("models", model="trio").to_pylist()
    assert row["source"] == "ensemble"
    assert json.loads(row["recipe"]) == {
        "ensemble_of": list(MEMBERS), "combine": ["mean-rank", "mean-z"], "tuned_on": None, "weights": {},
    }  # fmt: skip
    assert {name for name, value in row.items() if value is not None} == {"source", "recipe"}
    differences = commands.lake.sql("""
        select abs(m.auroc - (select 1 - avg(s.id_rank) from scores s
                              where s.model = m.model and s.detector = m.detector and s.dataset = m.ood_dataset))
        from metrics m where aggregation = 'pooled' and model = 'trio'
    """).fetchall()
    assert len(differences) == 4
    assert max(difference for (difference,) in differences) < 1e-12
    assert commands.lake.sql("select distinct accuracy from results where model = 'trio'").fetchall() == [(None,)]
    for question in commands.lake.questions():
        commands.ok("ask", question)
    commands.ok("report", commands.folder / "report.html")
    assert "no fault" in commands.ok("verify", "--deep")
    before = sorted((path, path.stat().st_mtime_ns) for path in commands.location.rglob("*"))
    commands.ok("gc", "--older-than", "0s")
    assert "0 score partitions made, 3 cache hits" in commands.ok("score", "--ensemble", TRIO)
    parts = sum(len(manifest.parts) for manifest in commands.lake.partitions("scores"))
    assert f"0 score partitions made, {parts} cache hits" in commands.ok("score")
    after = sorted((path, path.stat().st_mtime_ns) for path in commands.location.rglob("*.parquet"))
    assert after == [entry for entry in before if entry in after]


def test_an_ensemble_follows_its_members(commands: Commands) -> None:
    """Stale when a member's scores are, made again when they are made again, missing where they are new."""
    commands.ok("score", "--ensemble", TRIO)
    commands.ok("score", "--ensemble", TRIO, "--combine", "weighted", "--tune-on", "far")
    assert set(stages(commands, "trio").items()) == {
        (("test", "scores"), "fresh"), (("test", "metrics"), "fresh"), (("test", "selective"), "fresh"),
        (("far", "scores"), "fresh"), (("unit-tests", "scores"), "fresh"),
    }  # fmt: skip
    pool = write_pool(commands.folder / "models", {"a": 7, "b": 2})
    extract = ["extract", "--pool", pool, "--replace"]
    commands.ok(*extract, "--dataset", "far")
    assert stages(commands, "trio")["far", "scores"] == "the scores of a/msp are stale"
    assert "of a/msp are stale" in stages(commands, "trio")["unit-tests", "scores"]
    assert "The scores of a/msp on far are stale: run `featurestore score --model a --detector msp` first" in (
        commands.refused("score", "--ensemble", TRIO)
    )
    commands.ok(*extract, "--dataset", "test", "--dataset", "train", "--dataset", "unit-tests")
    commands.ok("score", "--model", "a", "--detector", "msp")
    assert stages(commands, "trio")["far", "scores"] == "the scores of its members changed"
    assert "trio in main: 3 score partitions made" in commands.ok("score")
    assert set(stages(commands, "trio").values()) == {"fresh"}

    commands.add("near", "ood", {"fox": 3, "gnu": 3}, seed=5)
    commands.ok("extract", "--pool", pool, "--dataset", "near")
    assert ("near", "scores") not in stages(commands, "trio")
    commands.ok("score", "--model", "a", "--model", "b")
    assert stages(commands, "trio")["near", "scores"] == "missing"
    commands.ok("score", "--model", "trio")
    assert stages(commands, "trio")["near", "scores"] == "fresh"


def test_members_of_other_samples_are_refused(commands: Commands) -> None:
    """Broken images, say, in a lake from before digests of images were kept: nothing is joined by position."""
    commands.add("near", "ood", {"fox": 3, "gnu": 3}, seed=5)
    picture = commands.folder / "near" / "fox" / "001.png"
    image = picture.read_bytes()
    for name, data in (("a", b"\x89PNG" + bytes(len(image) - 4)), ("b", image)):
        picture.write_bytes(data)
        assert commands.extract({name: {"a": 1, "b": 2}[name]}, "near").code in {0, 3}
        shutil.rmtree(commands.location / "contents" / "dataset=near")
    commands.ok("score", "--detector", "msp")
    said = commands.refused("score", "--ensemble", "two=a/msp,b/msp")
    assert "a/msp and b/msp were scored on different samples of near (5 and 6, 5 in common)" in said


def test_every_mistake_is_one_sentence(commands: Commands) -> None:
    """And leaves the lake as it is."""
    commands.ok("score", "--ensemble", TRIO)
    commands.add("one", "ood", {"fox": 3})
    commands.extract({"a": 1, "b": 2}, "one")
    commands.ok("score", "--detector", "msp", "--model", "b", "--model", "a")
    before = sorted(commands.location.rglob("*"))
    weighted = ("--combine", "weighted", "--tune-on")
    mistakes = {
        "NAME=MODEL/DETECTOR": ("trio",),
        "needs two members": ("e=a/msp",),
        "has a/msp twice": ("e=a/msp,b/msp,a/msp",),
        "names no detector: write b/DETECTOR": ("e=a/msp,b",),
        "takes only a-z": ("My=a/msp,b/msp",),
        "did you mean 'mean-rank'": ("e=a/msp,b/msp", "--combine", "mean-ranks"),
        "go together": ("e=a/msp,b/msp", "--combine", "weighted"),
        "the dataset chooses the weights": ("e=a/msp,b/msp", "--tune-on", "far"),
        "did you mean 'far'": ("e=a/msp,b/msp", *weighted, "fra"),
        "one class only": ("e=a/msp,b/msp", *weighted, "one"),
        "There are no scores of a model 'c' in main": ("e=a/msp,c/msp",),
        "no scores of b/mahalanobi on test: run `featurestore score": ("e=a/msp,b/mahalanobi",),
        "no scores of b/energy on one": ("e=a/msp,b/energy", *weighted, "one"),
        "a is the name of a model": ("a=a/msp,b/msp",),
        "The ensemble trio is one of a/msp, b/energy, b/mahalanobis": ("trio=a/msp,b/msp",),
        "trio is an ensemble itself": ("e=a/msp,trio/mean-rank",),
        "There is no benchmark 'other'": ("e=a/msp,b/msp", "--benchmark", "other"),
    }
    for message, arguments in mistakes.items():
        assert message in commands.refused("score", "--ensemble", *arguments)
    assert "--tune-on chooses the weights" in commands.refused("score", "--tune-on", "far")
    assert sorted(commands.location.rglob("*")) == before
