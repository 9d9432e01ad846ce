"""Real ImageNet weights, under names that are not timm's, see on real photographs what is to be seen there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from timm.data import ImageNetInfo

from tests.extract.conftest import ROOT

if TYPE_CHECKING:
    from tests.pipeline import Commands

MAP = ROOT / "docs" / "key-maps" / "efficientnet-lite0.csv"
SEEN = {
    "chelsea": {"tiger cat", "tabby", "Egyptian cat"},
    "china": {"palace"},
    "coffee": {"espresso"},
    "flower": {"daisy"},
    "rocket": {"missile", "projectile", "space shuttle"},
}
"""The classes of which one must be the first."""


@pytest.fixture
def weights() -> Path:
    if "REAL_WEIGHTS" not in os.environ:
        pytest.skip("`make test-real` installs the weights")
    (file,) = Path(os.environ["REAL_WEIGHTS"]).resolve().rglob("efficientnet-lite0-*.pth")
    return file


def _write_photographs(folder: Path) -> None:
    from skimage import data  # of the dev extra, as scikit-learn is
    from sklearn.datasets import load_sample_image

    folder.mkdir()
    for name in SEEN:
        pixels = load_sample_image(f"{name}.jpg") if name in {"china", "flower"} else getattr(data, name)()
        Image.fromarray(pixels).save(folder / f"{name}.png")


@pytest.mark.real
def test_a_real_network_sees_what_is_to_be_seen(weights: Path, fresh: Commands, tmp_path: Path) -> None:
    _write_photographs(tmp_path / "photographs")
    fresh.ok("dataset", "add", "photographs", tmp_path / "photographs", "--role", "ood")
    model = ("--model", weights, "--name", "lite0", "--architecture", "tf_efficientnet_lite0")
    assert "names: 296 of 296 renamed" in fresh.ok(
        "extract", *model, "--key-map", MAP, "--dataset", "photographs", "--device", "cpu", "--workers", 0
    )
    (block,) = fresh.lake.batches(model="lite0", dataset="photographs", columns=("sample", "logits"))
    paths = [row[0] for row in fresh.lake.sql("select path from samples order by sample").fetchall()]
    names = ImageNetInfo()
    first = {
        Path(path).stem: names.index_to_description(int(np.argmax(logits))).partition(",")[0]
        for path, logits in zip(paths, block[1], strict=True)
    }
    assert first.keys() == SEEN.keys()
    assert {name: seen for name, seen in first.items() if seen not in SEEN[name]} == {}


@pytest.mark.real
def test_without_the_map_it_is_refused(weights: Path, fresh: Commands, tmp_path: Path) -> None:
    _write_photographs(tmp_path / "photographs")
    fresh.ok("dataset", "add", "photographs", tmp_path / "photographs", "--role", "ood")
    said = fresh.refused(
        "extract", "--model", weights, "--architecture", "tf_efficientnet_lite0", "--dataset", "photographs"
    )
    assert "is not a checkpoint of tf_efficientnet_lite0" in said
    assert "conv_stem.weight" in said
