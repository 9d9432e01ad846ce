"""Preprocessing in files: as timm, open_clip and transformers write it beside weights, or with timm's names alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from extract.images.preprocess_fields import FIELDS, check_field, checked
from featurestore.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extract.images.preprocess_fields import Preprocess

_TEST_TIME = {"test_input_size": "input_size", "test_crop_pct": "crop_pct"}
_ARGUMENTS = {
    "img_size": "input_size",
    "input_size": "input_size",
    "eval_crop_ratio": "crop_pct",
    **{name: name for name in ("crop_pct", "crop_mode", "interpolation", "mean", "std")},
}
"""What trainers call the fields; of two names the later counts."""
BESIDE = "preprocessor_config.json"
"""What transformers writes beside weights."""
_PILLOW = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_RESIZE_MODES = {"shortest": "center", "squash": "squash", "longest": "border"}
_OF_TRANSFORMERS = {"size", "image_mean", "do_resize", "image_processor_type", "feature_extractor_type"}
_STEPS = ("do_resize", "do_rescale", "do_normalize")
_SQUASHED_FROM = 384
"""The size from which transformers' processor of ConvNeXt does not crop."""


def of_arguments(arguments: Mapping[str, Any], place: str) -> tuple[Preprocess, Mapping[str, str]]:
    """What the arguments of a trainer say, as timm's and those of DeiT and ConvNeXt name them; and why fields of them do not count."""
    found: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for name, field in _ARGUMENTS.items():
        if arguments.get(name):
            try:
                found[field] = checked(field, arguments[name], f"{name} of {place}")
            except InputError as error:
                refused[field] = str(error)
    return found, refused


def read_preprocess(path: Path) -> Preprocess:
    """The preprocessing that a JSON file states.

    Known are timm's fields, alone or in a `config.json` that timm wrote; `preprocessor_config.json` of transformers; and
    `open_clip_config.json`.

    Raises:
        InputError: It cannot be read, has another layout, or a field or value that preprocessing cannot have.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the preprocessing {path} as JSON: {first_line(error)}.") from error
    if not isinstance(said, dict):
        raise InputError(
            f'{path} is no JSON object with preprocessing, such as {{"input_size": 224, "crop_pct": 0.9}}.'
        )
    place = str(path)
    if isinstance(said.get("preprocess_cfg"), dict):
        return of_open_clip(said, place)
    if said.keys() & _OF_TRANSFORMERS:
        return of_transformers(said, place)
    inner = said.get("pretrained_cfg")
    if isinstance(inner, dict) or "architecture" in said:
        found = of_timm(inner if isinstance(inner, dict) else said, place)
        if not found:
            raise InputError(
                f"{path} says nothing of preprocessing: expected {', '.join(FIELDS)} in its pretrained_cfg."
            )
        return found
    if not said:
        raise InputError(f"{path} says nothing of preprocessing: expected {', '.join(FIELDS)}.")
    for name in said:
        check_field(name, place)
    return {name: checked(name, value, f"{name} in {place}") for name, value in said.items() if value is not None}


def of_timm(cfg: Mapping[str, Any], place: str) -> Preprocess:
    """The fields of a `pretrained_cfg`, with the size and crop that it names for tests, if any, in the place of those of training."""
    named = {**{name: name for name in FIELDS}, **_TEST_TIME}
    found = {field: cfg[name] for name, field in named.items() if cfg.get(name)}
    return {field: checked(field, value, f"{field} in {place}") for field, value in found.items()}


def of_open_clip(said: Mapping[str, Any], place: str) -> Preprocess:
    """The `preprocess_cfg` of an `open_clip_config.json`, with the size of its vision tower."""
    cfg, vision = said["preprocess_cfg"], (said.get("model_cfg") or {}).get("vision_cfg") or {}
    mode = cfg.get("resize_mode", "shortest")
    if mode not in _RESIZE_MODES:
        raise InputError(f"{place} says resize_mode {mode!r}: expected {', '.join(_RESIZE_MODES)}.")
    found = {
        "input_size": cfg.get("size", vision.get("image_size")),
        "crop_pct": 1.0,
        "crop_mode": _RESIZE_MODES[mode],
        **{name: cfg.get(name) for name in ("interpolation", "mean", "std")},
    }
    return {name: checked(name, value, f"{name} in {place}") for name, value in found.items() if value}


def of_transformers(said: Mapping[str, Any], place: str) -> Preprocess:
    """A `preprocessor_config.json`: resize, perhaps crop, and normalise.

    Raises:
        InputError: It leaves a step out, or scales pixels otherwise than to between 0 and 1.
    """
    left_out = [name for name in _STEPS if said.get(name, True) is False]
    scale = said.get("rescale_factor", 1 / 255)
    if left_out or not isinstance(scale, (int, float)) or abs(scale * 255 - 1) > 1e-3 or said.get("rescale_offset"):
        what = f"{left_out[0]} is false" if left_out else "pixels are not scaled to between 0 and 1"
        raise InputError(f"{place}: {what}, which timm's preprocessing always does: state all fields by options.")
    if said.get("do_flip_channel_order"):
        raise InputError(
            f"{place}: images are fed as BGR, and timm's preprocessing makes RGB: swap the channels of the first layer's weights."
        )
    resample = said.get("resample", 2)
    found = {
        **_geometry(said, place),
        "interpolation": _PILLOW[resample] if resample in range(len(_PILLOW)) else resample,
        "mean": said.get("image_mean"),
        "std": said.get("image_std"),
    }
    return {name: checked(name, value, f"{name} in {place}") for name, value in found.items() if value is not None}


def _geometry(said: Mapping[str, Any], place: str) -> Preprocess:
    """Size and crop: the input is what is cropped, or all of what is resized."""
    size, crop = said.get("size"), said.get("crop_size")
    kind = str(said.get("image_processor_type") or said.get("feature_extractor_type") or "")
    shortest = size.get("shortest_edge") if isinstance(size, dict) else None
    if isinstance(size, int) and kind.startswith(("CLIP", "ConvNext", "Bit")):
        shortest = size
    resized = (shortest, shortest) if shortest else _sides(size)
    if resized is None:
        raise InputError(f"{place}: expected size with height and width, or with shortest_edge, not {size!r}.")
    if kind.startswith("ConvNext"):
        squashed = resized[0] >= _SQUASHED_FROM
        pct = 1.0 if squashed else said.get("crop_pct") or 224 / 256
        return {"input_size": (3, *resized), "crop_pct": pct, "crop_mode": "squash" if squashed else "center"}
    given = _sides(crop) if said.get("do_center_crop", crop is not None) else None
    cropped = given or resized
    if shortest and given is None:
        raise InputError(
            f"{place}: images are resized by their shorter side and not cropped, so that they differ in size: state --input-size."
        )
    pct = min(inner / outer for inner, outer in zip(cropped, resized, strict=True))
    return {"input_size": (3, *cropped), "crop_pct": pct, "crop_mode": "center" if shortest else "squash"}


def _sides(size: Any) -> tuple[int, int] | None:
    if isinstance(size, dict):
        size = [size.get("height"), size.get("width")]
    sides = size if isinstance(size, list) else [size, size]
    return (sides[0], sides[1]) if len(sides) == 2 and all(isinstance(side, int) for side in sides) else None
