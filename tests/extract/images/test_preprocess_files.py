"""Preprocessing in files: timm's, open_clip's and transformers' layouts, each with what it means under timm's names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from timm.data import create_transform

from extract.images.preprocess_files import of_arguments, read_preprocess
from featurestore import InputError

if TYPE_CHECKING:
    from pathlib import Path

HALF = (0.5, 0.5, 0.5)
VIT = {
    "do_resize": True,
    "size": {"height": 224, "width": 224},
    "resample": 2,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}
DINO = {
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "resample": 3,
}
DEIT = {
    "image_processor_type": "DeiTImageProcessor",
    "size": {"height": 256, "width": 256},
    "crop_size": 224,
    "resample": 3,
}


def _file(folder: Path, said: Any) -> Path:
    path = folder / "said.json"
    path.write_text(json.dumps(said))
    return path


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        ({"input_size": 32, "crop_pct": 0.9, "mean": 0.5}, {"input_size": (3, 32, 32), "crop_pct": 0.9, "mean": HALF}),
        (
            {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 64, 64], "crop_pct": 0.7, "url": ""}},
            {"input_size": (3, 64, 64), "crop_pct": 0.7},
        ),
        (
            {
                "architecture": "resnet18",
                "input_size": [3, 64, 64],
                "test_input_size": [3, 96, 96],
                "test_crop_pct": 1.0,
            },
            {"input_size": (3, 96, 96), "crop_pct": 1.0},
        ),
        (
            {
                "model_cfg": {"vision_cfg": {"image_size": 240}},
                "preprocess_cfg": {"mean": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"},
            },
            {
                "input_size": (3, 240, 240),
                "crop_pct": 1.0,
                "crop_mode": "squash",
                "interpolation": "bicubic",
                "mean": HALF,
            },
        ),
        (
            VIT,
            {
                "input_size": (3, 224, 224),
                "crop_pct": 1.0,
                "crop_mode": "squash",
                "interpolation": "bilinear",
                "mean": HALF,
                "std": HALF,
            },
        ),
        (DINO, {"input_size": (3, 224, 224), "crop_pct": 0.875, "crop_mode": "center", "interpolation": "bicubic"}),
        (DEIT, {"input_size": (3, 224, 224), "crop_pct": 0.875, "crop_mode": "squash", "interpolation": "bicubic"}),
        (
            {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 384, "resample": 3},
            {"input_size": (3, 384, 384), "crop_pct": 1.0, "crop_mode": "squash", "interpolation": "bicubic"},
        ),
        (
            {
                "image_processor_type": "ConvNextImageProcessor",
                "size": {"shortest_edge": 224},
                "crop_pct": 0.875,
                "resample": 3,
            },
            {"input_size": (3, 224, 224), "crop_pct": 0.875, "crop_mode": "center", "interpolation": "bicubic"},
        ),
    ],
)
def test_layouts(tmp_path: Path, said: dict[str, Any], fields: dict[str, Any]) -> None:
    assert read_preprocess(_file(tmp_path, said)) == fields


@pytest.mark.parametrize("said", [VIT, DINO, DEIT])
def test_timm_then_resizes_as_transformers_does(tmp_path: Path, said: dict[str, Any]) -> None:
    """The same pixels as the two steps that its documents describe: resize, by the shorter side or squashed, then crop the centre."""
    fields = read_preprocess(_file(tmp_path, {**said, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}))
    image = Image.effect_noise((300, 400), 50).convert("RGB")
    (top, left), resample = (0, 0), Image.Resampling(said["resample"])
    shortest = said["size"].get("shortest_edge")
    size = (shortest, int(shortest * 400 / 300)) if shortest else (said["size"]["width"], said["size"]["height"])
    resized = image.resize(size, resample)
    left, top = (round((side - 224) / 2) for side in size)
    cropped = resized.crop((left, top, left + 224, top + 224))
    steps = create_transform(**fields, is_training=False).transforms[:-2]
    for step in steps:
        image = step(image)
    assert image.tobytes() == cropped.tobytes()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([1], "no JSON object"),
        ({}, "says nothing of preprocessing"),
        ({**VIT, "do_flip_channel_order": True}, "fed as BGR"),
        ({"crop_ptc": 1}, "did you mean 'crop_pct'"),
        ({"crop_pct": 7}, "crop_pct in .*up to 1"),
        ({"architecture": "resnet18", "num_classes": 3}, "says nothing of preprocessing"),
        ({**VIT, "do_normalize": False}, "do_normalize is false"),
        ({**VIT, "rescale_factor": 1.0}, "not scaled to between 0 and 1"),
        ({**VIT, "size": {"longest_edge": 9}}, "height and width"),
        ({**VIT, "size": {"shortest_edge": 224}}, "not cropped"),
        ({**VIT, "resample": 17}, "interpolation in"),
        ({"preprocess_cfg": {"resize_mode": "odd"}}, "resize_mode 'odd'"),
    ],
)
def test_what_is_not_understood_is_a_sentence(tmp_path: Path, said: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_preprocess(_file(tmp_path, said))


def test_no_json(tmp_path: Path) -> None:
    (tmp_path / "said.json").write_text("{")
    with pytest.raises(InputError, match="as JSON"):
        read_preprocess(tmp_path / "said.json")
    with pytest.raises(InputError, match="No such file"):
        read_preprocess(tmp_path / "gone.json")


def test_arguments_of_trainers() -> None:
    """Those of timm and DeiT; what nobody set says nothing, and what preprocessing cannot have is said."""
    timm = {"img_size": None, "input_size": [3, 32, 32], "crop_pct": 0.9, "interpolation": "", "mean": None}
    assert of_arguments(timm, "args") == ({"input_size": (3, 32, 32), "crop_pct": 0.9}, {})
    deit = {"input_size": 224, "eval_crop_ratio": 0.875, "lr": 1e-3}
    assert of_arguments(deit, "args") == ({"input_size": (3, 224, 224), "crop_pct": 0.875}, {})
    found, refused = of_arguments({"mean": [123.7, 116.3, 103.5]}, "args")
    assert found == {}
    assert "divide by 255" in refused["mean"]
