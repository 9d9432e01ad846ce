"""Bad input, as a user meets it: each piece ends as one sentence, or as a row of `failures`; none as a wrong number."""

from __future__ import annotations

import pickle
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.datasets.folder import pil_loader

from tests.extract.conftest import network, save_tiny
from tests.extract.images.test_loader import BROKEN, LIKE_TORCHVISION
from tests.tiny import KWARGS, tiny_vit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pipeline import Commands


@pytest.fixture
def labelled(fresh: Commands, checkpoint: Path, tmp_path: Path) -> Commands:
    """A lake with three labelled images of three classes, and a checkpoint."""
    shutil.copy(checkpoint, tmp_path / "tiny.safetensors")
    fresh.add("val", "id", {"ant": 1, "bee": 1, "cat": 1})
    return fresh


@pytest.mark.parametrize("workers", [0, 2])
def test_unusual_images_count_as_what_they_show_and_broken_ones_are_listed(
    fresh: Commands, checkpoint: Path, tmp_path: Path, workers: int
) -> None:
    for folder in (tmp_path / "odd", tmp_path / "plain"):
        folder.mkdir()
    for name, make in {**LIKE_TORCHVISION, **{name: make for name, (make, _) in BROKEN.items()}}.items():
        (tmp_path / "odd" / name).write_bytes(make())
    with warnings.catch_warnings(action="ignore"):
        for name in LIKE_TORCHVISION:
            pil_loader(str(tmp_path / "odd" / name)).save(tmp_path / "plain" / f"{name}.bmp")
    for dataset in ("odd", "plain"):
        fresh.ok("dataset", "add", dataset, tmp_path / dataset, "--role", "ood")
    extraction = ["extract", "--model", checkpoint, *network(), "--dtype", "float32", "--workers", workers]
    fresh.ok(*extraction, "--dataset", "plain")
    outcome = fresh(*extraction, "--dataset", "odd")
    assert outcome.code == 3
    assert f"{len(BROKEN)} samples could not be read" in outcome.err
    assert "Warning" not in outcome.err
    failures = dict(fresh.lake.sql("select path, error from failures").fetchall())
    assert sorted(failures) == sorted(BROKEN)
    for name, (_, reason) in BROKEN.items():
        assert reason in failures[name], name
    odd, plain = (_features(fresh, dataset) for dataset in ("odd", "plain"))
    assert sorted(odd) == sorted(LIKE_TORCHVISION)
    for name, feature in odd.items():
        np.testing.assert_allclose(feature, plain[f"{name}.bmp"], atol=1e-5, err_msg=name)
    assert fresh(*extraction, "--dataset", "odd").code == 3  # a cache hit, and still not complete


def _features(fresh: Commands, dataset: str) -> dict[str, Any]:
    paths = fresh.lake.read("samples", dataset=dataset).column("path").to_pylist()
    blocks = fresh.lake.batches(model="tiny", dataset=dataset, columns=("sample", "feature"))
    return {paths[sample]: row for samples, rows in blocks for sample, row in zip(samples, rows, strict=True)}


def test_missing_and_unexpected_parameters_are_listed_and_nothing_is_written(
    labelled: Commands, tmp_path: Path
) -> None:
    state = tiny_vit().state_dict()
    renamed = {f"encoder.{name}" if name.startswith("blocks.") else name: value for name, value in state.items()}
    save_file(renamed, tmp_path / "renamed.safetensors")
    before = sorted(tmp_path.rglob("*"))
    said = labelled.refused("extract", "--model", "renamed.safetensors", *network(), "--dataset", "val")
    assert "missing: blocks.0.norm1.weight, " in said
    assert "unexpected: encoder.blocks.0.attn.proj.bias, " in said
    assert said.count(" and 8 more") == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_head_of_another_class_count_is_a_sentence(labelled: Commands, tmp_path: Path) -> None:
    """Another than the arguments say, than the labels need, or than the model of that name has in the lake."""
    save_tiny(tmp_path / "five.safetensors", num_classes=5)
    said = labelled.refused("extract", "--model", "five.safetensors", *network(), "--dataset", "val")
    assert "of another shape: head.weight is [5, 24], not [3, 24]" in said
    np.savez(tmp_path / "two.npz", weight=np.ones((2, 24), np.float32))
    headed = ["extract", "--model", "tiny.safetensors", *network(), "--head", "two.npz", "--dataset", "val"]
    assert "has the label 2, but the head of tiny has 2 classes" in labelled.refused(*headed)
    assert not labelled.lake.partitions("models")
    labelled.ok("extract", "--model", "tiny.safetensors", *network(), "--dataset", "val")
    shutil.copy(tmp_path / "five.safetensors", tmp_path / "tiny.safetensors")
    said = labelled.refused(
        "extract", "--model", "tiny.safetensors", *network(kwargs={**KWARGS, "num_classes": 5}), "--dataset", "val"
    )
    assert '"num_classes": 3' in said.replace("\\", "")
    assert "--replace" in said


class Payload:
    """What an attacker puts into a checkpoint: unpickled, it makes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.place), "w")


PAYLOADS: dict[str, Callable[[Path, Payload], object]] = {
    "state.pth": lambda file, payload: torch.save({"head.weight": payload}, file),
    "whole.pt": lambda file, payload: torch.save(payload, file),
    "old.ckpt": lambda file, payload: torch.save(payload, file, _use_new_zipfile_serialization=False),
    "raw.bin": lambda file, payload: file.write_bytes(pickle.dumps(payload)),
    "arrays.npz": lambda file, payload: np.savez(file, weight=np.array([payload])),
    "B_16-i21k-300ep-lr_0.001-aug_none-wd_0.1-do_0.0-sd_0.0.npz": lambda file, payload: np.savez(
        file, **{"head/kernel": np.array([payload])}
    ),
    "named_wrongly.safetensors": lambda file, payload: file.write_bytes(pickle.dumps(payload)),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_never_runs(labelled: Commands, tmp_path: Path, name: str) -> None:
    payload = Payload(tmp_path / "ran")
    PAYLOADS[name](tmp_path / name, payload)
    said = labelled.refused("extract", "--model", name, *network(), "--dataset", "val")
    assert name in said
    assert ("would run code" in said) == (not name.endswith(".npz"))
    if name.endswith(".npz"):
        labelled.refused("extract", "--model", "tiny.safetensors", *network(), "--head", name, "--dataset", "val")
    assert not labelled.lake.partitions("models")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(payload)).close()  # our own: it would have run
    assert (tmp_path / "ran").exists()


CUT = (b"", b"zz", b"<html>404</html>", b"PK\3\4cut", b"\x80\2cut")


@pytest.mark.parametrize(
    ("name", "content"), [*(("cut.pth", text) for text in CUT), ("cut.safetensors", b"zz"), ("cut.npz", b"zz")]
)
def test_a_checkpoint_that_was_not_downloaded_whole_is_a_sentence(
    labelled: Commands, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    said = labelled.refused("extract", "--model", name, *network(), "--dataset", "val")
    assert name in said
    assert ("is no checkpoint that can be read" in said) == (content[:1] not in {b"P", b"\x80"})
    assert not labelled.lake.partitions("models")


@pytest.mark.parametrize(("place", "format_"), [("hf:cifar10@test", "hf"), ("a.tar", "tar"), ("a.csv", "csv")])
def test_a_place_of_another_format_gets_the_word_that_was_left_out(
    fresh: Commands, tmp_path: Path, place: str, format_: str
) -> None:
    for name in ("a.tar", "a.csv"):
        (tmp_path / name).write_bytes(b"")
    assert f"say --format {format_}" in fresh.refused(
        "dataset", "add", "d", place, "--role", "ood", "--format", "folder"
    )
    assert not fresh.location.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:0,1"])
def test_cuda_where_there_is_none_is_a_sentence(labelled: Commands, device: str) -> None:
    arguments = ["--model", "tiny.safetensors", *network(), "--dataset", "val", "--device", device]
    assert "this machine has 0 CUDA devices; use --device cpu" in labelled.refused("extract", *arguments)
    assert not labelled.lake.partitions("models")
