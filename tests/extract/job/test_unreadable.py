"""Images whose place is away for a moment, or for good: never a property of the images, never a silent failure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from extract.datasets import FileReader, add_dataset
from extract.images import loader
from featurestore.errors import UnreadableError
from tests.extract.conftest import assert_same_rows, network, read, run, save_tiny
from tests.extract.images.test_loader import to_tensor
from tests.extract.job.conftest import leave_at_the_next_pass, leaving, packed
from tests.long import shortened

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from featurestore import Lake
    from tests.pipeline import Commands


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what stays away."""
    monkeypatch.setattr(loader, "_PAUSES", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("changes", shortened([{"workers": 2}, {}, {"device": "cpu,cpu", "fragment_rows": 3}]), ids=str)
def test_what_comes_back_in_a_second_is_waited_for(
    val: Lake, other: Lake, images: Path, spec: ModelSpec, changes: dict[str, Any]
) -> None:
    run(other, spec)
    summary = run(val, spec, bars=leaving(images, back_after=1.0), **changes)
    assert (summary.extracted, summary.failed) == (1, 0)
    assert_same_rows(read(val), read(other))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("workers", [0, 2])
def test_what_stays_away_ends_the_job_which_goes_on_where_it_was(
    val: Lake, other: Lake, images: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """The classes of the first fragment are there, those of the others are not."""
    run(other, spec)
    class_away = leaving(images / "cat")
    with pytest.raises(
        UnreadableError, match=r"^4 of the 15 images .* 'val' .*\(cat/000.png, cat/001.png, cat/002.png, …: FileNotF"
    ):
        run(val, spec, workers=workers, bars=class_away)
    assert not val.partitions("activations")
    assert not val.partitions("failures")
    (images / "cat-away").rename(images / "cat")
    asked = []
    original = loader.ImageDataset.__getitems__
    monkeypatch.setattr(
        loader.ImageDataset, "__getitems__", lambda self, samples: asked.extend(samples) or original(self, samples)
    )
    assert run(val, spec).failed == 0
    assert asked == list(range(6, 15))  # the fragment before is not read again
    np.testing.assert_equal(read(val), read(other))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_container_that_goes_away_ends_the_job(
    lake: Lake, tmp_path: Path, images: Path, spec: ModelSpec, kind: str
) -> None:
    file = packed(images, tmp_path, kind)
    add_dataset(lake, "val", file, role="ood")
    with pytest.raises(UnreadableError, match=r"^15 of the 15 images"):
        run(lake, spec, bars=leaving(file), fragment_rows=100)
    assert not lake.partitions("activations")
    file.with_name(f"{file.name}-away").rename(file)
    assert run(lake, spec, fragment_rows=100).failed == 0


@pytest.mark.long
def test_several_devices_end_with_one_sentence(val: Lake, images: Path, spec: ModelSpec) -> None:
    with pytest.raises(UnreadableError, match=r"of the \d+ images"):
        run(val, spec, device="cpu,cpu", fragment_rows=3, bars=leaving(images))
    images.with_name("images-away").rename(images)
    assert run(val, spec, fragment_rows=3).failed == 0


@pytest.mark.usefixtures("at_once")
def test_broken_bytes_are_failures_beside_images_that_are_away(
    broken: Path, val: Lake, images: Path, spec: ModelSpec
) -> None:
    """The option records both; without it, only what cannot be reached ends the job."""
    with pytest.raises(UnreadableError, match=r"^4 of the 15 images"):
        run(val, spec, bars=leaving(images / "cat"))
    (images / "cat-away").rename(images / "cat")
    summary = run(val, spec, bars=leaving(images / "cat"), allow_unreadable=True)
    assert (summary.extracted, summary.failed) == (1, 5)
    rows = val.read("failures", model="tiny", dataset="val").to_pylist()
    assert rows[0] == {
        "sample": 1,
        "path": f"ant/{broken.name}",
        "error": "UnidentifiedImageError: the file is empty",
    }
    assert {row["error"] for row in rows[1:]} == {"FileNotFoundError: No such file or directory"}


@pytest.mark.usefixtures("at_once")
def test_the_command_ends_with_one_sentence_and_the_option_goes_on(
    fresh: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.add("val", "id", {"ant": 2, "bee": 2, "cat": 2})
    command = ("extract", "--model", save_tiny(tmp_path / "m.safetensors"), *network(), "--dataset", "val")
    place = fresh.folder / "val" / "bee"
    with monkeypatch.context() as patch:
        leave_at_the_next_pass(patch, place)
        said = fresh.refused(*command)
    assert "2 of the 6 images" in said
    assert "Nothing is lost" in said
    place.with_name("bee-away").rename(place)
    with monkeypatch.context() as patch:
        leave_at_the_next_pass(patch, place)
        outcome = fresh(*command, "--allow-unreadable")
    assert (outcome.code, "2 samples could not be read" in outcome.err) == (3, True)


def test_patience_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays away is not waited for with each batch anew."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    dataset = loader.ImageDataset(FileReader(tmp_path), ["gone.png"] * 640, {"": to_tensor})
    for start in range(0, 640, 10):
        assert all(item.unreachable for item in dataset.__getitems__(range(start, start + 10)))
    assert 50 < sum(slept) <= 60
