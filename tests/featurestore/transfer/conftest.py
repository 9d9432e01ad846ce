"""A lake to transfer: the frozen one, which has every kind of partition but those that were added since, and these."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from benchmarks.lakes import put, put_rows
from featurestore import Lake
from featurestore.care import verify
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.transfer import EVERYTHING, Restriction, copy

if TYPE_CHECKING:
    from featurestore.storage import Storage

FROZEN = Path(__file__).parents[2] / "compat" / "lake_v1"


@pytest.fixture
def source(tmp_path: Path) -> Lake:
    """A whole lake, which the test may change."""
    shutil.copytree(FROZEN, tmp_path / "source")
    lake = Lake(tmp_path / "source")
    digest = lake.part("samples", dataset="far")[1].ingredients["digest"]
    count = lake.part("samples", dataset="far")[1].rows
    rows = [{"sample": number, "digest": f"{number:032x}"} for number in range(count)]
    put_rows(lake, "contents", {"dataset": "far"}, *rows, ingredients={"dataset_digest": digest, "contents": "c"})
    put_rows(lake, "benchmarks", {"benchmark": "main"}, {"without_overlaps": False})
    path = {"model": "vit-b16", "dataset": "far", "fit_dataset": "train"}
    put_rows(lake, "geometry", path, {"role": "ood", "rows": 1})
    return lake


def parts(storage: Storage) -> dict[str, object]:
    """All that a lake's manifests say of what it holds, by folder; nothing where none is yet."""
    return {
        manifest.folder: {tuple(part.key.items()): part for part in manifest.parts}
        for table in TABLES.values()
        for manifest in snapshot.current(storage, table)
    }


def faults(storage: Storage, *, deep: bool = True) -> list[str]:
    """What `verify` finds wrong."""
    found: list[str] = []
    verify.verify(storage, lambda fault: found.append(str(fault)), deep=deep)
    return found


def part_of(source: Lake, place: Path, restriction: Restriction) -> Lake:
    """A copy."""
    lake = Lake(place)
    copy(source.storage, lake.storage, restriction, say=lambda _: None)
    return lake


@pytest.fixture
def ours(source: Lake, tmp_path: Path) -> Lake:
    """All but one of the models."""
    return part_of(source, tmp_path / "ours", Restriction(models=["vit*"]))


@pytest.fixture
def theirs(source: Lake, tmp_path: Path) -> Lake:
    return part_of(source, tmp_path / "theirs", EVERYTHING)


def files(lake: Lake) -> dict[str, bytes]:
    """All that lies there, by key."""
    return {key: lake.storage.get(key) for key in lake.storage.names("")}


def change_row(lake: Lake, name: str, **values: Any) -> None:
    """Change what the row of a dataset says."""
    (row,) = lake.read("datasets", dataset=name).to_pylist()
    row |= values
    rows = pa.Table.from_pylist([row], TABLES["datasets"].columns)
    put(lake, "datasets", {"dataset": name}, rows, row, replacing=True)
