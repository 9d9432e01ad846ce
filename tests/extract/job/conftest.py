"""A model of the test's own, labelled images to run it on, and what its rows are."""

from __future__ import annotations

import contextlib
import tarfile
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from extract.datasets import add_dataset
from extract.images import read_rgb
from extract.job import run
from extract.models.network import LoadedModel
from featurestore import Lake
from tests.extract.conftest import tiny_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from extract.models.spec import ModelSpec


@pytest.fixture
def spec(tmp_path: Path, checkpoint: Path) -> ModelSpec:
    """A model whose checkpoint is the test's own."""
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(checkpoint.read_bytes())
    return tiny_spec(mine, recipe={"weight_decay": 0.1})


@pytest.fixture
def broken(images: Path) -> Path:
    """One of the images, of which nothing is left: whoever asks for it as a mark has it so in all lakes."""
    (images / "ant" / "001.png").write_bytes(b"")
    return images / "ant" / "001.png"


@pytest.fixture
def other(tmp_path: Path, images: Path) -> Lake:
    """Another lake with the same dataset."""
    lake = Lake(tmp_path / "other")
    add_dataset(lake, "val", images, role="id")
    return lake


def expected(spec: ModelSpec, root: Path, paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """The obvious way: one image at a time."""
    model, transform = LoadedModel(spec, torch.device("cpu")), spec.transform()
    rows = [model(transform(read_rgb(root / path)).unsqueeze(0)) for path in paths]
    return np.concatenate([feature for feature, _ in rows]), np.concatenate([logits for _, logits in rows])


def paths(lake: Lake) -> list[str]:
    return lake.read("samples", dataset="val").column("path").to_pylist()  # type: ignore[no-any-return]


def leaving(place: Path, back_after: float | None = None) -> Any:
    """A bar that takes a file or folder away when the first pass begins, as a mount that breaks off; perhaps it comes back."""
    gone: list[Path] = []

    @contextlib.contextmanager
    def bar(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
        if not gone:
            gone.append(place.rename(place.with_name(f"{place.name}-away")))
            if back_after is not None:
                threading.Timer(back_after, lambda: gone[0].rename(place)).start()
        yield lambda _steps: None

    return bar


def leave_at_the_next_pass(patch: pytest.MonkeyPatch, place: Path) -> None:
    """The same for a command, which shows bars of its own."""
    planned = run._units

    def units(*given: Any, **named: Any) -> Any:
        place.rename(place.with_name(f"{place.name}-away"))
        return planned(*given, **named)

    patch.setattr(run, "_units", units)


def interrupted_at(patch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Interrupt whatever runs at its nth batch, once; how many images each batch has, as they come."""
    launch, sizes = LoadedModel.launch, []

    def launching(self: LoadedModel, batch: torch.Tensor) -> Any:
        sizes.append(len(batch))
        if len(sizes) == number:
            raise KeyboardInterrupt
        return launch(self, batch)

    patch.setattr(LoadedModel, "launch", launching)
    return sizes


def packed(images: Path, folder: Path, kind: str) -> Path:
    """The images in one tar, or in one Parquet file."""
    files = sorted(images.rglob("*.png"))
    if kind == "tar":
        with tarfile.open(folder / "val.tar", "w") as tar:
            for file in files:
                tar.add(file, file.relative_to(images))
        return folder / "val.tar"
    rows = [{"bytes": file.read_bytes()} for file in files]
    labels = [["ant", "bee", "cat"].index(file.parent.name) for file in files]
    pq.write_table(pa.table({"image": rows, "label": labels}), folder / "val.parquet")
    return folder / "val.parquet"
