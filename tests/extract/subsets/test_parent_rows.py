from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from extract.datasets import add_dataset, check_unchanged, read_contents, read_dataset, read_listing
from extract.job.plan import activations_target
from extract.subsets import Choice, add_part
from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from tests.conftest import faults
from tests.extract.conftest import FULL, assert_same_rows, read, run, tiny_spec
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec


@pytest.fixture
def spec(checkpoint: Path) -> ModelSpec:
    return tiny_spec(checkpoint)


@pytest.mark.parametrize("fragment_rows", [1, 4, 6, 100])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_rows_are_those_of_the_whole_bit_by_bit(val: Lake, spec: ModelSpec, fragment_rows: int, dtype: str) -> None:
    """In fragments of its own, as an extraction cuts them, and as its own fingerprint says."""
    run(val, spec, dtype=dtype)
    add_part(val, "some", "val", Choice(where="sample % 3 <> 1 and sample <> 0"), role="id", benchmark="other")
    said: list[str] = []
    summary = run(val, spec, datasets=("some",), dtype=dtype, fragment_rows=fragment_rows, say=said.append)
    assert "some by tiny: 9 rows of val" in said
    assert (summary.extracted, summary.reused) == (0, 1)
    chosen = [n for n in range(15) if n % 3 != 1 and n != 0]
    whole, part = read(val), read(val, dataset="some")
    for ours, theirs in zip(part[1:], whole[1:], strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs[chosen])
    np.testing.assert_array_equal(part[0], np.arange(9))
    _, stored = val.part("activations", model="tiny", dataset="some")
    options = dataclasses.replace(FULL, dtype=dtype, fragment_rows=fragment_rows)
    assert stored.fingerprint == activations_target(spec, read_dataset(val, "some"), options).fingerprint
    assert [fragment.rows for fragment in stored.fragments] == [
        min(fragment_rows, 9 - first) for first in range(0, 9, fragment_rows)
    ]
    assert stored.details["rows_of"] == "val"
    assert faults(val) == []


def test_rows_are_those_of_an_extraction(val: Lake, spec: ModelSpec, images: Path, tmp_path: Path) -> None:
    """Also of an OOD dataset, which has no labels, and with accuracy and digests like it."""
    run(val, spec)
    other = Lake(tmp_path / "other")
    add_dataset(other, "val", images, role="id")
    for lake in (val, other):
        add_part(lake, "few", "val", Choice(per_class=2, seed=3), role="id", benchmark="few")
        add_part(lake, "outside", "val", Choice(["cat"]), role="ood", benchmark="new")
        run(lake, spec, datasets=("few", "outside"))
    for name in ("few", "outside"):
        assert_same_rows(read(val, dataset=name), read(other, dataset=name))
        ours, theirs = (read_contents(lake, name, read_dataset(lake, name).digest) for lake in (val, other))
        assert ours is not None
        assert theirs is not None
        assert ours.digest == theirs.digest
    accuracy = [lake.scan("accuracy", dataset="few").collect() for lake in (val, other)]
    assert accuracy[0].equals(accuracy[1])
    assert accuracy[0]["n"].to_list() == [6]


def test_a_part_waits_for_the_whole_in_one_command(val: Lake, spec: ModelSpec) -> None:
    add_part(val, "few", "val", Choice(per_class=3), role="id", benchmark="few")
    add_part(val, "fewer", "few", Choice(per_class=1), role="id", benchmark="fewer")
    said: list[str] = []
    summary = run(val, spec, datasets=("few", "fewer", "val"), say=said.append)
    assert [line for line in said if " rows of " in line] == [
        "few by tiny: 9 rows of val",
        "fewer by tiny: 3 rows of few",
    ]
    assert (summary.extracted, summary.reused, summary.samples) == (1, 2, 15)


def test_images_are_not_needed(val: Lake, spec: ModelSpec, images: Path) -> None:
    run(val, spec)
    shutil.rmtree(images)
    add_part(val, "ants", "val", Choice(["ant"]), role="id", benchmark="ants")
    assert run(val, spec, datasets=("ants",)).reused == 1


def test_images_that_could_not_be_read_are_failures_of_the_part(val: Lake, spec: ModelSpec, images: Path) -> None:
    for name in ("ant/001.png", "cat/002.png"):
        (images / name).write_bytes(b"no image, but as many bytes as before"[:0])
    add_dataset(val, "val", images, role="id", replacing=True)
    run(val, spec)
    add_part(val, "ants", "val", Choice(["ant"]), role="id", benchmark="ants")
    said: list[str] = []
    summary = run(val, spec, datasets=("ants",), say=said.append, fragment_rows=2)
    assert "ants by tiny: 4 rows of val, 1 could not be read there" in said
    assert summary.failed == 1
    assert val.read("failures", model="tiny", dataset="ants").select(["sample", "path"]).to_pylist() == [
        {"sample": 1, "path": "ant/001.png"}
    ]
    assert faults(val) == []


@pytest.mark.parametrize("reason", ["dataset", "network", "logits", "replace"])
def test_other_rows_are_not_taken(val: Lake, spec: ModelSpec, images: Path, reason: str) -> None:
    """Those of images that changed, of another precision, without logits, or where the user asks for new ones."""
    run(val, spec)
    add_part(val, "some", "val", Choice(["ant", "bee"]), role="id", benchmark="some")
    changes = {"network": {"amp": "bf16"}, "replace": {"replacing": True}}.get(reason, {})
    if reason == "logits":
        for part, role in (("fits", "fit"), ("ids", "id")):
            add_part(val, part, "val", Choice(["ant", "bee"]), role=role, benchmark=part)
        add_dataset(val, "train", images, role="fit", benchmark="train")
        run(val, spec, datasets=("train",), logits="derived")
        add_part(val, "some", "train", Choice(["ant", "bee"]), role="id", benchmark="some", replacing=True)
    if reason == "dataset":
        (images / "cat" / "000.png").unlink()
        add_dataset(val, "val", images, role="id", replacing=True)
    said: list[str] = []
    summary = run(val, spec, datasets=("some",), say=said.append, **changes)
    assert not [line for line in said if " rows of " in line]
    assert summary.extracted == 1


def test_parts_of_a_set_without_stored_logits_have_none_either(val: Lake, spec: ModelSpec, images: Path) -> None:
    add_dataset(val, "train", images, role="fit", benchmark="train")
    run(val, spec, datasets=("train",), logits="derived")
    add_part(val, "half", "train", Choice(per_class=2), role="fit", benchmark="half")
    said: list[str] = []
    run(val, spec, datasets=("half",), logits="derived", say=said.append)
    assert "half by tiny: 6 rows of train" in said
    numbers = [read_listing(val, "train").paths.index(path) for path in read_listing(val, "half").paths]
    np.testing.assert_array_equal(read(val, dataset="half")[3], read(val, dataset="train")[3][numbers])
    assert faults(val) == []


def test_what_a_killed_job_left_is_taken(val: Lake, spec: ModelSpec) -> None:
    """Its fragments have no manifest yet."""
    run(val, spec)
    add_part(val, "most", "val", Choice(where="sample > 2"), role="id", benchmark="most")
    run(val, spec, datasets=("most",), fragment_rows=4)
    before = read(val, dataset="most")
    manifest, part = val.part("activations", model="tiny", dataset="most")
    assert val.storage.folder
    (val.storage.folder / manifest.path).unlink()
    (val.storage.folder / f"{manifest.folder}/{part.fragments[1].path}").unlink()
    run(val, spec, datasets=("most",), fragment_rows=4)
    np.testing.assert_array_equal(read(val, dataset="most")[2], before[2])
    # Taken on by an extraction, too, where the whole is gone.
    (val.storage.folder / manifest.path).unlink()
    (val.storage.folder / f"{manifest.folder}/{part.fragments[1].path}").unlink()
    writing.drop(val.storage, TABLES["activations"], {"model": "tiny", "dataset": "val"}, lambda _: True)
    run(val, spec, datasets=("most",), fragment_rows=4)
    assert_same_rows(read(val, dataset="most"), before)


def test_a_part_moves_with_its_images(val: Lake, images: Path, tmp_path: Path) -> None:
    row = add_part(val, "few", "val", Choice(per_class=1), role="id", benchmark="few")
    moved = add_dataset(val, "few", images.rename(tmp_path / "new"))
    assert (moved.digest, moved.format, moved.location) == (row.digest, row.format, str(tmp_path / "new"))
    check_unchanged(moved, read_listing(val, "few"))
    write_images(tmp_path / "new", {"dog": 1})
    check_unchanged(moved, read_listing(val, "few"))
