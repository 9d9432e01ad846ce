"""What every storage promises: one suite, which each backend's tests subclass with a `storage` fixture."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import MissingError

if TYPE_CHECKING:
    from featurestore.storage import Storage

KEYS = (
    "scores/model=vit-b@blocks.6/detector=vra@low%3D0.2,high%3D0.8/_manifest.1.json",
    "a",
    "a.b/c-d/e_f",
    "scores/model=vit-b.16/detector=mahalanobis-pp/0123456789ab-00000.parquet",
    "_manifest.12.json",
)
LARGE = np.random.default_rng(0).bytes(7_000_001)


def keys(storage: Storage, prefix: str) -> list[str]:
    return sorted(entry.key for entry in storage.list(prefix))


def parquet(rows: int, width: int = 4) -> tuple[pa.Table, memoryview]:
    values = np.random.default_rng(1).normal(size=(rows, width))
    table = pa.table({"sample": range(rows), **{f"x{column}": values[:, column] for column in range(width)}})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=max(1, rows // 3), compression="none")
    return table, memoryview(sink.getvalue()).cast("B")


class StorageContract:
    """Subclasses give `storage`: a new lake with nothing in it."""

    many = 1100
    """More than one page of an S3 listing."""

    @pytest.mark.parametrize("key", KEYS)
    @pytest.mark.parametrize("data", [b"", b"\x00\xff\n", LARGE], ids=["empty", "small", "large"])
    def test_what_is_put_is_got(self, storage: Storage, key: str, data: bytes) -> None:
        """Every byte comes back, under every kind of key that a lake uses."""
        storage.put(key, data)
        assert storage.get(key) == data
        assert (storage.size(key), keys(storage, "")) == (len(data), [key])

    def test_a_memoryview_is_as_good_as_bytes(self, storage: Storage) -> None:
        """A fragment's buffer goes to the store without a copy."""
        storage.put("put", memoryview(LARGE))
        assert storage.create("created", memoryview(LARGE))
        assert storage.get("put") == storage.get("created") == LARGE

    def test_put_replaces(self, storage: Storage) -> None:
        """The last put counts, be it shorter or longer, and leaves one object."""
        for data in (b"first", b"2", LARGE, b""):
            storage.put("a/b", data)
            assert (storage.get("a/b"), storage.size("a/b")) == (data, len(data))
        assert keys(storage, "") == ["a/b"]

    @pytest.mark.parametrize("data", [b"", b"first", LARGE], ids=["empty", "small", "large"])
    def test_create_is_exclusive(self, storage: Storage, data: bytes) -> None:
        """The second create of a key says so, and changes nothing."""
        assert storage.create("a/b", data) is True
        assert storage.create("a/b", b"second") is False
        assert storage.create("a/b", data) is False
        assert storage.get("a/b") == data
        assert keys(storage, "") == ["a/b"]

    @pytest.mark.parametrize("data", [b"", b"first", LARGE], ids=["empty", "small", "large"])
    def test_a_copy_is_an_object_of_its_own_as_young_as_the_copying(self, storage: Storage, data: bytes) -> None:
        """It stays when the first one goes or is replaced, and is not made where something is."""
        storage.put("a/b", data)
        asked = datetime.now(UTC) - timedelta(seconds=2)
        assert storage.copy("a/b", "c/d=e/f") is True
        storage.put("g", b"another")
        assert storage.copy("a/b", "g") is False
        assert storage.copy("a/b", "c/d=e/f") is False
        storage.put("a/b", b"new")
        storage.delete(["a/b"])
        assert (storage.get("c/d=e/f"), storage.get("g")) == (data, b"another")
        assert all(entry.modified >= asked for entry in storage.list("c"))
        with pytest.raises(MissingError):
            storage.copy("nothing", "h")
        assert keys(storage, "") == ["c/d=e/f", "g"]

    def test_create_respects_what_was_put(self, storage: Storage) -> None:
        """An object is there, whoever wrote it; once deleted, the key is free."""
        storage.put("a", b"put")
        assert storage.create("a", b"created") is False
        storage.delete(["a"])
        assert storage.create("a", b"created") is True
        assert storage.get("a") == b"created"

    @pytest.mark.parametrize("size", [10, 300_000])
    def test_one_of_many_creators_wins(self, storage: Storage, size: int) -> None:
        """Of 16 creates at once exactly one succeeds, and the object is the winner's, whole."""
        gate = threading.Barrier(16)

        def create(writer: int) -> bool:
            gate.wait()
            return storage.create("race/_manifest.1.json", bytes([writer]) * size)

        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(create, range(16)))
        assert sorted(won) == [False] * 15 + [True]
        assert storage.get("race/_manifest.1.json") == bytes([won.index(True)]) * size
        assert keys(storage, "") == ["race/_manifest.1.json"]

    def test_list_takes_whole_segments(self, storage: Storage) -> None:
        """`a/b` lists what is below `a/b/`, however deep, and neither `a/bc` nor `a/b` itself."""
        stored = ["a/b/1", "a/b/c/d/2", "a/b.c/3", "a/bc/4", "a=b/5", "z"]
        for key in stored:
            storage.put(key, key.encode())
        assert keys(storage, "") == sorted(stored)
        assert keys(storage, "a") == ["a/b.c/3", "a/b/1", "a/b/c/d/2", "a/bc/4"]
        assert keys(storage, "a/b") == keys(storage, "a/b/") == ["a/b/1", "a/b/c/d/2"]
        assert keys(storage, "a=b") == ["a=b/5"]
        assert [keys(storage, prefix) for prefix in ("a/b/1", "z", "nothing", "nothing/at/all")] == [[], [], [], []]

    def test_a_new_lake_lists_nothing(self, storage: Storage) -> None:
        assert (list(storage.list("")), list(storage.list("a/b")), storage.size("a")) == ([], [], None)
        storage.delete(["a/b"])

    def test_many_objects_are_all_listed(self, storage: Storage) -> None:
        wanted = [f"many/k={number:04}/x" for number in range(self.many)]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda key: storage.put(key, b"x"), wanted))
        assert keys(storage, "many") == wanted

    def test_an_entry_has_size_and_time(self, storage: Storage) -> None:
        """The time is when it was written, with its zone: garbage collection goes by it."""
        storage.put("a/b", b"12345")
        (entry,) = storage.list("a")
        assert (entry.key, entry.bytes) == ("a/b", 5)
        assert abs(datetime.now(UTC) - entry.modified) < timedelta(hours=1)

    def test_delete_takes_just_these(self, storage: Storage) -> None:
        """A missing key among them is no error."""
        for key in ("a/1", "a/2", "a/3"):
            storage.put(key, b"x")
        storage.delete(["a/1", "a/missing", "missing", "a/3"])
        assert keys(storage, "") == ["a/2"]
        assert storage.size("a/1") is None
        storage.delete([])
        assert keys(storage, "") == ["a/2"]

    def test_a_lake_exists_once_something_is_in_it(self, storage: Storage) -> None:
        """An empty folder made by hand counts too, where stores have folders."""
        assert not storage.exists()
        storage.put("a/b", b"")
        assert storage.exists()

    def test_an_input_is_read_anywhere(self, storage: Storage) -> None:
        """Random access, as any file, beyond the end too."""
        storage.put("a/b=1/large.bin", LARGE)
        with storage.open_input("a/b=1/large.bin") as file:
            assert file.size() == len(LARGE)
            assert file.read(5) == LARGE[:5]
            assert file.tell() == 5
            for start, count in ((6_999_990, 100), (0, 10), (3_000_000, 1_000_000), (len(LARGE), 1)):
                file.seek(start)
                assert file.read(count) == LARGE[start : start + count]
            file.seek(-3, io.SEEK_END)
            assert file.read() == LARGE[-3:]
            assert file.read_at(4, 100) == LARGE[100:104]

    def test_an_empty_input_is_read(self, storage: Storage) -> None:
        storage.put("empty", b"")
        with storage.open_input("empty") as file:
            assert (file.size(), file.read()) == (0, b"")

    @pytest.mark.parametrize("rows", [0, 10, 300_000])
    def test_parquet_is_read_through_it(self, storage: Storage, rows: int) -> None:
        """pyarrow reads whole files, some columns, and one row group; several readers at once."""
        table, data = parquet(rows)
        storage.put("t/k=1/f.parquet", data)
        assert pq.read_table(storage.open_input("t/k=1/f.parquet")).equals(table)
        with pq.ParquetFile(storage.open_input("t/k=1/f.parquet"), page_checksum_verification=True) as file:
            assert file.read(columns=["x2"]).equals(table.select(["x2"]))
            metadata = file.metadata
        if rows:
            with ThreadPoolExecutor(4) as pool:
                files = pool.map(lambda _: storage.open_input("t/k=1/f.parquet"), range(metadata.num_row_groups))
                read = [pq.ParquetFile(file, metadata=metadata).read_row_group(n) for n, file in enumerate(files)]
            assert pa.concat_tables(read).equals(table)

    def test_polars_reads_its_uris(self, storage: Storage) -> None:
        """With the storage's options, and nothing else set up."""
        table, data = parquet(10)
        storage.put("t/k=1/f.parquet", data)
        frame = pl.scan_parquet(
            storage.uri("t/k=1/f.parquet"), storage_options=storage.polars_options, hive_partitioning=False
        )
        assert frame.collect().equals(pl.from_arrow(table))

    def test_duckdb_reads_its_uris(self, storage: Storage) -> None:
        """Once the storage is registered with the connection."""
        table, data = parquet(10)
        storage.put("t/k=1/f.parquet", data)
        with duckdb.connect() as connection:
            storage.register(connection)
            query = "select sample, x3 from read_parquet([?], hive_partitioning = false) order by sample"
            rows = connection.execute(query, [storage.uri("t/k=1/f.parquet")]).fetchall()
        assert rows == list(zip(table["sample"].to_pylist(), table["x3"].to_pylist(), strict=True))

    @pytest.mark.parametrize("verb", ["get", "open_input"])
    def test_a_missing_object_is_one_sentence(self, storage: Storage, verb: str) -> None:
        """It names the lake and the key, whether or not there is a lake yet."""
        for _ in range(2):
            with pytest.raises(MissingError) as caught:
                getattr(storage, verb)("a/k=1/nothing.parquet")
            message = str(caught.value)
            assert "a/k=1/nothing.parquet" in message
            assert storage.location in message
            assert message.endswith(".")
            assert "\n" not in message
            storage.put("a/k=1/other", b"x")
