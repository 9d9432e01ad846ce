"""Images on a real S3 server: listed, extracted by several processes, and said to be gone."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest

from extract.datasets import add_dataset
from featurestore import InputError, Lake
from featurestore.storage import open_storage
from tests.extract.conftest import read, run, save_tiny, tiny_spec
from tests.s3.server import real_lake
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.s3


def test_images_in_a_bucket_are_those_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lake lies in the bucket, too, and keeps no credentials."""
    place = real_lake(monkeypatch)
    lake, url = Lake(f"{place}/lake"), f"{place}/images"
    images = write_images(tmp_path / "images", {"ant": 9, "bee": 9, "cat": 9})
    bucket = open_storage(url)
    for path in sorted(images.rglob("*.png")):
        bucket.put(path.relative_to(images).as_posix(), path.read_bytes())
    bucket.put("list.csv", b"path,class\nbee/001.png,bee\nant/000.png,ant\n")
    add_dataset(lake, "here", images, role="id", benchmark="here")
    add_dataset(lake, "there", url, role="id", benchmark="there")
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        for path in sorted(images.rglob("*.png")):
            tar.add(path, path.relative_to(images))
    open_storage(place).put("tars/all.tar", (tmp_path / "all.tar").read_bytes())
    add_dataset(lake, "list", f"{url}/list.csv", role="ood")
    add_dataset(lake, "tar", f"{place}/tars/all.tar", role="id", benchmark="tar")
    spec = tiny_spec(save_tiny(tmp_path / "tiny.safetensors"))
    run(lake, spec, datasets=("here", "there", "list", "tar"), workers=2)
    for name in ("there", "tar"):
        for ours, theirs in zip(read(lake, dataset=name), read(lake, dataset="here"), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert len(read(lake, dataset="list")[0]) == 2
    assert not any("secret" in row["format"] + row["location"] for row in lake.scan("datasets").collect().to_dicts())
    with pytest.raises(InputError, match=r"There is nothing below s3://.*/nowhere"):
        add_dataset(lake, "none", f"{place}/nowhere", role="ood")
    with pytest.raises(InputError, match="the bucket does not exist; make it, or correct its name"):
        add_dataset(lake, "none", "s3://no-such-bucket-here/images", role="ood")
