from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from featurestore.doctor import places
from featurestore.doctor.finding import troubles
from featurestore.storage import open_storage

if TYPE_CHECKING:
    import pytest

    from tests.conftest import Run


def test_a_disk_is_measured_and_nothing_stays(tmp_path: Path) -> None:
    """Also where the lake is not there yet: then the nearest folder above it is."""
    lake, disk = places.examine_lake(lambda: open_storage(str(tmp_path / "a" / "lake")))
    assert (lake.values["exists"], disk.values["folder"]) == (False, str(tmp_path))
    assert disk.values["written_bytes_per_second"] > 0 < disk.values["read_bytes_per_second"]
    assert troubles([lake, disk]) == []
    assert list(tmp_path.rglob("*")) == []


def test_a_full_disk_and_one_that_cannot_be_written_are_troubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_LITTLE", 0)
    assert "cannot be written" in troubles([places._disk(Path("/proc"))])[0]
    monkeypatch.setattr(places, "_LITTLE", 1 << 62)
    assert "make room" in troubles([places._disk(tmp_path)])[0]


def test_a_bucket_is_asked_and_one_that_is_away_is_a_trouble(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="examined")
    lake, bucket = places.examine_lake(lambda: open_storage("s3://examined/lake"))
    assert (lake.values["exists"], troubles([lake, bucket])) == (False, [])
    assert 0 < bucket.values["seconds"] < 10 > bucket.values["first_seconds"] > 0
    (away,) = places.examine_lake(lambda: open_storage("s3://not-there/lake"))
    assert "not-there" in troubles([away])[0]


def test_the_command_ends_with_one_if_there_is_trouble(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topics are the same ones either way; --json has them as data."""
    monkeypatch.setattr(places, "_BLOCKS", 1)
    code, out, err = run("doctor", "--lake", str(tmp_path / "lake"), "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["troubles"]) == (0, 0, [])
    assert told["findings"]["core"]["missing"] == []
    assert told["findings"]["lake"] == {"location": str(tmp_path / "lake"), "exists": False}
    assert "nothing there yet" in err
    (tmp_path / "file").touch()
    code, out, err = run("doctor", "--lake", str(tmp_path / "file"))
    assert (code, "Trouble: The lake at" in err, "No trouble" in out) == (1, True, False)
    assert [line.split("  ")[0] for line in out.splitlines()][-2:] == ["lake", "cache"]
