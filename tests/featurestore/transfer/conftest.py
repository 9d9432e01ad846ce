"""Lakes to transfer, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.transfer import EVERYTHING, Restriction, copy
from tests.featurestore.transfer.verb_jobs import whole_lake

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore.storage import Storage


@pytest.fixture
def source(tmp_path: Path) -> Lake:
    """A whole lake, which the test may change."""
    return whole_lake(tmp_path / "source")


def parts(storage: Storage) -> dict[str, object]:
    """All that a lake's manifests say of what it holds, by folder; nothing where none is yet."""
    return {
        manifest.folder: {tuple(part.key.items()): part for part in manifest.parts}
        for table in TABLES.values()
        for manifest in snapshot.current(storage, table)
    }


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
