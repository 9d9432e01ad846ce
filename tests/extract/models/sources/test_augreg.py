"""AugReg names: architecture, preprocessing and recipe come from the file name; anything else is no such name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import timm
import torch

from extract.models.files import StoredWeights
from extract.models.network import LoadedModel
from extract.models.sources.augreg import ARCHITECTURES, named_facts, parse_augreg
from extract.models.spec import ModelSpec
from extract.pools.naming import NamedOptions, named_spec, spec_from_file
from featurestore import InputError
from tests.extract.jax_arrays import augreg_arrays
from tests.tiny import KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path

FULL = "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0--imagenet2012-steps_20k-lr_0.03-res_224"
TINY = {"patch_size": 16, "embed_dim": 24, "depth": 1, "num_heads": 2}
RECIPE = (
    *("pretraining", "pretrain_epochs", "pretrain_lr", "augmentation", "weight_decay", "dropout", "stochastic_depth"),
    *("finetune_dataset", "finetune_steps", "finetune_lr"),
)
NAMES = [
    "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0--imagenet2012-steps_20k-lr_0.03-res_224",
    "vit_base_patch16 224 in21k 300.0 0.001 medium1 0.1 0.0 0.0 in1k 20000 0.03",
    "B_16-i1k-300ep-lr_0.001-aug_strong2-wd_0.03-do_0.1-sd_0.1--imagenet2012-steps_20k-lr_0.01-res_384",
    "vit_base_patch16 384 in1k 300.0 0.001 strong2 0.03 0.1 0.1 in1k 20000 0.01",
    "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0",
    "vit_base_patch16 224 in21k 300.0 0.001 medium1 0.1 0.0 0.0",
    "R50_L_32-i1k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0",
    "vit_large_r50_s32 224 in1k 300.0 0.001 none 0.03 0.0 0.0",
    "Ti_16-i21k_30-30ep-lr_0.001-aug_light0-wd_0.03-do_0.0-sd_0.0",
    "vit_tiny_patch16 224 in21k 30.0 0.001 light0 0.03 0.0 0.0",
    "S_32-i21k-300ep-lr_0.001-aug_light1-wd_0.03-do_0.0-sd_0.0--cifar100-steps_2_500-lr_0.003-res_224",
    "vit_small_patch32 224 in21k 300.0 0.001 light1 0.03 0.0 0.0 cifar100 2500 0.003",
    "R_Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0--oxford_iiit_pet-steps_0k-lr_0.01-res_384",
    "vit_tiny_r_s16_p8 384 in21k 300.0 0.001 none 0.03 0.0 0.0 oxford_iiit_pet 0 0.01",
    "B_8-i21k-300ep-lr_0.001-aug_medium2-wd_0.1-do_0.0-sd_0.0--kitti-distance-steps_10k-lr_0.003-res_224",
    "vit_base_patch8 224 in21k 300.0 0.001 medium2 0.1 0.0 0.0 kitti-distance 10000 0.003",
]
"""File names, each with what it says below it: architecture, resolution and the recipe."""


@pytest.mark.parametrize(("name", "facts"), list(zip(NAMES[::2], NAMES[1::2], strict=True)))
def test_a_name_tells_architecture_resolution_and_recipe(name: str, facts: str) -> None:
    parsed = parse_augreg(name)
    assert parsed is not None
    recipe = [parsed.recipe[key] for key in RECIPE if key in parsed.recipe]
    assert len(recipe) == len(parsed.recipe)
    assert " ".join(map(str, (parsed.architecture, parsed.resolution, *recipe))) == facts


@pytest.mark.parametrize(
    "name",
    [
        "",
        "vit_base_patch16_224",
        FULL + ".npz",
        FULL.replace("B_16", "G_16"),
        FULL.replace("i21k", "i42k"),
        FULL.replace("medium1", "heavy3"),
        FULL.replace("-lr_0.03", ""),
        FULL.replace("lr_0.001", "lr_fast"),
        FULL + "-",
    ],
)
def test_other_names_are_none(name: str) -> None:
    assert parse_augreg(name) is None


@pytest.mark.parametrize("resolution", [224, 384])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_gets_augreg_s_preprocessing(architecture: str, resolution: int) -> None:
    """Mean and deviation one half, bicubic, crop 0.9 at 224 pixels and none at 384, whatever timm's default variant has."""
    name = FULL.replace("B_16", architecture).replace("res_224", f"res_{resolution}")
    facts = named_facts(name)
    assert facts is not None
    spec = ModelSpec("m", facts.architecture, None, facts.model_kwargs, preprocess=facts.preprocess)
    assert spec.preprocessing == {
        "crop_mode": "center",
        "crop_pct": {224: 0.9, 384: 1.0}[resolution],
        "input_size": [3, resolution, resolution],
        "interpolation": "bicubic",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    }


@pytest.mark.parametrize("name", [name for name in timm.list_pretrained("vit_*augreg_*") if "clip" not in name])
def test_timm_s_own_augreg_models_have_their_recipe_and_the_same_preprocessing(name: str) -> None:
    url = timm.get_pretrained_cfg(name).url
    facts = named_facts(url.rpartition("/")[2].removesuffix(".npz"))
    spec = named_spec(name, NamedOptions())
    assert facts is not None
    assert spec.recipe == facts.recipe
    assert facts.architecture == name.partition(".")[0]
    assert facts.model_kwargs.get("num_classes", 1000) == timm.get_pretrained_cfg(name).num_classes
    assert facts.preprocess["crop_pct"] == timm.get_pretrained_cfg(name).crop_pct


@pytest.mark.parametrize(("resolution", "classes"), [(224, 3), (384, 5)])
def test_a_file_needs_no_architecture(tmp_path: Path, resolution: int, classes: int) -> None:
    """The head's classes come from the file; outputs are the network's own."""
    model = tiny_vit(**TINY, img_size=resolution, num_classes=classes)
    path = tmp_path / f"{FULL.replace('res_224', f'res_{resolution}')}.npz"
    np.savez(path, **augreg_arrays(model, TINY))
    spec = spec_from_file(StoredWeights(path), model_kwargs=TINY)
    assert spec.architecture == f"vit_base_patch16_{resolution}"
    assert spec.name == path.stem.lower()
    assert spec.recipe["finetune_lr"] == 0.03
    assert spec.preprocessing["input_size"] == [3, resolution, resolution]
    images = torch.randn(2, 3, resolution, resolution)
    with torch.inference_mode():
        np.testing.assert_allclose(LoadedModel(spec, torch.device("cpu"))(images)[1], model(images), atol=1e-5)


def test_a_given_architecture_goes_before_the_name_and_garbage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / f"{FULL}.npz"
    path.write_bytes(b"not arrays")
    with pytest.raises(InputError, match="is no checkpoint that can be read, since it begins with b'not arra'"):
        spec_from_file(StoredWeights(path))
    np.savez(path, **augreg_arrays(tiny_vit(), KWARGS))
    assert spec_from_file(StoredWeights(path), "vit_tiny_patch16_224").architecture == "vit_tiny_patch16_224"
    np.savez(tmp_path / "other.npz", **augreg_arrays(tiny_vit(), KWARGS))
    with pytest.raises(InputError, match="--architecture"):
        spec_from_file(StoredWeights(tmp_path / "other.npz"))
