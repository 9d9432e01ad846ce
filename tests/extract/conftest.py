"""Tiny images and tiny real checkpoints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from featurestore import Lake
from tests.tiny import tiny_vit, write_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"


def stated_tolerance() -> float:
    """What the guide promises, which is the only place that says it."""
    (stated,) = re.findall(r"differ by at most ([\d.e-]+) of\s+the\s+vector's", GUIDE.read_text(encoding="utf-8"))
    return float(stated)


def assert_same_rows(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> None:
    """The same samples and labels, and the same features and logits within what the guide promises in float32."""
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])
    tolerance = stated_tolerance()
    for vectors, others in zip(ours[2:], theirs[2:], strict=True):
        assert vectors.dtype == others.dtype == np.float32
        largest = np.abs(others).max(axis=1, keepdims=True)
        assert (np.abs(vectors - others) <= tolerance * largest).all()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("checkpoints") / "tiny.safetensors"
    save_file(tiny_vit().state_dict(), path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", {"ant": 5, "bee": 6, "cat": 4})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def quiet() -> Callable[[str], None]:
    return lambda _: None
