"""Tiny images and tiny real checkpoints, how they are extracted, and what is read back."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.torch import save_file

from extract.datasets import add_dataset
from extract.job.plan import Options
from extract.job.run import run_job
from extract.models.spec import ModelSpec
from featurestore import Lake
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit, write_images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extract.job.summary import ExtractionSummary
    from tests.pipeline import Commands

ROOT = Path(__file__).parents[2]
FULL = Options(device="cpu", dtype="float32", batch_size=4, workers=0, fragment_rows=6)


def stated_tolerance() -> float:
    """What the page on extracting promises, which is the only place that says it."""
    page = (ROOT / "docs" / "make" / "extracting.md").read_text(encoding="utf-8")
    (stated,) = re.findall(r"differ by at most ([\d.e-]+) of\s+the\s+vector's", page)
    return float(stated)


def assert_same_rows(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> None:
    """The same samples and labels, and the same features and logits within what the page promises in float32."""
    np.testing.assert_equal(ours[:2], theirs[:2])
    tolerance = stated_tolerance()
    for vectors, others in zip(ours[2:], theirs[2:], strict=True):
        assert vectors.dtype == others.dtype == np.float32
        largest = np.abs(others).max(axis=1, keepdims=True)
        assert (np.abs(vectors - others) <= tolerance * largest).all()


def save_tiny(file: Path, seed: int = 0, **overrides: Any) -> Path:
    save_file(tiny_vit(seed, **overrides).state_dict(), file)
    return file


def tiny_spec(file: Path, name: str = "tiny", **fields: Any) -> ModelSpec:
    return ModelSpec(name, ARCHITECTURE, file, **{"model_kwargs": KWARGS, **fields})


def run(
    lake: Lake,
    *specs: ModelSpec,
    datasets: Sequence[str] = ("val",),
    say: Callable[[str], None] | None = None,
    **changes: Any,
) -> ExtractionSummary:
    """The job, in silence if nobody listens."""
    return run_job(lake, specs, datasets, dataclasses.replace(FULL, **changes), say or quiet)


def read(lake: Lake, model: str = "tiny", dataset: str = "val") -> tuple[np.ndarray, ...]:
    blocks = list(lake.batches(model=model, dataset=dataset, columns=("sample", "label", "feature", "logits")))
    return tuple(np.concatenate(column) for column in zip(*blocks, strict=True))


def network(architecture: str = ARCHITECTURE, kwargs: Mapping[str, Any] = KWARGS) -> list[str]:
    """The options by which a command knows the network of a checkpoint."""
    pairs = [text for name, value in kwargs.items() for text in ("--model-kwargs", f"{name}={value}")]
    return ["--architecture", architecture, *pairs]


def run_command(*arguments: object, inside: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """`featurestore` in a process of its own."""
    command = [*inside, sys.executable, "-m", "featurestore", *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=100, env=variables)


def quiet(_: str) -> None: ...


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("checkpoints") / "tiny.safetensors")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images", {"ant": 5, "bee": 6, "cat": 4})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def val(lake: Lake, images: Path) -> Lake:
    """A lake with the images as the ID dataset `val`."""
    add_dataset(lake, "val", images, role="id")
    return lake


@pytest.fixture
def fresh(fresh: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line in the test's folder, on a lake that is not there yet."""
    monkeypatch.chdir(tmp_path)
    return fresh
