"""An empty lake, and real writes into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings

from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.partitions.encoding import vector_array
from featurestore.partitions.writing import Target, write_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .pipeline import Commands

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    (tmp_path / "lake").mkdir()
    return Lake(tmp_path / "lake")


def write_rows(
    lake: Lake,
    table: str,
    path: Mapping[str, str],
    columns: Mapping[str, Any],
    ingredients: Mapping[str, Any] | None = None,
    *,
    replacing: bool = False,
) -> Target:
    """Write one part through the real writer; columns that are not given are null."""
    found = TABLES[table]
    rows = len(next(iter(columns.values())))
    empty = {name: [None] * rows for name in found.columns.names}
    is_vector = [isinstance(values, pa.FixedSizeListArray) for values in columns.values()]
    data = pa.table(dict(columns)) if any(is_vector) else pa.table(empty | dict(columns), found.columns)
    key = {name: path[name] for name in found.keys}
    target = Target(found, key, ingredients or {"seed": 0}, {name: path[name] for name in found.part_keys})
    write_part(lake.storage, target, data, replacing=replacing)
    return target


@pytest.fixture(scope="session")
def put() -> Callable[..., Target]:
    return write_rows


def random_activations(rows: int, width: int = 3, classes: int = 2, dtype: str = "float16", seed: int = 0) -> pa.Table:
    generator = np.random.default_rng(seed)
    samples = np.arange(rows)
    arrays = {
        "sample": pa.array(samples),
        "label": pa.array([None if i % 3 == 2 else i for i in range(rows)], pa.int64()),
        "feature": vector_array("feature", generator.normal(size=(rows, width)), dtype, samples),
        "logits": vector_array("logits", generator.normal(size=(rows, classes)), dtype, samples),
    }
    return pa.table(arrays)


@pytest.fixture(scope="session")
def activations() -> Callable[..., pa.Table]:
    return random_activations


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the lake that the whole pipeline made, filled once and never changed."""
    return tmp_path_factory.mktemp("pipeline")


@pytest.fixture
def commands(made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The command line on that lake."""
    from .pipeline import Commands, make_lake  # slow to import, and few tests ask for it

    commands = Commands(made, capsys, monkeypatch)
    if not (made / "done").exists():
        make_lake(commands)
        (made / "done").touch()
    return commands
