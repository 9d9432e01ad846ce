"""Models: real checkpoint files, loaded as data, split into feature and head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from featurestore import InputError
from tests.extract.conftest import save_tiny, tiny_spec
from tests.tiny import ARCHITECTURE, KWARGS

if TYPE_CHECKING:
    from pathlib import Path


def _load(path: Path, architecture: str = ARCHITECTURE, **overrides: Any) -> LoadedModel:
    return LoadedModel(ModelSpec("tiny", architecture, path, {**KWARGS, **overrides}), torch.device("cpu"))


def test_preprocessing_follows_the_model_s_own_input_size(checkpoint: Path) -> None:
    spec = tiny_spec(checkpoint)
    assert spec.preprocessing["input_size"] == [3, 32, 32]
    assert spec.preprocessing["mean"] == [0.5, 0.5, 0.5]


def test_unknown_architectures_and_arguments_are_sentences(checkpoint: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'vit_tiny_patch16_224'"):
        _load(checkpoint, architecture="vit_tiny_patch_16_224")
    with pytest.raises(InputError, match="cannot build"):
        _load(checkpoint, depht=2)


def test_equal_weights_have_equal_fingerprints_and_others_do_not(tmp_path: Path, checkpoint: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(checkpoint.read_bytes())
    other = save_tiny(tmp_path / "other.safetensors", seed=1)
    assert tiny_spec(checkpoint).identity == tiny_spec(copy).identity != tiny_spec(other).identity
