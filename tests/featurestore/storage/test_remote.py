from __future__ import annotations

import pytest

from featurestore.errors import StorageError
from featurestore.storage import ObjectStorage
from tests.featurestore.storage.contract import StorageContract
from tests.s3.server import environment, new_lake, use


class TestMoto(StorageContract):
    many = 30  # its server takes 6 ms for each; pages are tested on the real one

    @pytest.fixture
    def storage(self, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
        use(monkeypatch, environment(endpoint))
        return ObjectStorage(new_lake(endpoint))

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
