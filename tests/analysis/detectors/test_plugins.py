"""Detectors from outside the package, through the real command."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analysis.detectors import registry
from analysis.detectors.testing import check_detector

if TYPE_CHECKING:
    from tests.pipeline import Commands

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "write" / "detector.md"


@pytest.fixture
def commands(copied: Commands, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A copied lake, and a registry that forgets its plugins after the test."""
    monkeypatch.setattr(registry, "_plugins", {})
    monkeypatch.setattr(registry, "_modules", {})
    return copied


def _files_of_the_page() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def mean_distance(folder: Path) -> Path:
    """The first file that the page shows."""
    text, *_ = _files_of_the_page()
    assert len([line for line in text.splitlines() if line.strip()]) <= 20
    (folder / "mean_distance.py").write_text(text)
    return folder / "mean_distance.py"


def test_the_file_of_the_page_scores_as_its_formula_says(commands: Commands, tmp_path: Path) -> None:
    """Fitted and scored like any other; a later command without it keeps its metrics."""
    said = commands.ok("score", "--plugin", mean_distance(tmp_path), "--detector", "mean-distance")
    assert "mean_distance.py: mean-distance" in said
    assert "6 score partitions made, 0 cache hits" in said
    far, train = (_features(commands, dataset) for dataset in ("far", "train"))
    (labels,) = zip(*commands.lake.batches(model="a", dataset="train", columns=("label",)), strict=True)
    means = [train[np.concatenate(labels) == label].mean(axis=0) for label in range(3)]
    wanted = [-min(math.dist(row, mean) for mean in means) for row in far]
    stored = commands.lake.read("scores", benchmark="main", model="a", dataset="far", detector="mean-distance")
    np.testing.assert_allclose(stored["score"], wanted, rtol=1e-9)
    count = "select count(*) from metrics where detector = 'mean-distance' and aggregation = 'pooled'"
    assert commands.lake.sql(count).fetchall() == [(4,)]
    registry._plugins.clear()
    commands.ok("score")
    assert commands.lake.sql(count).fetchall() == [(4,)]
    assert "0 stale, 0 missing" in commands.ok("status")


def test_every_file_of_the_page_keeps_the_rules() -> None:
    """Also the one with a statistic of its own, and the one that compares."""
    found = []
    for text in _files_of_the_page():
        if "DETECTOR = " in text:
            names: dict[str, Any] = {}
            exec(compile(text, "docs/write/detector.md", "exec"), names)
            check_detector(names["DETECTOR"])
            found.append(names["DETECTOR"].name)
    assert found == ["mean-distance", "scaled", "profile-distance", "parzen"]


def test_an_installed_package_registers_its_detectors(commands: Commands, tmp_path: Path) -> None:
    """Its entry point is found without an option."""
    mean_distance(tmp_path)
    information = tmp_path / "mean_distance-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mean-distance\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[featurestore.detectors]\nmine = mean_distance\n")
    done = _run(commands, tmp_path, "score", "--detector", "mean-distance", "--model", "b")
    assert done.returncode == 0, done.stderr
    assert "3 score partitions made" in done.stdout
    (information / "entry_points.txt").write_text("[featurestore.detectors]\nmine = no_such_module\n")
    broken = _run(commands, tmp_path, "score")
    assert broken.returncode == 1
    assert broken.stderr.startswith("Error: The installed plugin mine (no_such_module) cannot be imported")
    assert broken.stderr.count("\n") == 1


def _run(commands: Commands, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "FEATURESTORE_LAKE": str(commands.location)}
    command = [sys.executable, "-m", "featurestore", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _features(commands: Commands, dataset: str) -> np.ndarray:
    blocks = commands.lake.batches(model="a", dataset=dataset, columns=("feature",))
    return np.concatenate([feature.astype(np.float64) for (feature,) in blocks])


SIMPLE = """
from analysis.detectors import Detector
from analysis.detectors.logits.softmax import MSP as imported
DETECTOR = Detector({name!r}, "T", "f", "s", lambda fit, activations: {score}, on_request={on_request})
"""


def simple(
    folder: Path, name: str = "mine", score: str = "activations.feature64[:, 0]", on_request: bool = False
) -> Path:
    (folder / "plugin.py").write_text(SIMPLE.format(name=name, score=score, on_request=on_request))
    return folder / "plugin.py"


def test_variants_of_a_plugin_are_scored_asked_for_and_combined(commands: Commands, tmp_path: Path) -> None:
    """As those of a shipped detector; without the plugin they stay, and are judged by their activations."""
    (file,) = (text for text in _files_of_the_page() if '"scaled"' in text)
    (tmp_path / "scaled.py").write_text(file)
    score = ["score", "--plugin", tmp_path / "scaled.py", "--model", "a"]
    assert "6 score partitions made" in commands.ok(*score, "--detector", "scaled:t=1,4")
    assert "t of scaled is a number from 0.1 to 10, and 20 is not." in commands.refused(
        *score, "--detector", "scaled:t=20"
    )
    named = "select distinct detector from metrics where detector like 'scaled%' order by 1"
    assert commands.lake.sql(named).fetchall() == [("scaled",), ("scaled@t=4",)]
    assert "scaled@t=4" in commands.ok("detector", "list")
    combined = ["--ensemble", "both=a/scaled:t=4,a/msp", "--plugin", tmp_path / "scaled.py"]
    assert "3 score partitions made" in commands.ok("score", *combined)
    hardest = ["--model", "a", "--param", "detector=scaled@t=4", "--param", "ood=far"]
    assert "far" in commands.ok("ask", "hardest_samples", *hardest)
    assert "scaled@t=4" in commands.ok(
        "ask", "best_detector", "--where", "detector = 'scaled@t=4'", "--detector", "scaled@t=4"
    )
    commands.ok("detector", "rename", "scaled@t=4", "four")
    assert "four" in commands.ok("detector", "list")
    described = "select detector, hyperparameters from detectors where title = 'Scaled' order by 1"
    assert commands.lake.sql(described).fetchall() == [("four", '{"t": 4.0}'), ("scaled", '{"t": 1.0}')]
    assert "scaled@t=4" in commands.refused("detector", "rename", "msp", "scaled@t=4")
    commands.ok("detector", "remove", "scaled")
    assert commands.lake.sql(named).fetchall() == []
    assert commands.lake.sql(described).fetchall() == [("four", '{"t": 4.0}')]


def test_what_costs_much_waits_to_be_asked_for(commands: Commands, tmp_path: Path) -> None:
    """By name, or with all the others; a line says so."""
    file = simple(tmp_path, "slow", on_request=True)
    score = ["score", "--plugin", file, "--model", "a", "--dataset", "test"]
    said = commands.ok(*score)
    assert re.search(r"Left out for their cost: [a-z, -]*, slow[a-z, -]*; --detector NAME", said)
    assert "0 score partitions made" in said
    said = commands.ok(*score, "--detector", "all")
    assert "a: without knn: " in said
    assert "slow" in {part.key["detector"] for m in commands.lake.partitions("scores", model="a") for part in m.parts}
    said = commands.ok(*score, "--detector", "slow")
    assert "0 score partitions made, 1 cache hits" in said
    assert "Left out" not in said


def test_scores_that_are_not_finite_are_named_and_not_stored(commands: Commands, tmp_path: Path) -> None:
    """Neither the culprit's scores nor those of its companions are stored."""
    before = sorted(commands.location.rglob("*"))
    file = simple(tmp_path, "broken", "activations.feature64[:, 0] * float('nan')")
    score = ["score", "--model", "a", "--plugin", file, "--detector", "broken", "--detector", "msp"]
    assert "Detector broken scores row 0 of the block as nan" in commands.refused(*score)
    assert sorted(commands.location.rglob("*")) == before


def test_a_plugin_that_cannot_be_used_says_why(commands: Commands, tmp_path: Path) -> None:
    """One sentence each."""
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "raises.py").write_text("1 / 0")
    (tmp_path / "old.py").write_text(
        "from analysis.detectors import Detector\n"
        "D = Detector('old', 'T', 'f', 's', lambda fit, rows: rows.max_logit, hyperparameters={'t': 2})\n"
    )
    mistakes = {
        "Detector old gives hyperparameters as a mapping, which nothing reads: declare": tmp_path / "old.py",
        "There is no plugin file": tmp_path / "gone.py",
        "There is no plugin module 'no_such_module'": "no_such_module",
        "defines no detector": tmp_path / "empty.py",
        "cannot be imported: ZeroDivisionError: division by zero": tmp_path / "raises.py",
        "defines 'energy', which exists already": simple(tmp_path, "energy"),
    }
    for message, plugin in mistakes.items():
        assert message in commands.refused("score", "--plugin", plugin)
    plugin = simple(tmp_path, "My detector")
    assert "takes only a-z" in commands.refused("score", "--plugin", plugin)
    narrow = simple(tmp_path, "narrow", "activations.feature64[:3, 0]")
    assert "scores of shape [3] for" in commands.refused(
        "score", "--model", "a", "--plugin", narrow, "--detector", "narrow"
    )
