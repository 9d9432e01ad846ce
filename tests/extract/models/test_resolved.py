"""Where each field of the preprocessing comes from: stated, beside the weights, told by them, or guessed; and what contradicts itself."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch

from extract.pools.naming import spec_from_file, spec_from_name
from extract.pools.selection import ModelSelection, select
from featurestore import InputError
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec

CONVNEXT = {"depths": (1, 1, 1, 1), "dims": (8, 8, 8, 8), "num_classes": 3}
UNSIZED = {name: value for name, value in KWARGS.items() if name != "img_size"}


@pytest.fixture
def convnext(tmp_path: Path) -> Path:
    """Weights of which nothing tells the size that they were trained at."""
    torch.save(timm.create_model("convnext_tiny", **CONVNEXT).state_dict(), tmp_path / "convnext.pth")
    return tmp_path / "convnext.pth"


@pytest.fixture
def vit(tmp_path: Path) -> Path:
    """Weights whose position embedding is of 32 pixels."""
    torch.save(tiny_vit().state_dict(), tmp_path / "vit.pth")
    return tmp_path / "vit.pth"


def _size(spec: ModelSpec) -> Any:
    return spec.preprocessing["input_size"][1:]


def test_what_nothing_tells_is_guessed_and_says_so(convnext: Path) -> None:
    """timm tests its own weights of this name at 288 pixels, which says nothing of these."""
    spec = spec_from_file(convnext, "convnext_tiny", CONVNEXT)
    assert _size(spec) == [288, 288]
    assert spec.resolved.line.startswith("input_size 288x288, crop_pct 1.0,")
    assert spec.resolved.line.endswith(
        "(guessed: timm's own for convnext_tiny.in12k_ft_in1k; state what it was trained with, as --input-size)"
    )
    inferred = json.loads(spec.recipe_columns["recipe"])["inferred"]
    assert inferred["input_size"].startswith("288x288 (guessed")


@pytest.mark.parametrize(
    "how", ["option", "file", "img_size of trainer", "input_size of trainer", "config.json", "transformers"]
)
def test_a_network_of_32_pixels_runs_at_32(convnext: Path, how: str) -> None:
    """Neither the size nor the crop that timm tests its own weights with is mixed into it."""
    stated: dict[str, Any] = {}
    if how == "option":
        stated = {"preprocess": {"input_size": "32"}}
    elif how == "file":
        (convnext.parent / "p.json").write_text('{"input_size": 32}')
        stated = {"preprocess_file": convnext.parent / "p.json"}
    elif how == "config.json":
        config = {
            "architecture": "convnext_tiny",
            "pretrained_cfg": {"input_size": [3, 32, 32]},
            "model_args": CONVNEXT,
        }
        (convnext.parent / "config.json").write_text(json.dumps({**config, "num_classes": 3}))
    elif how == "transformers":
        said = {"size": {"height": 32, "width": 32}, "do_center_crop": False, "image_mean": [0.5, 0.5, 0.5]}
        (convnext.parent / "preprocessor_config.json").write_text(json.dumps(said))
    else:
        args = {"img_size of trainer": {"img_size": 32}, "input_size of trainer": {"input_size": (3, 32, 32)}}[how]
        state = torch.load(convnext)
        torch.save({"state_dict": state, "args": argparse.Namespace(**args, mean=None, lr=0.1)}, convnext)
    kwargs = [f"{name}={json.dumps(value)}" for name, value in CONVNEXT.items()]
    (spec,) = select(ModelSelection([str(convnext)], "convnext_tiny", kwargs, **stated), print)
    assert _size(spec) == [32, 32]
    assert (
        spec.preprocessing["crop_pct"] == {"transformers": 1.0}.get(how, 0.95 if how != "config.json" else 0.875) or how
    )
    assert "guessed" not in spec.resolved.origins["input_size"]
    assert ("input_size" in json.loads(spec.recipe_columns["recipe"])["inferred"]) == (how not in {"option", "file"})


def test_a_position_embedding_tells_the_size(vit: Path) -> None:
    """Neither --input-size nor img_size is needed."""
    spec = spec_from_file(vit, ARCHITECTURE, UNSIZED)
    assert (spec.model_kwargs["img_size"], _size(spec)) == (32, [32, 32])
    assert spec.resolved.origins["input_size"] == "pos_embed in vit.pth has that size"
    spec.load_module()


def test_a_size_that_contradicts_the_weights_is_refused(vit: Path) -> None:
    spec = spec_from_file(vit, ARCHITECTURE, UNSIZED).stating({"input_size": (3, 64, 64)}, "stated")
    with pytest.raises(InputError, match=r"takes images of 32x32 pixels, and its preprocessing makes 64x64 \(stated\)"):
        _ = spec.preprocessing


def test_a_network_of_one_size_is_built_for_the_stated_one() -> None:
    """timm's own weights are then resized by timm, which the line says."""
    spec = spec_from_name(ARCHITECTURE, {"depth": 1}).stating({"input_size": (3, 64, 96)}, "stated")
    assert (spec.model_kwargs["img_size"], _size(spec)) == ([64, 96], [64, 96])
    assert any(note.topic == "img_size" for note in spec.notes)
    assert spec.skeleton.patch_embed.grid_size == (4, 6)


def test_published_weights_have_timm_s_own_preprocessing_which_is_no_guess() -> None:
    spec = spec_from_name("resnet18.a1_in1k")
    assert set(spec.resolved.origins.values()) == {"timm's, of these weights"}
    assert "recipe" not in spec.recipe_columns
    assert _size(spec) == [288, 288]


def test_a_pool_s_row_goes_before_options_and_options_before_a_file(vit: Path) -> None:
    pool = vit.parent / "pool.csv"
    pool.write_text(
        "model,checkpoint,architecture,model_kwargs,crop_pct,mean\n"
        f'own,vit.pth,{ARCHITECTURE},"{json.dumps(UNSIZED).replace(chr(34), chr(34) * 2)}",0.5,\n'
        f'other,vit.pth,{ARCHITECTURE},"{json.dumps(UNSIZED).replace(chr(34), chr(34) * 2)}",,"0.1,0.2,0.3"\n'
    )
    (vit.parent / "p.json").write_text('{"crop_pct": 0.7, "interpolation": "nearest", "std": 0.25}')
    stated = {"crop_pct": 0.6, "std": "0.5"}
    chosen = ModelSelection(pool=str(pool), preprocess=stated, preprocess_file=vit.parent / "p.json")
    own, other = (spec.preprocessing for spec in select(chosen, print))
    assert (own["crop_pct"], other["crop_pct"]) == (0.5, 0.6)
    assert (own["mean"], other["mean"]) == ([0.5] * 3, [0.1, 0.2, 0.3])
    assert own["std"] == other["std"] == [0.5] * 3
    assert own["interpolation"] == other["interpolation"] == "nearest"


def test_what_transformers_says_and_timm_cannot_do_is_said(convnext: Path) -> None:
    (convnext.parent / "preprocessor_config.json").write_text('{"do_normalize": false, "size": 32}')
    spec = spec_from_file(convnext, "convnext_tiny", CONVNEXT)
    assert ["preprocessor_config.json: not followed" in str(note) for note in spec.notes] == [True]
    assert spec.resolved.origins["mean"].startswith("guessed")


def test_a_trainer_s_argument_that_cannot_be_is_said(convnext: Path) -> None:
    torch.save({"state_dict": torch.load(convnext), "args": argparse.Namespace(mean=[123.7, 116.3, 103.5])}, convnext)
    spec = spec_from_file(convnext, "convnext_tiny", CONVNEXT)
    assert "divide by 255" in str(spec.notes[-1])
    assert spec.resolved.origins["mean"].startswith("guessed")


@pytest.mark.parametrize("stated", [{"crop_pct": 2.0}, {"input_size": "big"}, {"mean": "1,2"}])
def test_options_that_cannot_be_are_refused_by_name(vit: Path, stated: dict[str, Any]) -> None:
    (field,) = stated
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} "):
        select(ModelSelection([str(vit)], ARCHITECTURE, preprocess=stated), print)
