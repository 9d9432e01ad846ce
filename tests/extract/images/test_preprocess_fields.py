"""Fields of preprocessing: what users type and files say becomes a value, or a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from extract.images.preprocess_fields import check_field, checked, text_of
from featurestore import InputError


@pytest.mark.parametrize(
    ("field", "said", "value"),
    [
        ("input_size", "224", (3, 224, 224)),
        ("input_size", 32, (3, 32, 32)),
        ("input_size", "224x288", (3, 224, 288)),
        ("input_size", "3 224 288", (3, 224, 288)),
        ("input_size", "(3, 224, 224)", (3, 224, 224)),
        ("input_size", [3, 64, 64], (3, 64, 64)),
        ("crop_pct", "0.875", 0.875),
        ("crop_pct", 1, 1.0),
        ("crop_mode", "squash", "squash"),
        ("interpolation", "bilinear", "bilinear"),
        ("mean", "0.485,0.456,0.406", (0.485, 0.456, 0.406)),
        ("mean", "0.485 0.456 0.406", (0.485, 0.456, 0.406)),
        ("mean", 0, (0.0, 0.0, 0.0)),
        ("std", [0.5], (0.5, 0.5, 0.5)),
    ],
)
def test_what_is_said_becomes_a_value(field: str, said: Any, value: Any) -> None:
    assert checked(field, said, f"--{field}") == value


@pytest.mark.parametrize(
    ("field", "said", "message"),
    [
        ("input_size", "0", "size in pixels"),
        ("input_size", "224x", "size in pixels"),
        ("input_size", "1,224,224", "size in pixels"),
        ("input_size", "22.5", "size in pixels"),
        ("input_size", "999999", "size in pixels"),
        ("input_size", float("inf"), "size in pixels"),
        ("crop_pct", "1.2", "up to 1"),
        ("crop_pct", "0", "above 0"),
        ("crop_pct", "nan", "above 0"),
        ("crop_pct", True, "above 0"),
        ("crop_mode", "resize", "center, squash or border"),
        ("interpolation", "random", "bicubic, bilinear"),
        ("mean", "123.675,116.28,103.53", "divide by 255"),
        ("mean", "0.5,0.5", "one number or three"),
        ("mean", "red", "one number or three"),
        ("std", "0", "one number or three"),
        ("std", None, "one number or three"),
    ],
)
def test_what_cannot_be_is_a_sentence_that_names_the_place(field: str, said: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"--{field} .*{message}"):
        checked(field, said, f"--{field}")


def test_unknown_fields_name_the_nearest() -> None:
    with pytest.raises(InputError, match="'crop_ptc' of preprocessing: did you mean 'crop_pct'"):
        check_field("crop_ptc", "p.json")


def test_values_in_words() -> None:
    assert text_of("input_size", (3, 224, 288)) == "224x288"
    assert text_of("mean", (0.5, 0.5, 0.5)) == "0.5"
    assert text_of("std", [0.229, 0.224, 0.225]) == "0.229 0.224 0.225"
