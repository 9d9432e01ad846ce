"""Fast decoding: large JPEGs at a fraction of their size, nothing else touched, and never mixed with what is decoded whole."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from extract.datasets import FileReader, add_dataset
from extract.images.decoding import read_rgb
from extract.images.loader import ImageDataset
from extract.models.recorded import recorded_spec
from featurestore import ConflictError, Lake
from featurestore.layout.recorded_network import RecordedNetwork
from tests.extract.conftest import network, read, run, save_tiny, tiny_spec

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from tests.pipeline import Commands


def smooth(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "jpeg") -> io.BytesIO:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream


@pytest.fixture
def spec(checkpoint: Path) -> ModelSpec:
    return tiny_spec(checkpoint)


@pytest.fixture
def fast(spec: ModelSpec) -> ModelSpec:
    return dataclasses.replace(spec, name="fast").stating({"decode": "fast"}, "stated")


@pytest.fixture
def large(images: Path) -> Path:
    for number, width in enumerate((150, 260, 40)):
        (images / "ant" / f"{number}.jpg").write_bytes(encoded(smooth(width, width - 4)).getvalue())
    return images


@pytest.mark.parametrize(
    ("size", "side", "left"),
    [
        ((400, 300), 80, (200, 150)),
        ((401, 299), 70, (101, 75)),
        ((400, 300), 20, (50, 38)),
        ((400, 300), 200, (400, 300)),
    ],
)
def test_a_jpeg_keeps_at_least_the_side_that_is_asked_for(
    size: tuple[int, int], side: int, left: tuple[int, int]
) -> None:
    """A half, a quarter, an eighth or all of it; it looks like what it is a part of."""
    file = encoded(smooth(*size))
    found = read_rgb(file, side)
    assert found.size == left
    small = read_rgb(file).resize(left, Image.Resampling.BOX)
    assert np.abs(np.asarray(found, float) - np.asarray(small, float)).mean() < 4


@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
def test_other_formats_are_decoded_whole(kind: str) -> None:
    file = encoded(smooth(400, 300), kind)
    np.testing.assert_array_equal(np.asarray(read_rgb(file, 50)), np.asarray(read_rgb(file)))


def test_ways_that_need_the_same_fraction_share_it(tmp_path: Path, fast: ModelSpec) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(smooth(400, 340)).getvalue())
    wider = dataclasses.replace(fast, preprocess={**fast.preprocess, "crop_pct": 0.85})
    seen: list[int] = []
    ways = {each.way: each.preparation().of_image for each in (fast, wider)}
    noting = {
        way: dataclasses.replace(of, transform=lambda image, of=of: seen.append(id(image)) or of.transform(image))
        for way, of in ways.items()
    }
    ImageDataset(FileReader(tmp_path), ["a.jpg"], noting)[0]
    assert len({of.side for of in ways.values()}) == 2
    assert (len(seen), len(set(seen))) == (2, 1)


def test_both_in_one_job_are_what_they_are_alone(
    lake: Lake, tmp_path: Path, large: Path, spec: ModelSpec, fast: ModelSpec
) -> None:
    """The fast one's pixels do not depend on who else is in the job; only large JPEGs come out differently."""
    apart = Lake(tmp_path / "apart")
    for each in (lake, apart):
        add_dataset(each, "val", large, role="id")
    run(lake, spec, fast)
    for each in (spec, fast):
        run(apart, each)
        np.testing.assert_equal(read(lake, each.name), read(apart, each.name))
    paths = lake.read("samples", dataset="val").column("path").to_pylist()
    differing = np.flatnonzero((read(lake, "tiny")[2] != read(lake, "fast")[2]).any(axis=1))
    assert [paths[row] for row in differing] == ["ant/0.jpg", "ant/1.jpg"]


def test_it_is_part_of_the_fingerprint_and_exact_is_as_if_nothing_were_said(
    val: Lake, spec: ModelSpec, fast: ModelSpec
) -> None:
    run(val, spec)
    assert run(val, spec.stating({"decode": "exact"}, "stated")).reused == 1
    with pytest.raises(ConflictError, match="another preprocessing"):
        run(val, dataclasses.replace(fast, name=spec.name))


def test_the_lake_says_it_and_builds_the_network_again_so(
    fresh: Commands, tmp_path: Path, large: Path, fast: ModelSpec
) -> None:
    fresh.ok("dataset", "add", "val", large, "--role", "id")
    file = save_tiny(tmp_path / "m.safetensors")
    told = fresh.ok("extract", "--model", file, *network(), "--dataset", "val", "--decode", "fast", "--device", "cpu")
    assert "decode fast (stated)" in told
    ((said,),) = fresh.lake.sql("select preprocessing->>'decode' from models").fetchall()
    assert said == "fast"
    (manifest,) = fresh.lake.partitions("activations")
    (row,) = fresh.lake.read("models", model="m").to_pylist()
    built, _ = recorded_spec(RecordedNetwork.of({**row, "model": "m"}, {"val": manifest.parts[0]}))
    assert built.way == fast.way
    assert "exact or fast" in fresh.refused("extract", "--model", file, *network(), "--decode", "quick")
