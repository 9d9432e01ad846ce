"""Layers of a model as models of their own, from one forward pass, to the end of what is done with models."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from extract.images import read_rgb
from extract.models import LoadedModel, ModelSpec
from featurestore.query import Filters
from tests.extract.conftest import network
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands

DEEP = {**KWARGS, "depth": 3}
ALL = ("--dataset", "train", "--dataset", "test", "--dataset", "far")
LAYERS = ("--feature", "penultimate,blocks.0,blocks.2")


@pytest.fixture
def filled(fresh: Commands, tmp_path: Path) -> Commands:
    """A benchmark of three small datasets, and the checkpoint of a network of three blocks."""
    fresh.add("train", "fit", {"ant": 30, "bee": 30, "cat": 30})
    fresh.add("test", "id", {"ant": 8, "bee": 8, "cat": 8}, seed=1)
    fresh.add("far", "ood", {"dog": 5, "elk": 5, "fox": 5, "gnu": 5}, seed=2)
    save_file(tiny_vit(depth=3).state_dict(), tmp_path / "vit.safetensors")
    return fresh


def extract(commands: Commands, *options: str) -> str:
    return commands.ok("extract", "--model", commands.folder / "vit.safetensors", *network(kwargs=DEEP), *options)


def stored(commands: Commands, model: str, dataset: str = "test") -> np.ndarray:
    blocks = commands.lake.batches(model=model, dataset=dataset, columns=("feature",))
    return np.concatenate([feature for (feature,) in blocks])


def test_layers_are_stored_from_one_forward_pass(filled: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a hook on the network sees them, image by image."""
    launched: list[int] = []
    launch = LoadedModel.launch

    def counted(self: LoadedModel, images: Any) -> Any:
        launched.append(len(images))
        return launch(self, images)

    monkeypatch.setattr(LoadedModel, "launch", counted)
    said = extract(filled, *LAYERS, "--dataset", "test", "--workers", "0")
    assert sum(launched) == 24
    assert "vit: layers: class token (as the network pools its last features)" in said
    assert said.count("top-1") == 1
    module, seen = tiny_vit(depth=3), []
    module.blocks[2].register_forward_hook(lambda _module, _inputs, output: seen.append(output[:, 0]))
    transform = ModelSpec("vit", ARCHITECTURE, filled.folder / "vit.safetensors", DEEP).transform()
    paths = filled.lake.read("samples", dataset="test").column("path").to_pylist()
    with torch.inference_mode():
        for path in paths:
            module(transform(read_rgb(filled.folder / "test" / path)).unsqueeze(0))
    np.testing.assert_allclose(stored(filled, "vit@blocks.2"), torch.cat(seen).numpy(), rtol=1e-6, atol=1e-6)
    models = filled.lake.sql("select model, base_model, feature, feature_dim from models order by model").fetchall()
    assert models == [
        ("vit", None, None, 24),
        ("vit@blocks.0", "vit", "blocks.0", 24),
        ("vit@blocks.2", "vit", "blocks.2", 24),
    ]
    assert filled.lake.sql("select distinct model from heads").fetchall() == [("vit",)]


def test_a_model_that_is_there_already_gains_a_layer_and_stays(filled: Commands) -> None:
    extract(filled, *ALL)
    before = stored(filled, "vit")
    assert "3 extracted, 3 cache hits" in extract(filled, "--feature", "penultimate,blocks.1", *ALL)
    np.testing.assert_array_equal(stored(filled, "vit"), before)
    assert "0 extracted, 3 cache hits" in extract(filled, "--feature", "blocks.1", *ALL)


def test_layers_are_scored_and_combined_like_models(filled: Commands) -> None:
    """The multi-layer Mahalanobis of Lee et al.: one weighted ensemble."""
    extract(filled, *LAYERS, *ALL)
    filled.ok("score")
    detectors = "select distinct model from scores where detector = 'mahalanobis' order by 1"
    assert filled.lake.sql(detectors).fetchall() == [("vit",), ("vit@blocks.0",), ("vit@blocks.2",)]
    ensemble = ("--ensemble", "layers=vit@blocks.0,vit@blocks.2", "--detector", "mahalanobis")
    filled.ok("score", *ensemble, "--combine", "weighted", "--tune-on", "far")
    query = "select detector, count(*) from metrics where model = 'layers' and aggregation = 'pooled' group by 1"
    assert filled.lake.sql(query).fetchall() == [("weighted", 1)]
    assert (
        filled.lake.sql(
            "select count(*) from geometry where model like '%@%' and effective_rank_within > 0"
        ).fetchall()[0][0]
        > 1
    )
    assert (
        filled.lake.sql("select count(*) from results where model = 'vit@blocks.0' and auroc > 0").fetchall()[0][0] > 1
    )
    assert len(filled.lake.ask("best_detector", Filters(models=["vit@blocks.0"])).fetchall()) > 1
    assert "no fault" in filled.ok("verify", "--deep")
    one = filled.ok("score", "--model", "vit@blocks.0", "--detector", "mahalanobis")
    assert "0 score partitions made" in one
    assert "vit in main" not in one


def test_a_layer_that_is_not_there_costs_one_sentence(filled: Commands) -> None:
    said = filled.refused(
        "extract", "--model", filled.folder / "vit.safetensors", *network(kwargs=DEEP), *ALL, "--feature", "blocks.9"
    )
    assert "has no layer 'blocks.9': there are blocks.0 to blocks.2" in said
    assert filled.lake.partitions("activations") == []


def test_a_pool_says_so_row_by_row(filled: Commands) -> None:
    """What a row says goes before the option; a name with the mark is no name of a model."""
    (filled.folder / "pool.csv").write_text(
        "model,checkpoint,architecture,model_kwargs,feature\n"
        f'a,vit.safetensors,{ARCHITECTURE},"{str(DEEP).replace(chr(39), chr(34) * 2)}","penultimate,blocks.1"\n'
        f'b,vit.safetensors,{ARCHITECTURE},"{str(DEEP).replace(chr(39), chr(34) * 2)}",\n'
    )
    filled.ok("extract", "--pool", filled.folder / "pool.csv", "--feature", "blocks.0", "--dataset", "test")
    assert sorted(m.key["model"] for m in filled.lake.partitions("activations")) == ["a", "a@blocks.1", "b@blocks.0"]
    (filled.folder / "pool.csv").write_text(
        f"model,checkpoint,architecture\na@blocks.1,vit.safetensors,{ARCHITECTURE}\n"
    )
    assert "'a@blocks.1' cannot be the name of a model" in filled.refused(
        "extract", "--pool", filled.folder / "pool.csv", "--dataset", "test"
    )


@pytest.mark.long
def test_devices_share_what_layers_need(filled: Commands) -> None:
    """In processes of their own: views travel with their model."""
    extract(filled, *LAYERS, "--dataset", "test", "--device", "cpu,cpu")
    assert stored(filled, "vit@blocks.0").shape == (24, 24)


def test_a_layer_knows_how_its_model_was_trained_and_its_row_comes_back(filled: Commands) -> None:
    """Whether or not the recipe is said again when the layer is asked for."""
    (filled.folder / "pool.csv").write_text(
        "model,checkpoint,architecture,model_kwargs,weight_decay\n"
        f'vit,vit.safetensors,{ARCHITECTURE},"{str(DEEP).replace(chr(39), chr(34) * 2)}",0.3\n'
    )
    filled.ok("extract", "--pool", filled.folder / "pool.csv", "--dataset", "test")
    extract(filled, "--feature", "blocks.1", "--dataset", "test")
    row = "select base_model, feature, weight_decay, feature_dim, num_classes from models where model = 'vit@blocks.1'"
    expected = [("vit", "blocks.1", 0.3, 24, 0)]
    assert filled.lake.sql(row).fetchall() == expected
    shutil.rmtree(filled.location / "models" / "model=vit@blocks.1")
    assert "its row of models was gone" in extract(filled, "--feature", "blocks.1", "--dataset", "test")
    assert filled.lake.sql(row).fetchall() == expected
