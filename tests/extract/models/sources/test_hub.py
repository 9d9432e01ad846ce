"""timm's published weights: taken from the hub's cache where there is no network, and missed in a sentence."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from extract.datasets import add_dataset
from extract.images.decoding import read_rgb
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from tests.extract.conftest import run_command
from tests.tiny import write_images

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from featurestore import Lake

NAME = "mobilenetv3_small_050.lamb_in1k"
REVISION = "0123456789abcdef0123456789abcdef01234567"


def extract(lake: Lake, home: Path) -> subprocess.CompletedProcess[str]:
    """A process of its own, since the hub's client reads the environment when it is imported."""
    command = [
        "extract",
        "--model",
        NAME,
        "--dataset",
        "val",
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--workers",
        "0",
    ]
    return run_command(*command, "--lake", lake.location, HF_HOME=str(home), HF_HUB_OFFLINE="1")


@pytest.mark.long
def test_without_a_network_weights_come_from_the_hub_s_cache_also_to_judge_by(lake: Lake, tmp_path: Path) -> None:
    add_dataset(lake, "val", write_images(tmp_path / "images", {"ant": 2}), role="id")
    refused = extract(lake, tmp_path / "empty")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"Cannot get timm's weights of {NAME}" in refused.stderr
    assert not lake.partitions("models")

    cached = tmp_path / "home" / "hub" / f"models--timm--{NAME}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(REVISION)
    (cached / "snapshots" / REVISION).mkdir(parents=True)
    torch.manual_seed(3)
    weights = cached / "snapshots" / REVISION / "model.safetensors"
    save_file(timm.create_model(NAME).state_dict(), weights)
    found = extract(lake, tmp_path / "home")
    assert found.returncode == 0, found.stderr

    (block,) = lake.batches(model=NAME, dataset="val", columns=("logits",))
    local = LoadedModel(ModelSpec("local", NAME, weights), torch.device("cpu"))
    reader, transform = add_dataset(lake, "val", tmp_path / "images", role="id").reader, local.spec.transform()
    with reader.open("ant/000.png") as image:
        expected = local(transform(read_rgb(image))[None])[1]
    np.testing.assert_allclose(block[0][:1], expected, rtol=1e-4, atol=1e-5)
    assert lake.read("models", model=NAME).column("source")[0].as_py() == f"timm:{NAME}"

    lake.score(detector="msp", say=None, progress=None)
    command = ("judge", str(tmp_path / "images" / "ant"), "--model", NAME, "--detector", "msp", "--format", "csv")
    judged = run_command(*command, "--lake", lake.location, HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="1")
    assert judged.returncode == 0, judged.stderr
    scores = [float(row["score"]) for row in csv.DictReader(io.StringIO(judged.stdout))]
    held = lake.read("scores", benchmark="main", model=NAME, dataset="val", detector="msp")
    np.testing.assert_allclose(scores, held["score"].to_numpy(), rtol=1e-6)
