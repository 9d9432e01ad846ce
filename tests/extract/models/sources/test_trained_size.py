"""The size that weights were trained at, told by the shapes of their arrays: networks of many sizes, written to files without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from extract.models.files import StoredWeights, read_shapes
from extract.models.sources.source import Weights
from extract.models.sources.trained_size import trained_size

if TYPE_CHECKING:
    from pathlib import Path

VIT = {"depth": 1, "embed_dim": 24, "num_heads": 2}


def _told(folder: Path, architecture: str, kwargs: dict[str, Any], size: dict[str, Any]) -> Any:
    with torch.device("cpu"):
        state = timm.create_model(architecture, **kwargs, **size).state_dict()
    save_file(state, folder / "w.safetensors")
    weights = Weights("m", architecture, folder / "w.safetensors", kwargs)
    return trained_size(weights, read_shapes(StoredWeights(folder / "w.safetensors")))


@pytest.mark.parametrize(
    ("architecture", "kwargs", "size"),
    [
        ("vit_tiny_patch16_224", VIT, 96),
        ("vit_tiny_patch16_224", {**VIT, "patch_size": 4}, 32),
        ("deit_tiny_distilled_patch16_224", VIT, 64),
        ("beit_base_patch16_224", VIT, 64),
        ("eva02_tiny_patch14_224", {"depth": 1, "embed_dim": 24, "num_heads": 2}, 56),
        ("vit_small_patch14_reg4_dinov2", VIT, 70),
        ("vit_base_patch16_siglip_224", VIT, 64),
        ("mixer_s32_224", {}, 96),
        ("maxvit_tiny_tf_224", {"depths": (1, 1, 1, 1), "embed_dim": (32, 32, 32, 32), "stem_width": 8}, 96),
    ],
)
def test_another_size_than_the_name_s_is_found(
    tmp_path: Path, architecture: str, kwargs: dict[str, Any], size: int
) -> None:
    told = _told(tmp_path, architecture, kwargs, {"img_size": size})
    assert told.model_kwargs == {"img_size": size}
    assert told.preprocess == {"input_size": (3, size, size)}
    assert "w.safetensors has that size" in told.preprocess_origin
    assert [note.topic for note in told.notes] == ["img_size"]


def test_the_usual_size_is_known_too_and_needs_no_argument(tmp_path: Path) -> None:
    told = _told(tmp_path, "vit_tiny_patch16_224", VIT, {})
    assert (told.model_kwargs, told.preprocess, told.notes) == ({}, {"input_size": (3, 224, 224)}, ())


@pytest.mark.parametrize(
    ("architecture", "kwargs"),
    [
        ("resnet18", {}),
        ("convnext_atto", {"depths": (1, 1, 1, 1)}),
        ("swin_tiny_patch4_window7_224", {"depths": (1, 1), "embed_dim": 24, "num_heads": (1, 1)}),
    ],
)
def test_where_no_array_tells_nothing_is_said(tmp_path: Path, architecture: str, kwargs: dict[str, Any]) -> None:
    told = _told(tmp_path, architecture, kwargs, {})
    assert (told.model_kwargs, told.preprocess, told.notes) == ({}, {}, ())


def test_what_fits_no_square_is_left_to_loading(tmp_path: Path) -> None:
    told = _told(tmp_path, "vit_tiny_patch16_224", VIT, {"img_size": (32, 96)})
    assert (told.model_kwargs, told.preprocess) == ({}, {})
