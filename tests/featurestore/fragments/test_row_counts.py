"""Files of other rows than their manifests say, whose checksums are right: no reader reads them."""

from __future__ import annotations

import io
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore import CorruptionError, Lake
from tests.conftest import put_in_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline import Commands

WHOLE = Path(__file__).parents[2] / "compat" / "lake_v1"
TABLE, KEY = "scores", {"model": "vit-b16", "dataset": "far", "detector": "msp"}
ROWS = 100_003
REFUSALS = (CorruptionError, duckdb.Error, pl.exceptions.ComputeError)
READERS: dict[str, Callable[[Lake], Any]] = {
    "read": lambda lake: lake.read(TABLE, benchmark="main", **KEY),
    "scan": lambda lake: lake.scan(TABLE, **KEY).collect(),
    "sql": lambda lake: lake.sql("select max(score) from scores").fetchall(),
    "connect": lambda lake: lake.connect().sql("select count(*) from scores").fetchall(),
}


def size(number: int) -> bytes:
    """How a footer writes it: zigzag, seven bits a byte."""
    number, written = 2 * number, b""
    while number > 127:
        number, written = number >> 7, written + bytes([number & 127 | 128])
    return written + bytes([number])


def claimed(content: bytes, rows: int, says: int) -> bytes:
    """A Parquet file whose footer gives another number for all rows; its groups of rows are what they are."""
    length = int.from_bytes(content[-8:-4], "little")
    start, was = len(content) - 8 - length, size(rows)
    told = bytearray(size(says))
    while len(told) < len(was):
        told[-1] |= 128
        told.append(0)
    at = content.index(b"\x16" + was, start) + 1
    return content[:at] + bytes(told) + content[at + len(was) :]


def bomb(path: Path, rows: int = ROWS, says: int | None = None) -> None:
    """Put a file of many rows, the first one again and again, in the place of a fragment, and its checksum into the manifest."""
    file = io.BytesIO()
    row = pq.read_table(path).slice(0, 1)
    pq.write_table(row.take(pa.array([0] * rows)), file, compression="zstd")
    content = claimed(file.getvalue(), rows, says) if says is not None else file.getvalue()
    put_in_place(path, content)


def bombed(folder: Path, pattern: str, *, hidden: bool = False) -> Path:
    """A lake with one file of many rows in a few kB."""
    shutil.copytree(WHOLE, folder / "lake")
    path = min((folder / "lake").rglob(pattern))
    bomb(path, says=pq.read_metadata(path).num_rows if hidden else None)
    assert path.stat().st_size < 40_000
    return folder / "lake"


@pytest.mark.parametrize("hidden", [False, True], ids=["its footer says so", "its footer hides it"])
@pytest.mark.parametrize("way", READERS)
def test_it_is_refused_by_name(tmp_path: Path, way: str, hidden: bool) -> None:
    """Whatever number the file gives for all of its rows: those of its groups are read."""
    lake = Lake(bombed(tmp_path, "model=vit-b16/dataset=far/detector=msp/*.parquet", hidden=hidden))
    with pytest.raises(REFUSALS, match=rf"detector=msp/.*it has {ROWS} rows instead of \d+"):
        READERS[way](lake)


@pytest.mark.parametrize(
    ("command", "table"),
    [
        ("ask best_detector", "metrics"), ("sql 'select max(fpr95) from metrics'", "metrics"), ("verify", "scores"),
        ("verify --deep", "activations"), ("report out.html", "metrics"), ("catalog out.duckdb", "scores"),
        ("score --detector msp", "activations"), ("score --detector msp", "heads"), ("status", "datasets"),
    ],
)  # fmt: skip
def test_commands_refuse_it(
    fresh: Commands, command: str, table: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is made of it; `verify` counts it among what is wrong."""
    monkeypatch.chdir(tmp_path)
    bombed(tmp_path, f"{table}/**/*.parquet")
    outcome = fresh(*shlex.split(command))
    assert outcome.code == 1
    assert f"it has {ROWS} rows instead of" in outcome.out + outcome.err
    assert not list(tmp_path.glob("out.*"))
