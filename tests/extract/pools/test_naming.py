"""What is named on the command line: checkpoint files, timm's names, arguments of a network, and recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extract.pools.naming import NamedOptions, named_spec, parse_model_kwargs
from featurestore import InputError
from tests.tiny import ARCHITECTURE, KWARGS

if TYPE_CHECKING:
    from pathlib import Path


def test_models_on_the_command_line(checkpoint: Path) -> None:
    spec = named_spec(str(checkpoint), NamedOptions(ARCHITECTURE, KWARGS))
    assert (spec.name, spec.architecture, spec.model_kwargs) == ("tiny", ARCHITECTURE, KWARGS)
    assert named_spec("resnet18.a1_in1k", NamedOptions()).name == "resnet18.a1_in1k"
    with pytest.raises(InputError, match="--architecture"):
        named_spec(str(checkpoint), NamedOptions())
    with pytest.raises(InputError, match=r"no checkpoint gone\.pth"):
        named_spec("gone.pth", NamedOptions(ARCHITECTURE))
    with pytest.raises(InputError, match="name=value"):
        parse_model_kwargs(["img_size"])


def test_model_kwargs_are_json_or_python_or_text() -> None:
    """A user of Python types False, one of JSON false: neither is the text that counts as true."""
    given = ["a=False", "b=true", "c=None", "d=32", "e=avg", "f=[1, 2]"]
    expected = {"a": False, "b": True, "c": None, "d": 32, "e": "avg", "f": [1, 2]}
    assert parse_model_kwargs(given) == expected
