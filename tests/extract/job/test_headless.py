"""Models without a head, or with one that tells no class from another: features are stored, and what they suffice for is scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from analysis.detectors.registry import default_detectors
from featurestore import MissingError
from tests.extract.conftest import network
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands

BACKBONE = {name: value for name, value in KWARGS.items() if name != "num_classes"}
ALL = ("--dataset", "train", "--dataset", "test", "--dataset", "far")
ON_FEATURES = {"cosine", "mahalanobis", "mahalanobis-pp", "nan-ratio", "rcos", "relative-mahalanobis"}


@pytest.fixture
def filled(fresh: Commands) -> Commands:
    """A benchmark of three small datasets, and no model."""
    fresh.add("train", "fit", {"ant": 30, "bee": 30, "cat": 30})
    fresh.add("test", "id", {"ant": 6, "bee": 6, "cat": 6}, seed=1)
    fresh.add("far", "ood", {"dog": 5, "elk": 5}, seed=2)
    return fresh


def _backbone(folder: Path, seed: int = 0) -> Path:
    state = {name: value for name, value in tiny_vit(seed).state_dict().items() if not name.startswith("head.")}
    save_file(state, folder / "bare.safetensors")
    return folder / "bare.safetensors"


def _scored(commands: Commands) -> set[str]:
    return {name for (name,) in commands.lake.sql("select distinct detector from scores").fetchall()}


def test_a_backbone_is_extracted_and_scored_on_its_features(filled: Commands, tmp_path: Path) -> None:
    """Whatever asks for logits or a head is left out, in a line, and nothing advises it."""
    said = filled.ok("extract", "--model", _backbone(tmp_path), *network(kwargs=BACKBONE), *ALL)
    assert "bare: head: none, as num_classes=0 (bare.safetensors holds no array of a head" in said
    assert said.count("bare: no head, so features are stored and no logits") == 1
    said = filled.ok("score")
    assert said.count("which need logits or a head, and the model has none") == 1
    assert _scored(filled) >= ON_FEATURES
    assert not {detector.name for detector in default_detectors() if detector.reads_head} & _scored(filled)
    assert "never scored" not in filled.ok("status")
    assert "no fault" in filled.ok("verify", "--deep")
    filled.ok("report", tmp_path / "report.html")
    assert len(filled.lake.ask("best_detector").fetchall()) == len(_scored(filled))
    models = filled.lake.sql("select num_classes, feature_dim, recipe from models").fetchall()
    assert models[0][:2] == (0, 24)
    assert "num_classes=0" in models[0][2]
    assert filled.lake.sql("select count(*) from geometry where effective_rank_within > 0").fetchall() == [(1,)]
    assert filled.lake.sql("select count(*), count(logits) from activations").fetchall() == [(118, 0)]
    assert filled.lake.sql("select count(*) from accuracy").fetchall() == [(0,)]


def test_its_features_are_those_of_the_whole_network(filled: Commands, tmp_path: Path) -> None:
    save_file(tiny_vit().state_dict(), tmp_path / "whole.safetensors")
    filled.ok("extract", "--model", _backbone(tmp_path), *network(kwargs=BACKBONE), *ALL)
    filled.ok("extract", "--model", tmp_path / "whole.safetensors", *network(), *ALL)
    columns = ("sample", "label", "feature")
    for bare, whole in zip(
        filled.lake.batches(model="bare", dataset="test", columns=columns),
        filled.lake.batches(model="whole", dataset="test", columns=columns),
        strict=True,
    ):
        for ours, theirs in zip(bare, whole, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(MissingError, match="bare has no head, and so no logits"):
        next(filled.lake.batches(model="bare", dataset="test"))


def test_what_needs_a_head_cannot_be_asked_of_it(filled: Commands, tmp_path: Path) -> None:
    filled.ok("extract", "--model", _backbone(tmp_path), *network(kwargs=BACKBONE), *ALL)
    assert "Nothing was scored" in filled.refused("score", "--detector", "msp")


def test_a_name_that_lost_its_head_lost_its_accuracy_too(filled: Commands, tmp_path: Path) -> None:
    save_file(tiny_vit(1).state_dict(), tmp_path / "bare.safetensors")
    filled.ok("extract", "--model", tmp_path / "bare.safetensors", *network(), *ALL)
    filled.ok("score")
    filled.ok("extract", "--model", _backbone(tmp_path), *network(kwargs=BACKBONE), *ALL, "--replace")
    filled.ok("score")
    assert filled.lake.sql("select count(*) from heads").fetchall() == [(0,)]
    assert filled.lake.sql("select count(*) from accuracy").fetchall() == [(0,)]
    metrics = "select distinct detector from metrics"
    assert {name for (name,) in filled.lake.sql(metrics).fetchall()} >= ON_FEATURES
    assert "no fault" in filled.ok("verify", "--deep")


@pytest.mark.parametrize(("row", "said"), [(0.0, "are zero"), (0.3, "are the same for each class")])
def test_a_constant_head_is_said_and_left_out(filled: Commands, tmp_path: Path, row: float, said: str) -> None:
    """Logits that are the same for each class would be scores of the features' length, or all equal."""
    state = tiny_vit().state_dict()
    state["head.weight"] = torch.full_like(state["head.weight"], row)
    save_file(state, tmp_path / "m.safetensors")
    out = filled.ok("extract", "--model", tmp_path / "m.safetensors", *network(), *ALL)
    assert f"m: the weights of its head {said}, so that it tells no class from another" in out
    assert "which need a head that tells classes apart" in filled.ok("score")
    assert not {detector.name for detector in default_detectors() if detector.reads_head} & _scored(filled)
    assert "never scored" not in filled.ok("status")


def test_a_number_of_classes_that_was_stated_stays(filled: Commands, tmp_path: Path) -> None:
    said = filled.refused("extract", "--model", _backbone(tmp_path), *network(), *ALL)
    assert "missing: head.weight, head.bias" in said


def test_a_feature_that_is_no_vector_is_refused(filled: Commands, tmp_path: Path) -> None:
    kwargs = {**BACKBONE, "num_classes": 0, "global_pool": ""}
    said = filled.refused("extract", "--model", _backbone(tmp_path), *network(ARCHITECTURE, kwargs), *ALL)
    assert "not a vector but [5, 24]: pool it" in said
