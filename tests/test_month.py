"""A month of a study: retrained, corrected, replaced, removed, merged, copied and moved; after each step the lake says what one made afresh says."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.pipeline import Commands, write_pool
from tests.s3.server import real_lake
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore import Lake

DETECTORS = ("msp", "max-logit", "mahalanobis", "vim")
OF = tuple(text for name in DETECTORS for text in ("--detector", name))
ASKED = ("best_detector", "accuracy_vs_unit_test_fpr", "per_class_difficulty", "coverage", "hardest_samples")
TABLES = {
    "models": "model, weights_sha256, weight_decay, pretraining, input_size, crop_pct",
    "datasets": "dataset, role, benchmarks, samples, classes, digest",
    "samples": "dataset, sample, path, label, class_name",
    "contents": "dataset, sample, digest",
    "activations": "model, dataset, sample, label, feature, logits",
    "accuracy": "model, dataset, n, top1",
    "scores": "benchmark, model, dataset, detector, sample, score, id_rank",
    "metrics": "* exclude (aupr_in, aupr_out)",
    "selective": "*",
    "oscr": "*",
    "calibration": "*",
}
MEMBERS = {"train": "fit", "test": "id", "far": "ood"}


class Study:
    """What there is at a time: models by seed, and the folder of each dataset."""

    def __init__(self, commands: Commands) -> None:
        self.commands = commands
        self.models: dict[str, int] = {}
        self.images: dict[str, Path] = {}
        self.recipes: dict[str, float] = {}

    def grow(self) -> None:
        """All stages, for what the lake does not hold."""
        for name, folder in self.images.items():
            self.commands.ok("dataset", "add", name, folder, "--role", MEMBERS.get(name, "ood"))
        self.commands.ok("extract", "--pool", self.pool())
        self.commands.ok("score", *OF)

    def pool(self) -> Path:
        """The file that names the models as they are now."""
        pool = write_pool(self.commands.folder / "models", self.models)
        lines = pool.read_text().splitlines()
        for number, line in enumerate(lines):
            for model, decay in self.recipes.items():
                if line.startswith(f"{model},"):
                    lines[number] = line.replace(f",0.{self.models[model]},", f",{decay},")
        pool.write_text("\n".join(lines) + "\n")
        return pool

    def afresh(self) -> Commands:
        """Another lake, made now of the same models and images."""
        shutil.rmtree(self.commands.folder / "afresh", ignore_errors=True)
        other = _elsewhere(self.commands, "afresh")
        twin = Study(other)
        twin.models, twin.images, twin.recipes = self.models, self.images, self.recipes
        twin.grow()
        return other

    def check(self, location: str | None = None, *, reporting: bool = False) -> None:
        """`status`, `verify --deep`, `ask` and tables agree with those of a lake made afresh; and there is a report."""
        held = self.commands if location is None else _at(self.commands, location)
        other = self.afresh()
        assert _settled(held) == _settled(other)
        assert "no fault" in held.ok("verify", "--deep")
        for table in TABLES:
            assert _rows(held.lake, table) == _rows(other.lake, table), table
        for question in ASKED:
            answer, expected = (lake("ask", question, "--format", "csv") for lake in (held, other))
            assert (answer.code, answer.err, _rounded(answer.out)) == (0, expected.err, _rounded(expected.out)), (
                question
            )
        if reporting:
            held.ok("report", self.commands.folder / "report.html")


def _at(commands: Commands, location: str) -> Commands:
    found = Commands(commands.folder, commands._capsys, commands._monkeypatch)
    found.location = location  # type: ignore[assignment]
    return found


def _settled(commands: Commands) -> list[str]:
    """The states of all stages; stale and missing ones fail right here."""
    frame = commands.lake.status()
    states = {(row["model"], row["dataset"], row["stage"]): row["state"] for row in frame.to_dicts()}
    assert "stale" not in states.values(), states
    return sorted(f"{key} {state}" for key, state in states.items())


def _rounded(answer: str) -> str:
    """An answer but for the last digits of means, which depend on the order in which DuckDB adds."""
    return re.sub(r"\d+\.\d{10,}", lambda number: f"{float(number[0]):.10g}", answer)


def _rows(lake: Lake, table: str) -> Any:
    return lake.sql(f"select {TABLES[table]} from {table} order by all").fetchall()


def _images(study: Study, seed: int, name: str, classes: dict[str, int]) -> Path:
    folder = study.commands.folder / f"{name}-{seed}"
    return write_images(folder, classes, seed)


def _begin(fresh: Commands) -> Study:
    study = Study(fresh)
    study.models = {f"m{number}": number for number in range(1, 7)}
    study.images = {
        "train": _images(study, 0, "train", {"ant": 8, "bee": 8, "cat": 8}),
        "test": _images(study, 1, "test", {"ant": 5, "bee": 5, "cat": 5}),
        "far": _images(study, 2, "far", {"dog": 4, "elk": 4}),
        "near": _images(study, 3, "near", {"fox": 6}),
    }
    study.grow()
    return study


@pytest.mark.slow
@pytest.mark.long
def test_a_month(fresh: Commands) -> None:
    study = _begin(fresh)
    study.check(reporting=True)

    # One model is trained again: `score` knows before extraction that nothing changed, and after it what did.
    study.models["m2"] = 9
    assert fresh("extract", "--pool", study.pool()).code == 3  # m2 has other weights; the others are there
    fresh.ok("extract", "--pool", study.pool(), "--replace")
    assert "stale" in fresh.ok("status")
    fresh.ok("score", *OF)
    study.check()

    # A recipe was mistyped.
    fresh.ok("model", "set", "m3", "weight_decay=0.75")
    study.recipes["m3"] = 0.75
    study.check()

    # A dataset turned out wrong: other images under the same name.
    study.images["far"] = _images(study, 7, "far", {"dog": 5, "elk": 3, "gnu": 2})
    fresh.ok("dataset", "add", "far", study.images["far"], "--role", "ood", "--replace")
    assert fresh("ask", "best_detector", "--strict").code == 1
    fresh.ok("extract", "--pool", study.pool(), "--dataset", "far", "--replace")
    fresh.ok("score", *OF)
    study.check()

    # A dataset and a model are not wanted any more.
    fresh.ok("dataset", "remove", "near")
    fresh.ok("model", "remove", "m6")
    del study.images["near"], study.models["m6"]
    fresh.ok("score", *OF)
    study.check()

    # A colleague's lake, with other models on the same images.
    colleague = Study(_elsewhere(fresh, "colleague"))
    colleague.models, colleague.images = {"n1": 11, "n2": 12}, study.images
    colleague.grow()
    fresh.ok("merge", colleague.commands.location)
    study.models |= colleague.models
    fresh.ok("score", *OF)
    study.check(reporting=True)

    # What was replaced goes.
    fresh.ok("gc", "--older-than", "0s")
    study.check()

    # All of it lies elsewhere now.
    moved = fresh.folder / "elsewhere" / "lake"
    fresh.ok("copy", fresh.location, moved)
    study.check(str(moved))

    # And so do the images.
    for name, folder in list(study.images.items()):
        study.images[name] = fresh.folder / "disk2" / folder.name
        study.images[name].parent.mkdir(exist_ok=True)
        folder.rename(study.images[name])
    elsewhere = _at(fresh, str(moved))
    for name, folder in study.images.items():
        elsewhere.ok("dataset", "add", name, folder, "--role", MEMBERS.get(name, "ood"))
    assert "0 extracted" in elsewhere.ok("extract", "--pool", study.pool())
    study.check(str(moved), reporting=True)


def _elsewhere(commands: Commands, folder: str) -> Commands:
    (commands.folder / folder).mkdir()
    return Commands(commands.folder / folder, commands._capsys, commands._monkeypatch)


@pytest.mark.s3
def test_a_month_ends_in_a_bucket(fresh: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    study, bucket = _begin(fresh), real_lake(monkeypatch)
    fresh.ok("copy", fresh.location, bucket)
    study.check(bucket, reporting=True)
