from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analysis.detectors.hyperparameter import Hyperparameter
from analysis.detectors.registry import default_detectors, detectors
from analysis.lineage.benchmark import benchmarks_of
from analysis.lineage.current_scores import current_scores
from analysis.lineage.ingredients import score_target
from analysis.status import status_rows
from analysis.status.lake_index import LakeIndex, read_lake_index
from analysis.status.stage import STAGES
from tests.pipeline import Commands, write_pool
from tests.tiny import write_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from analysis.rows.activations import Activations


def stages(held: LakeIndex, known: Mapping[str, Any] | None = None) -> dict[tuple[str, str, str], str]:
    """State or reason by model, dataset and stage."""
    rows = status_rows(held, detectors() if known is None else known)
    return {
        (row.model, row.dataset, name): " and ".join(stage.reasons) or stage.state
        for row in rows
        for name, stage in row.stages.items()
    }


def changed(commands: Commands, known: Mapping[str, Any] | None = None) -> dict[tuple[str, str], str]:
    """What is not fresh of model a, by dataset and stage; model b is fresh."""
    found = stages(read_lake_index(commands.lake), known)
    assert {state for (model, _, _), state in found.items() if model == "b"} <= {"fresh"}
    return {
        (dataset, stage): state for (model, dataset, stage), state in found.items() if model == "a" and state != "fresh"
    }


def test_each_role_has_its_stages_and_all_are_fresh_once_scored(commands: Commands) -> None:
    """Fit datasets are fitted, ID and OOD datasets scored, and metrics belong to the ID dataset."""
    found = stages(read_lake_index(commands.lake))
    assert set(found.values()) == {"fresh"}
    assert {(dataset, stage) for _, dataset, stage in found} == {
        ("train", "activations"), ("train", "fits"),
        ("test", "activations"), ("test", "scores"), ("test", "metrics"), ("test", "selective"), ("test", "calibration"),
        ("far", "activations"), ("far", "scores"),
        ("unit-tests", "activations"), ("unit-tests", "scores"),
    }  # fmt: skip


def test_rows_and_bytes_are_those_of_the_manifests(commands: Commands) -> None:
    """Every stored partition of the tables counts once."""
    rows = [stage for row in status_rows(read_lake_index(commands.lake), detectors()) for stage in row.stages.values()]
    parts = [p for t in STAGES for m in commands.lake.partitions(t) for p in m.parts]
    assert sum(stage.rows for stage in rows) == sum(part.rows for part in parts)
    assert sum(stage.bytes for stage in rows) == sum(part.bytes for part in parts)


def test_a_detector_that_changed_makes_its_scores_and_the_metrics_stale(commands: Commands) -> None:
    """A new version or hyperparameter is named; several detectors are counted."""
    held, known = read_lake_index(commands.lake), dict(detectors())
    known["msp"] = replace(known["msp"], version=99)
    found = stages(held, known)
    assert found["a", "far", "scores"] == "detector msp changed its version"
    assert found["a", "test", "metrics"] == "the scores of far, test, unit-tests are stale"
    assert {found["a", name, "activations"] for name in ("far", "test", "train")} | {found["a", "train", "fits"]} == {
        "fresh"
    }
    known["energy"] = replace(known["energy"], version=99)
    assert stages(held, known)["b", "test", "scores"] == "2 detectors changed their version"
    known["msp"] = replace(
        detectors()["msp"], hyperparameters=(Hyperparameter("t", 2, 1, 9, "made up"),), score=a_score
    )
    assert "detector msp changed its hyperparameters" in stages(held, known)["b", "test", "scores"]


def a_score(_fit: object, activations: Activations, *, t: float) -> NDArray[np.float64]:
    return activations.max_logit / t


def _scored(held: LakeIndex) -> set[str]:
    """The detectors that have scores of model a on the OOD set."""
    return {part.key["detector"] for part in held.scores["main", "a"]["far"].parts}


def test_a_new_detector_is_counted_and_a_removed_one_keeps_what_it_has(commands: Commands) -> None:
    """Neither makes what is there stale; scores of a detector that is not known here are judged by their activations."""
    held, known = read_lake_index(commands.lake), dict(detectors())
    known["new"] = replace(known["msp"], name="new")
    assert set(stages(held, known).values()) == {"fresh"}
    del known["energy"]
    found = stages(held, known)
    assert found["a", "far", "scores"] == "fresh"
    assert found["a", "test", "metrics"] == "fresh"
    other = replace(held.activations["a"]["train"].parts[0], fingerprint="0" * 64)
    sources = {**held.activations["a"], "train": replace(held.activations["a"]["train"], parts=(other,))}
    held = replace(held, activations={**held.activations, "a": sources})
    del known["mahalanobis"]
    current = current_scores(
        *benchmarks_of(held.datasets.values()),
        "a",
        {name: manifest.parts[0] for name, manifest in sources.items()},
        held.scores["main", "a"].values(),
        known.values(),
    )
    assert set(current["far"]) == {name for name in _scored(held) if not detectors()[name].learns} >= {"energy", "msp"}


def test_a_dataset_that_changed_makes_all_that_came_from_it_stale(commands: Commands) -> None:
    """The reason travels down the graph, and only down."""
    held = read_lake_index(commands.lake)
    other = replace(held.datasets["far"], digest="0" * 64)
    found = stages(replace(held, datasets={**held.datasets, "far": other}))
    stale = {key[1:] for key, state in found.items() if state == "dataset far changed"}
    assert stale == {("far", "activations"), ("far", "scores")}
    # Metrics of other samples are not kept: they change once the rest is made again.
    judging = {("test", "metrics"), ("test", "selective")}
    assert {found["a", *stage] for stage in judging} == {"the scores of far are stale"}
    assert {s for key, s in found.items() if key[1:] not in stale | judging} == {"fresh"}
    other = replace(held.datasets["train"], digest="0" * 64)
    found = stages(replace(held, datasets={**held.datasets, "train": other}))
    assert {key[1] for key, state in found.items() if state == "dataset train changed"} == {
        "train",
        "test",
        "far",
        "unit-tests",
    }
    assert found["a", "far", "activations"] == "fresh"


def test_a_dataset_in_two_benchmarks_is_missing_where_one_lacks_it(commands: Commands) -> None:
    """The worst of its stages counts."""
    held = read_lake_index(commands.lake)
    two = {name: replace(dataset, benchmarks=("main", "second")) for name, dataset in held.datasets.items()}
    found = stages(replace(held, datasets=two, benchmarks=benchmarks_of(two.values())))
    assert {found["a", "far", "scores"], found["a", "test", "metrics"]} == {"missing"}
    assert found["a", "train", "fits"] == "fresh"


def test_what_status_says_through_a_history_is_what_score_does(fresh: Commands) -> None:
    """Extract, score, replace weights, score what is left: missing, fresh, stale because, fresh."""
    folder = fresh.folder
    locations = {
        "train": (write_images(folder / "train", {"ant": 8, "bee": 8, "cat": 8}), "fit"),
        "test": (write_images(folder / "test", {"ant": 5, "bee": 5, "cat": 5}, seed=1), "id"),
        "far": (write_images(folder / "far", {"dog": 6}, seed=2), "ood"),
    }
    for name, (path, role) in locations.items():
        fresh.ok("dataset", "add", name, path, "--role", role)
    assert "Nothing is extracted yet" in fresh.ok("status")
    extract = ["extract", "--pool", write_pool(folder / "models", {"a": 1})]
    fresh.ok(*extract, "--dataset", "test", "--dataset", "far")
    assert set(changed(fresh).items()) == {
        (("train", "activations"), "missing"), (("train", "fits"), "missing"), (("test", "scores"), "missing"),
        (("test", "metrics"), "missing"), (("test", "selective"), "missing"), (("test", "calibration"), "missing"),
        (("far", "scores"), "missing"),
    }  # fmt: skip
    fresh.ok("score", "--detector", "msp")
    assert changed(fresh) == {("train", "activations"): "missing", ("train", "fits"): "missing"}
    usual = len(default_detectors())
    assert f"{usual - 1} of {usual} detectors never scored" in fresh.ok("status")
    fresh.ok(*extract, "--dataset", "train")
    fresh.ok("score")
    assert changed(fresh) == {}

    write_pool(folder / "models", {"a": 7})
    fresh.ok(*extract, "--dataset", "test", "--replace")
    found = changed(fresh)
    assert (
        found["far", "activations"] == found["train", "activations"] == found["train", "fits"] == "the weights changed"
    )
    assert found["test", "scores"] == found["test", "calibration"] == "the activations were extracted again"
    assert found["far", "scores"] == "the ID activations were extracted again"
    assert found["test", "metrics"] == found["test", "selective"] == "the scores of far, test are stale"
    assert ("test", "activations") not in found
    said = fresh.ok("status")
    assert "stale because the weights changed" in said
    assert "Next: `featurestore extract --replace` on far, train, then `featurestore score`" in said
    fresh.ok(*extract, "--dataset", "far", "--dataset", "train", "--replace")
    assert changed(fresh)["train", "fits"] == "the activations were extracted again"
    parts = sum(len(manifest.parts) for manifest in fresh.lake.partitions("scores"))
    assert f"{parts} score partitions made, 0 cache hits" in fresh.ok("score")
    assert changed(fresh) == {}

    write_images(folder / "far", {"elk": 2}, seed=3)
    fresh.ok("dataset", "add", "far", folder / "far", "--role", "ood", "--replace")
    assert changed(fresh)["far", "activations"] == "dataset far changed"
    fresh.ok(*extract, "--dataset", "far", "--replace")
    fresh.ok("score")
    assert changed(fresh) == {}


def test_the_command_answers_in_every_format(commands: Commands) -> None:
    """A line per model and dataset to read, a line per stage to compute with."""
    lines = commands.ok("status").splitlines()
    assert len(lines) == 1 + 2 * 4 + 1
    assert lines[0].split() == [
        "model",
        "dataset",
        "role",
        "activations",
        "fits",
        "scores",
        "metrics",
        "selective",
        "calibration",
    ]
    assert "fresh: 17 rows" in lines[1]
    assert lines[-1].startswith("2 models x 4 datasets: 22 stages fresh, 0 stale, 0 missing")
    assert commands.ok("status", "--format", "markdown").count("\n") == 2 + 2 * 4
    rows = list(csv.DictReader(io.StringIO(commands.ok("status", "--format", "csv"))))
    assert len(rows) == 22
    assert {row["state"] for row in rows} == {"fresh"}
    scored = len(_scored(read_lake_index(commands.lake)))
    only = json.loads(commands.ok("status", "--format", "json", "--model", "a", "--dataset", "far"))
    assert [(row["stage"], row["rows"], row["detectors"]) for row in only] == [
        ("activations", 17, None),
        ("scores", 17 * scored, scored),
    ]
    assert "did you mean 'test'" in commands.refused("status", "--dataset", "tset")
    assert "There is no model 'zzz'" in commands.refused("status", "--model", "zzz")
    assert "did you mean 'csv'" in commands.refused("status", "--format", "cvs")
    assert "There is no lake" in commands.refused("status", "--lake", commands.folder / "gone")


def test_no_fragment_is_opened_but_those_of_datasets(copied: Commands) -> None:
    """Status reads manifests: it answers where all other fragments are gone."""
    for fragment in copied.location.rglob("*.parquet"):
        if "datasets" not in fragment.parts:
            fragment.unlink()
    assert set(stages(read_lake_index(copied.lake)).values()) == {"fresh"}


def test_scores_are_current_where_their_fingerprint_is_the_one_wanted(commands: Commands) -> None:
    """Ingredients are compared in the place of fingerprints; each that differs is noticed."""
    held, known = read_lake_index(commands.lake), detectors()
    (benchmark,) = benchmarks_of(held.datasets.values())
    parts = {name: manifest.parts[0] for name, manifest in held.activations["a"].items()}
    manifests = list(held.scores["main", "a"].values())
    changed = {
        "nothing": {},
        "version": {"energy": replace(known["energy"], version=99)},
        "hyperparameters": {
            "energy": replace(
                known["energy"], hyperparameters=(Hyperparameter("t", 2, 1, 9, "made up"),), score=a_score
            )
        },
        "what is learnt from": {"mahalanobis": replace(known["mahalanobis"], needs=known["mahalanobis-pp"].statistics)},
    }
    for what, change in changed.items():
        now = {**known, **change}
        wanted = {
            m.key["dataset"]: {
                p.key["detector"]: p.fingerprint
                for p in m.parts
                if score_target(benchmark, "a", m.key["dataset"], now[p.key["detector"]], parts).fingerprint
                == p.fingerprint
            }
            for m in manifests
        }
        assert current_scores(benchmark, "a", parts, manifests, now.values()) == wanted
        assert all(len(of) == len(_scored(held)) - (what != "nothing") for of in wanted.values())
