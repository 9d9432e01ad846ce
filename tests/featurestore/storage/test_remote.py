from __future__ import annotations

import duckdb
import pytest

from featurestore.errors import StorageError
from featurestore.storage import ObjectStorage, remote
from tests.featurestore.storage.contract import StorageContract
from tests.s3.server import environment, new_lake, use


class TestMoto(StorageContract):
    many = 30  # its server takes 6 ms for each; pages are tested on the real one

    @pytest.fixture
    def storage(self, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
        use(monkeypatch, environment(endpoint))
        return ObjectStorage(new_lake(endpoint))

    @pytest.mark.parametrize("blocking", [True, False])
    def test_a_duckdb_that_binds_while_others_wait_reads_on_one_thread(
        self, storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch, blocking: bool
    ) -> None:
        """And one that does not, on as many as it was given."""
        monkeypatch.setattr(remote, "_BLOCKING_DUCKDB", duckdb.__version__ if blocking else "none")
        with duckdb.connect(config={"threads": 3}) as connection:
            storage.register(connection)
            threads = connection.execute("select current_setting('threads')").fetchall()
        assert threads == [(1 if blocking else 3,)]

    def test_a_missing_bucket_is_no_missing_object(self, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every verb that can tell says that it is the bucket."""
        use(monkeypatch, environment(endpoint))
        nowhere = ObjectStorage("s3://no-such-bucket/lake")
        for call in (
            nowhere.exists,
            lambda: nowhere.get("a"),
            lambda: nowhere.put("a", b""),
            lambda: nowhere.create("a", b""),
            lambda: list(nowhere.list("a")),
        ):
            with pytest.raises(StorageError, match="at s3://no-such-bucket/lake: the bucket does not exist; make it,"):
                call()
