"""A tiny model, how it is run, and what its rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from extract.images import read_rgb
from extract.job.plan import Options
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from tests.tiny import ARCHITECTURE, KWARGS

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore import Lake

FULL = Options(device="cpu", dtype="float32", batch_size=4, workers=0, fragment_rows=6)


@pytest.fixture
def spec(tmp_path: Path, checkpoint: Path) -> ModelSpec:
    """A model whose checkpoint is the test's own."""
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(checkpoint.read_bytes())
    return ModelSpec("tiny", ARCHITECTURE, mine, KWARGS, recipe={"weight_decay": 0.1})


def read(lake: Lake, model: str = "tiny", dataset: str = "val") -> tuple[np.ndarray, ...]:
    blocks = list(lake.batches(model=model, dataset=dataset, columns=("sample", "label", "feature", "logits")))
    return tuple(np.concatenate(column) for column in zip(*blocks, strict=True))


def expected(spec: ModelSpec, root: Path, paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The obvious way: one image at a time."""
    model, transform = LoadedModel(spec, torch.device("cpu")), spec.transform()
    rows = [model(transform(read_rgb(root / path)).unsqueeze(0)) for path in paths]
    return np.concatenate([feature for feature, _ in rows]), np.concatenate([logits for _, logits in rows])


def paths(lake: Lake) -> list[str]:
    return lake.read("samples", dataset="val").column("path").to_pylist()  # type: ignore[no-any-return]
