from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from featurestore.errors import StorageError
from featurestore.storage import LocalStorage, Overlay
from tests.featurestore.storage.contract import StorageContract, keys

if TYPE_CHECKING:
    from pathlib import Path

    from featurestore.storage import Storage


class TestOverlay(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Overlay:
        return Overlay(LocalStorage(tmp_path / "lake"))

    def test_polars_reads_its_uris(self, storage: Storage) -> None:
        """What is in memory has none."""
        storage.put("a", b"x")
        with pytest.raises(StorageError, match="has no address"):
            storage.uri("a")

    def test_duckdb_reads_its_uris(self, tmp_path: Path) -> None:
        """Those of what lies below, also under another name."""
        below = LocalStorage(tmp_path / "lake")
        below.put("a.csv", b"sample\n7\n")
        over = Overlay(below)
        over.copy("a.csv", "b.csv")
        with duckdb.connect() as connection:
            over.register(connection)
            rows = connection.execute("from read_csv(?)", [[over.uri("a.csv"), over.uri("b.csv")]]).fetchall()
        assert rows == [(7,), (7,)]


def test_the_storage_below_is_read_and_never_written(tmp_path: Path) -> None:
    below = LocalStorage(tmp_path / "lake")
    for key in ("a/1", "a/_manifest.1.json", "b/2"):
        below.put(key, key.encode())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    over = Overlay(below)
    assert over.copy("a/1", "c/3")
    over.put("a/1", b"changed")
    assert not over.create("b/2", b"lost")
    over.delete(["b/2", "nothing"])
    assert (over.get("a/1"), over.get("c/3"), over.read_range("c/3", 1, 3)) == (b"changed", b"a/1", b"/1")
    assert over.get("a/_manifest.1.json") == b"a/_manifest.1.json"
    assert (over.uri("c/3"), over.uri("a/_manifest.1.json")) == (below.uri("a/1"), below.uri("a/_manifest.1.json"))
    assert over.open_input("c/3").read() == b"a/1"
    assert keys(over, "") == ["a/1", "a/_manifest.1.json", "c/3"]
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
