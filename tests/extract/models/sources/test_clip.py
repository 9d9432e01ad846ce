"""Checkpoints with OpenAI CLIP's names: the same features as timm's own tower, and a head that is fed them at unit length."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from extract.images.preprocess_fields import FIELDS
from extract.models.files import StoredWeights
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from extract.pools.naming import NamedOptions, named_spec, spec_from_file
from featurestore import InputError, Lake
from featurestore.care import verify
from featurestore.layout import head_input
from tests.extract.clip_names import ARCHITECTURE, CLASSES, KWARGS, WIDTH, openai_state, tower
from tests.extract.conftest import run

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

CPU = torch.device("cpu")
IMAGES = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def state() -> dict[str, Tensor]:
    return openai_state(*tower())


@pytest.fixture
def file(tmp_path: Path, state: dict[str, Tensor]) -> Path:
    torch.save(state, tmp_path / "model_3.pt")
    return tmp_path / "model_3.pt"


def _spec(file: Path) -> ModelSpec:
    return spec_from_file(StoredWeights(file), ARCHITECTURE, KWARGS)


def test_feature_and_logits_are_those_of_the_original(file: Path) -> None:
    """The feature is stored as it is; the logits are of the feature at unit length."""
    visual, head = tower()
    model = LoadedModel(_spec(file), CPU)
    feature, logits = model(IMAGES)
    with torch.inference_mode():
        expected = visual(IMAGES)
        np.testing.assert_allclose(feature, expected, atol=1e-6)
        np.testing.assert_allclose(logits, head(expected / expected.norm(dim=1, keepdim=True)), atol=1e-6)
    assert model.head.normalize
    assert model.head.weight.shape == (CLASSES, WIDTH)


def test_preprocessing_is_clip_s(file: Path) -> None:
    """The short side to the input's size, and no crop of the margins: timm's own default crops to nine tenths."""
    preprocessing = _spec(file).preprocessing
    assert preprocessing["crop_pct"] == 1.0
    assert preprocessing["mean"] == [0.48145466, 0.4578275, 0.40821073]
    assert preprocessing["input_size"] == [3, 64, 64]


@pytest.mark.parametrize(
    ("width", "patch", "tokens", "architecture", "size"),
    [
        (768, 32, 50, "vit_base_patch32_clip_quickgelu_224", None),
        (768, 16, 197, "vit_base_patch16_clip_quickgelu_224", None),
        (1024, 14, 577, "vit_large_patch14_clip_quickgelu_224", 336),
        (1280, 14, 257, "vit_huge_patch14_clip_quickgelu_224", None),
    ],
)
def test_towers_of_openai_s_weights_are_known_by_their_shapes(
    tmp_path: Path, width: int, patch: int, tokens: int, architecture: str, size: int | None
) -> None:
    shapes = {"conv1.weight": (width, 3, patch, patch), "positional_embedding": (tokens, width)}
    shapes["class_embedding"] = (2,)
    state = {f"model.visual.{name}": torch.zeros(shape) for name, shape in shapes.items()}
    save_file({**state, "classification_head.weight": torch.zeros(7, 512)}, tmp_path / "m.safetensors")
    spec = spec_from_file(StoredWeights(tmp_path / "m.safetensors"), recipe={"pretraining": "clip-openai"})
    assert spec.architecture == architecture
    assert spec.model_kwargs == {"num_classes": 7, **({"img_size": size} if size else {})}


def test_recipes_are_found_beside_the_checkpoint_and_said(tmp_path: Path, file: Path) -> None:
    entry = {"aug": None, "wd": 0.1, "lr": 1e-5, "mix": 0.5, "smoothing": 0, "epochs": 4}
    (tmp_path / "hparam_info.json").write_text(json.dumps({"model_3": entry}))
    spec = named_spec(str(file), NamedOptions(ARCHITECTURE))
    assert spec.recipe == {
        "augmentation": "none",
        "weight_decay": 0.1,
        "finetune_lr": 1e-5,
        "finetune_epochs": 4.0,
        "recipe": '{"mix": 0.5, "smoothing": 0}',
    }
    assert "recipe: model_3 (hparam_info.json beside the checkpoint)" in map(str, spec.notes)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_lake_knows_what_the_head_is_fed(val: Lake, file: Path, dtype: str) -> None:
    """No column more: the manifests say it, the models row's JSON says it, and `verify --deep` checks by it."""
    run(val, _spec(file), dtype=dtype)
    (manifest,) = val.partitions("heads", model="model_3")
    assert head_input.normalizes(manifest.parts[0].ingredients)
    ((recipe, width),) = val.sql("select recipe, feature_dim from models").fetchall()
    said = json.loads(recipe)
    assert (said["head_normalizes"], width) == (True, WIDTH)
    assert said["inferred"].keys() == {"pretraining", "head input", *FIELDS}
    faults: list[object] = []
    assert verify.verify(val.storage, faults.append, deep=True).faults == 0, faults


def test_a_head_that_takes_the_feature_as_it_is_says_nothing(checkpoint: Path) -> None:
    """Fingerprints of other models stay what they were."""
    spec = ModelSpec("m", "vit_tiny_patch16_224", checkpoint)
    assert not head_input.normalizes({"feature": "x"})
    known = {"weights_sha256", "architecture", "model_kwargs", "preprocessing", "feature"}
    assert set(ModelSpec("m", "resnet18", checkpoint).identity) == known
    assert not spec.normalizes


def test_missing_and_unknown_parameters_are_listed(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """The text tower may be there; nothing else may."""
    del state["model.visual.ln_post.weight"]
    torch.save({**state, "model.visual.extra": torch.zeros(1)}, tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"missing: visual\.norm\.weight; unexpected: visual\.extra"):
        LoadedModel(_spec(tmp_path / "m.pt"), CPU)
    del state["model.visual.proj"]
    torch.save(state, tmp_path / "n.pt")
    with pytest.raises(InputError, match="the projection of CLIP's image feature"):
        LoadedModel(_spec(tmp_path / "n.pt"), CPU)
    del state["model.visual.conv1.weight"]
    torch.save(state, tmp_path / "o.pt")
    with pytest.raises(InputError, match=r"but no model\.visual\.conv1"):
        _spec(tmp_path / "o.pt")


def test_a_tower_without_a_head_takes_one_from_a_file(tmp_path: Path, state: dict[str, Tensor]) -> None:
    """CLIP itself, with text embeddings as its head."""
    plain = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    torch.save(plain, tmp_path / "clip.pt")
    text = np.random.default_rng(0).normal(size=(4, WIDTH))
    np.savez(tmp_path / "text.npz", weight=text, normalize=np.array(True))
    spec = named_spec(str(tmp_path / "clip.pt"), NamedOptions(ARCHITECTURE, KWARGS))
    assert spec.is_headless
    with_head = dataclasses.replace(spec, head_file=tmp_path / "text.npz")
    feature, logits = LoadedModel(with_head, CPU)(IMAGES)
    unit = feature / np.linalg.norm(feature, axis=1, keepdims=True)
    np.testing.assert_allclose(logits, unit @ text.T, atol=1e-5)
