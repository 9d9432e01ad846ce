"""Fitting on a real Ray cluster of two nodes: the fits of threads, to the last bit, whatever happens to a node."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from analysis.detectors import registry
from analysis.statistics.sweep import LANES
from featurestore import ray_cluster
from tests.analysis.synthetic import write_datasets, write_model
from tests.conftest import RAY
from tests.pipeline import Commands

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = RAY

PLUGIN = '''
"""A statistic and a comparison of a user's own: no node has this file."""
import numpy as np
from dataclasses import dataclass
from analysis.detectors import Detector
from analysis.statistics.statistic import Statistic

class Sum:
    def __init__(self, context): self.total = np.zeros(context.dim)
    def update(self, block): self.total += block.activations.feature64.sum(axis=0)
    def merge(self, other): self.total += other.total
    def finish(self): return {"sum": self.total}

class Farthest:
    def __init__(self, queries): self.queries, self.worst = queries, np.zeros(len(queries))
    def update(self, block):
        products = self.queries.feature64 @ block.activations.feature64.T
        self.worst = np.maximum(self.worst, products.max(axis=1, initial=0))
    def merge(self, other): self.worst = np.maximum(self.worst, other.worst)
    def finish(self): return {"score": self.worst}

@dataclass
class Fit:
    sum: np.ndarray

SUM = Statistic("sum-of-mine", Sum)
TOTAL = Detector("total", "T", "f", "s", lambda fit, a: a.feature64 @ fit.sum, lambda inputs: Fit(inputs.need(SUM)["sum"]), Fit, "fit features", (SUM,))
PEAK = Detector("peak", "P", "f", "s", fitted_on="fit features", compare=lambda queries: Statistic("peak-of-mine", lambda context: Farthest(queries)))
'''


@pytest.fixture
def commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A lake of many small fragments, and a registry that forgets its plugins."""
    monkeypatch.setattr(registry, "_plugins", {})
    monkeypatch.setattr(registry, "_modules", {})
    commands = Commands(tmp_path, capsys, monkeypatch)
    write_datasets(commands.lake)
    write_model(commands.lake, "a", rows_per_fragment=1)
    write_model(commands.lake, "b", unlabelled={"train": 100}, rows_per_fragment=1)
    return commands


def values(commands: Commands, table: str) -> dict[tuple[str, ...], Any]:
    """Every part of a table by its key."""
    return {
        (*manifest.key.values(), *part.key.values()): commands.lake.read(table, **manifest.key, **part.key)
        for manifest in commands.lake.partitions(table)
        for part in manifest.parts
    }


def test_a_cluster_gives_the_fits_of_threads_though_a_node_dies(
    cluster: Any,
    commands: Commands,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fits and scores are bit-equal, also those of a plugin that no node has, and of one that compares."""
    (tmp_path / "plugin.py").write_text(PLUGIN)
    detectors = ("total", "peak", "mahalanobis", "relative-mahalanobis-pp", "msp")
    score = [
        "score",
        "--plugin",
        tmp_path / "plugin.py",
        *(text for name in detectors for text in ("--detector", name)),
    ]
    shutil.copytree(commands.location, tmp_path / "alone" / "lake")
    alone = Commands(tmp_path / "alone", capsys, monkeypatch)
    assert "10 score partitions made" in alone.ok(*score, "--model", "a")

    lanes = []
    result = ray_cluster.result

    def kill_at_first(ray: Any, reference: Any) -> Any:
        if not lanes:
            cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
        lanes.append(reference)
        return result(ray, reference)

    monkeypatch.setattr(ray_cluster, "result", kill_at_first)
    assert "10 score partitions made" in commands.ok(*score, "--model", "a", "--ray", cluster.address)
    # One sweep to fit, geometry's kurtosis after the statistics, and one to compare all datasets with.
    assert len(lanes) == 3 * LANES
    for table in ("fits", "scores", "metrics"):
        ours, theirs = values(commands, table), values(alone, table)
        assert ours
        assert ours.keys() == theirs.keys()
        assert all(ours[key].equals(theirs[key]) for key in ours), table

    # An error that a node meets is the one that threads meet.
    said = commands.refused(*score, "--model", "b", "--ray", cluster.address)
    assert "Sample 100 of the fit dataset train has no label" in said
    assert said == alone.refused(*score, "--model", "b")


def test_a_cluster_that_does_not_answer_is_named(commands: Commands) -> None:
    """At once, before anything is read."""
    assert "No Ray cluster answers at 127.0.0.1:9" in commands.refused("score", "--ray", "127.0.0.1:9")
