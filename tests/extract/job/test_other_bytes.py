"""Extraction and the images' bytes: who reads them hashes them, and other bytes are a conflict before anything is committed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from extract.datasets import add_dataset
from extract.models.network import LoadedModel
from featurestore import ConflictError
from tests.extract.conftest import assert_same_rows, read, run
from tests.extract.job.conftest import interrupted_at, paths
from tests.long import shortened

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from featurestore import Lake


def digests(lake: Lake) -> list[str | None]:
    return lake.read("contents", dataset="val").column("digest").to_pylist()  # type: ignore[no-any-return]


def wanted(images: Path, lake: Lake) -> list[str]:
    """The obvious way."""
    return [hashlib.blake2b((images / path).read_bytes(), digest_size=16).hexdigest() for path in paths(lake)]


def overwrite(file: Path, *, hidden: bool = False) -> None:
    """Other bytes of a PNG, as many; its last byte is of no matter to decoders. Hidden: its time is an old one."""
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    moment = time.time_ns() - (10**15 if hidden else 0)
    os.utime(file, ns=(moment, moment))


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("changes", shortened([{"workers": 1}, {}, {"device": "cpu,cpu", "fragment_rows": 3}]), ids=str)
def test_the_first_extraction_writes_a_digest_per_sample(
    val: Lake, images: Path, spec: ModelSpec, changes: dict[str, Any]
) -> None:
    """Also of an image that cannot be decoded."""
    run(val, spec, **changes)
    assert digests(val) == wanted(images, val)


def test_a_sample_without_bytes_has_no_digest(lake: Lake, images: Path, tmp_path: Path, spec: ModelSpec) -> None:
    rows = [{"bytes": (images / "ant" / "000.png").read_bytes()}, {"bytes": None}]
    pq.write_table(pa.table({"image": rows, "label": [0, 1]}), tmp_path / "val.parquet")
    add_dataset(lake, "val", tmp_path / "val.parquet", role="ood")
    assert run(lake, spec).failed == 1
    there, missing = digests(lake)
    assert (there is None, missing) == (False, None)


def test_what_a_killed_job_left_is_read_once_more_for_its_digests(
    val: Lake, images: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = interrupted_at(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        run(val, spec)
    assert not val.partitions("contents")
    first = len(sizes)
    run(val, spec)
    assert len(sizes) - first < 4
    assert digests(val) == wanted(images, val)


@pytest.mark.parametrize(
    ("hidden", "device"),
    shortened([(True, "cpu"), (False, "cpu"), (True, "cpu,cpu")]),
    ids=["by its bytes", "by its time", "by its bytes, on two devices"],
)
def test_another_model_on_other_bytes_is_a_conflict_and_nothing_is_committed(
    val: Lake, images: Path, spec: ModelSpec, *, hidden: bool, device: str
) -> None:
    run(val, spec)
    overwrite(images / "bee" / "003.png", hidden=hidden)
    other = dataclasses.replace(spec, name="other")
    with pytest.raises(ConflictError, match=r"bee/003\.png.*dataset add val … --replace.*extract … --replace"):
        run(val, other, device=device, fragment_rows=3)
    assert not val.partitions("activations", model="other")
    overwrite(images / "bee" / "003.png", hidden=hidden)  # the old bytes again: no fragment of the others is taken
    run(val, other, fragment_rows=3)
    assert_same_rows(read(val), read(val, "other"))


def test_a_hit_notices_them_too_and_the_remedy_works(val: Lake, images: Path, spec: ModelSpec) -> None:
    run(val, spec)
    overwrite(images / "bee" / "003.png")
    with pytest.raises(ConflictError, match=r"bee/003\.png"):
        run(val, spec)
    add_dataset(val, "val", images, role="id", replacing=True)
    with pytest.raises(ConflictError, match="dataset_digest"):
        run(val, spec)
    assert run(val, spec, replacing=True).extracted == 1
    assert run(val, spec).reused == 1
    assert digests(val) == wanted(images, val)


def test_replace_always_extracts_and_says_that_all_is_equal(val: Lake, spec: ModelSpec) -> None:
    run(val, spec)
    before, lines = read(val), []  # type: tuple[np.ndarray, ...], list[str]
    summary = run(val, spec, replacing=True, say=lines.append)
    assert (summary.extracted, summary.reused) == (1, 0)
    assert "tiny on val: made again, equal to the byte" in lines
    np.testing.assert_equal(read(val), before)


def test_what_is_made_again_and_differs_is_said_and_does_not_count(
    val: Lake, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(val, spec)
    before, lines, forward = read(val), [], LoadedModel.launch  # type: tuple[np.ndarray, ...], list[str], Any
    monkeypatch.setattr(LoadedModel, "launch", lambda self, batch: forward(self, batch * 1.01))
    run(val, spec, replacing=True, say=lines.append)
    (said,) = [line for line in lines if "made again" in line]
    assert "3 of its fragments have other bytes" in said
    assert "activations/model=tiny/dataset=val" in said
    np.testing.assert_equal(read(val), before)
