"""Where the tests of the commit protocol keep their lake: on disk, and on the real S3 server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.s3.server import real_lake, use

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["local", pytest.param("rgw", marks=pytest.mark.s3)])
def location(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A lake with nothing in it."""
    if request.param == "rgw":
        return real_lake(monkeypatch)
    use(monkeypatch, {})
    return str(tmp_path / "lake")
