"""Datasets that are parts of one that is renamed, removed, or called otherwise on its way into another lake."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from analysis.lineage.renamed import learned_anew
from featurestore import Lake
from featurestore.transfer import Aside, merge
from tests.conftest import faults
from tests.featurestore.edit.conftest import dangling
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands


def formats(lake: Lake) -> dict[str, str]:
    """What the rows of datasets say of their format."""
    return dict(lake.sql("select dataset, format from datasets where format != 'folder'").fetchall())


def test_a_part_follows_its_parent(commands: Commands, copied: Commands, tmp_path: Path) -> None:
    """Renamed, it is still that of which rows are taken; removed, the part stays one, of images that are read as before."""
    copied.ok("dataset", "add", "dogs", "--from", "far", "--classes", "dog", "--role", "ood", "--benchmark", "dogs")
    unit_tests = formats(commands.lake)
    other = Lake(shutil.copytree(copied.location, tmp_path / "other"))
    copied.ok("dataset", "rename", "far", "wide")
    assert formats(copied.lake) == {**unit_tests, "dogs": "folder?parent=wide&chosen=classes+dog"}
    out = copied.extract({"a": 1}, "dogs").out
    assert "dogs by a: 9 rows of wide" in out

    copied.ok("dataset", "add", "far", write_images(tmp_path / "images", {"fox": 5}, seed=8), "--role", "ood")
    merge(other.storage, copied.lake.storage, say=lambda _: None, aside=Aside("b", learned_anew))
    assert formats(copied.lake)["dogs"] == "folder?parent=wide&chosen=classes+dog"
    copied.ok("dataset", "remove", "dogs")
    merge(other.storage, copied.lake.storage, say=lambda _: None, aside=Aside("b", learned_anew))
    assert formats(copied.lake)["dogs"] == "folder?parent=far-b&chosen=classes+dog"

    assert "parts of it stay: dogs\n" in copied.ok("dataset", "remove", "far-b")
    assert formats(copied.lake)["dogs"] == "folder?chosen=classes+dog"
    assert faults(copied.lake) == dangling(copied.lake) == []
    copied.ok("dataset", "remove", "far")
    assert copied.extract({"a": 1, "b": 2}, "dogs").code == 0
    assert copied.lake.sql("select count(*) from failures").fetchall() == [(0,)]
