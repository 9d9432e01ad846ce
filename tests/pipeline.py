"""A small lake made by the public commands, for the tests that need all stages."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safetensors.torch import save_file

from analysis.detectors.registry import default_detectors
from featurestore import Lake
from featurestore.cli.app import main
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit, write_images

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@dataclass(frozen=True)
class Outcome:
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str


class Commands:
    """Runs `featurestore` commands in this process, with `--lake` set."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.location = folder, folder / "lake"
        self._capsys, self._monkeypatch = capsys, monkeypatch

    @property
    def lake(self) -> Lake:
        return Lake(self.location)

    def __call__(self, *arguments: object) -> Outcome:
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["featurestore", *map(str, arguments)])
            patch.setenv("FEATURESTORE_LAKE", str(self.location))
            self._capsys.readouterr()
            code = 0
            try:
                main()
            except SystemExit as stop:
                code = int(stop.code or 0)
        captured = self._capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    def ok(self, *arguments: object) -> str:
        outcome = self(*arguments)
        assert outcome.code == 0, outcome.err
        return outcome.out

    def add(self, name: str, role: str, classes: dict[str, int], seed: int = 0) -> None:
        """Write images, so many per class, and add them as a dataset."""
        self.ok("dataset", "add", name, write_images(self.folder / name, classes, seed), "--role", role)

    def extract(self, models: dict[str, int], *datasets: str, options: tuple[str, ...] = ()) -> Outcome:
        """Extract random models, given by their seeds."""
        pool = write_pool(self.folder / "models", models)
        return self("extract", "--pool", pool, *(text for name in datasets for text in ("--dataset", name)), *options)

    def refused(self, *arguments: object) -> str:
        """One sentence on standard error, exit code 1, no traceback."""
        outcome = self(*arguments)
        assert outcome.code == 1, outcome
        assert outcome.err.startswith("Error: ")
        assert outcome.err.count("\n") == 1, outcome.err
        assert "Traceback" not in outcome.err
        return outcome.err


def write_pool(folder: Path, seeds: dict[str, int]) -> Path:
    """Checkpoints of random ViTs, and the pool file that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["model,checkpoint,architecture,model_kwargs,weight_decay,pretraining"]
    for name, seed in seeds.items():
        save_file(tiny_vit(seed).state_dict(), folder / f"{name}.safetensors")
        kwargs = str(KWARGS).replace("'", '""')
        rows.append(f'{name},{name}.safetensors,{ARCHITECTURE},"{kwargs}",0.{seed},scratch')
    (folder / "pool.csv").write_text("\n".join(rows) + "\n")
    return folder / "pool.csv"


def make_lake(commands: Commands) -> None:
    """Two models, a fit, an ID and two OOD datasets, all stages."""
    commands.add("train", "fit", {"ant": 30, "bee": 30, "cat": 30})
    commands.add("test", "id", {"ant": 12, "bee": 12, "cat": 12}, seed=1)
    commands.add("far", "ood", {"dog": 9, "elk": 8}, seed=2)
    made = commands.folder / "unit-tests"
    commands.ok("unit-tests", made, "--images", commands.folder / "test", "--per-kind", 4, "--kinds", "black,uni")
    commands.ok("dataset", "add", "unit-tests", made / "NINCO_OOD_unit_tests", "--role", "ood")
    outcome = commands.extract({"a": 1, "b": 2}, "train", "test", "far", "unit-tests")
    assert outcome.code == 0, outcome.err
    commands.ok("score")


def scored(commands: Commands, model: str) -> list[str]:
    """The detectors that a model has scores of: all, but those that need a correct sample of each class, or more samples."""
    query = f"select distinct detector from scores where model = '{model}' order by 1"
    found = [detector for (detector,) in commands.lake.sql(query).fetchall()]
    assert {detector.name for detector in default_detectors()} - {
        "openmax",
        "she",
        "caref",
        "cadref",
        "knn.sampled",
    } <= set(found)
    return found
