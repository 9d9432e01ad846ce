"""The storage's contract on a real S3 server."""

from __future__ import annotations

import pytest

from featurestore.storage import ObjectStorage
from tests.featurestore.storage.contract import StorageContract
from tests.s3.server import real_lake

pytestmark = pytest.mark.s3


class TestRgw(StorageContract):
    @pytest.fixture
    def storage(self, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
        return ObjectStorage(real_lake(monkeypatch))
