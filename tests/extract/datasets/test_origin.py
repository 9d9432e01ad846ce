"""A location that says what it is needs no --format; one that does not is a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extract.datasets import add_dataset
from extract.datasets.origin import detect_format
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore import Lake

PLACES = {
    "list.csv": "csv",
    "list.TSV": "csv",
    "test.txt": "imglist",
    "names.txt": "csv",
    "shard.tar": "tar",
    "rows.parquet": "parquet",
    "ninco/NINCO_OOD_classes.csv": "ninco",
    "shards/a.tar": "tar",
    "tables/a.parquet": "parquet",
    "val/ILSVRC2012_val_00000001.JPEG": "imagenet-val",
    "images/ant/1.png": "folder",
    "mixed/a.tar": "folder",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_location_tells_its_format(tmp_path: Path, place: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a b.png -1\n" if place == "test.txt" else "path\na.png\n")
    if place.startswith("mixed"):
        (file.parent / "1.png").write_bytes(b"")
    location = file if place.count("/") == 0 else tmp_path / place.partition("/")[0]
    assert detect_format(str(location))[0] == PLACES[place]
    assert detect_format("hf:cifar10@test")[0] == "hf"
    assert detect_format(str(tmp_path / "nothing"))[0] == "folder"


def test_what_was_detected_is_said_and_kept(tmp_path: Path, lake: Lake) -> None:
    lines: list[str] = []
    write_images(tmp_path, {"ant": 1, "bee": 1})
    (tmp_path / "test.txt").write_text("ant/000.png 0\nbee/000.png 1\n")
    row = add_dataset(lake, "insects", tmp_path / "test.txt", role="id", say=lines.append)
    assert row.origin.format == "imglist"
    assert lines == [f"{tmp_path / 'test.txt'} is read as --format imglist, by its lines `path label`"]
    assert add_dataset(lake, "plain", tmp_path / "ant", role="ood", say=lines.append).format == "folder"
    assert len(lines) == 1


def test_a_folder_that_cannot_be_looked_at_is_left_to_who_lists_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    assert detect_format(str(tmp_path)) == ("folder", None)
