"""Images of activations that the lake holds: changed ones are noticed, and those that were moved away are not missed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from extract.datasets import add_dataset
from featurestore import ConflictError, InputError
from tests.extract.conftest import read, run
from tests.extract.job.conftest import packed
from tests.tiny import write_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from featurestore import Lake

CHANGES: dict[str, Callable[[Path], object]] = {
    r"1 resized \(first: bee/003.png\)": lambda file: file.write_bytes(file.read_bytes() + b"\0"),
    r"1 removed \(first: bee/003.png\)": lambda file: file.unlink(),
    r"1 added \(first: bee/new.png\)": lambda file: file.with_name("new.png").write_bytes(file.read_bytes()),
}


@pytest.mark.parametrize("said", CHANGES)
def test_images_that_are_there_and_differ_are_a_conflict_though_nothing_has_to_be_read(
    val: Lake, images: Path, spec: ModelSpec, said: str
) -> None:
    run(val, spec)
    before = read(val)
    CHANGES[said](images / "bee" / "003.png")
    with pytest.raises(ConflictError, match=rf"'val' .* changed .*{said}.*dataset add val … --replace"):
        run(val, spec)
    add_dataset(val, "far", write_images(images.with_name("far"), {"dog": 3}), role="ood")
    summary = run(val, spec, datasets=("val", "far"))
    assert (summary.extracted, summary.reused, list(summary.refused)) == (1, 1, ["val"])
    np.testing.assert_equal(read(val), before)


@pytest.mark.parametrize("mount_point", [False, True], ids=["the folder is gone", "an empty folder remains"])
def test_images_that_were_moved_away_stop_nothing_that_needs_no_look_at_them(
    val: Lake, tmp_path: Path, images: Path, spec: ModelSpec, *, mount_point: bool
) -> None:
    run(val, spec)
    before, lines = read(val), []  # type: tuple[np.ndarray, ...], list[str]
    images.rename(tmp_path / "elsewhere")
    if mount_point:
        images.mkdir()
    add_dataset(val, "far", write_images(tmp_path / "far", {"dog": 3}), role="ood")
    summary = run(val, spec, datasets=("val", "far"), say=lines.append)
    assert (summary.extracted, summary.reused) == (1, 1)
    assert f"Images of val are not where they were ({images}): its activations stay" in lines
    np.testing.assert_equal(read(val), before)

    other = dataclasses.replace(spec, name="other")
    with pytest.raises(InputError, match=r"images of dataset 'val' are not where they were .*dataset add val PATH"):
        run(val, other)
    summary = run(val, other, datasets=("val", "far"))
    assert (summary.extracted, list(summary.refused)) == (1, ["val"])
    add_dataset(val, "val", tmp_path / "elsewhere", role="id")
    lines.clear()
    assert run(val, spec, other, say=lines.append).reused == 1
    assert not any("not where they were" in line for line in lines)
    np.testing.assert_equal(read(val, "other"), before)


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_container_that_is_gone_is_said_and_stops_nothing(
    lake: Lake, tmp_path: Path, images: Path, spec: ModelSpec, kind: str
) -> None:
    file = packed(images, tmp_path, kind)
    add_dataset(lake, "val", file, role="ood")
    run(lake, spec)
    lines: list[str] = []
    file.unlink()
    assert run(lake, spec, say=lines.append).reused == 1
    (said,) = [line for line in lines if "not where they were" in line]
    assert str(file) in said
