"""Accuracy at once: said and stored by the job, the same as scoring would store, and doubted where there is reason to."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from extract.datasets import FormatOptions, add_dataset
from tests.extract.conftest import network, read, run, save_tiny, tiny_spec
from tests.tiny import KWARGS, write_images

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from featurestore import Lake
    from tests.pipeline import Commands

NUMBERS = [f"c{number}" for number in range(1, 13)]


def said(lake: Lake, *specs: ModelSpec, **changes: object) -> list[str]:
    lines: list[str] = []
    run(lake, *specs, say=lines.append, **changes)
    return lines


def stored(lake: Lake, dataset: str = "val", model: str = "tiny") -> tuple[int, float, float]:
    return tuple(lake.read("accuracy", model=model, dataset=dataset).to_pylist()[0].values())  # type: ignore[return-value]


def test_every_labelled_dataset_gets_it_and_no_other(lake: Lake, checkpoint: Path, images: Path) -> None:
    for name, role in (("train", "fit"), ("val", "id"), ("far", "ood")):
        add_dataset(lake, name, images, role=role, benchmark=name)
    lines = said(lake, tiny_spec(checkpoint), datasets=["train", "val", "far"])
    _, label, _, logits = read(lake)
    top1 = float(np.mean(logits.argmax(axis=1) == label))
    assert stored(lake) == stored(lake, "train") == (15, top1, 1.0)
    assert [m.key["dataset"] for m in lake.partitions("accuracy")] == ["train", "val"]
    assert f"val by tiny: top-1 {top1:.2%}, top-5 100.00% of 15 labelled samples" in lines
    assert not any("far" in line and "top-1" in line for line in lines)


def test_cache_hits_tell_it_and_an_older_lake_gets_it_from_what_is_stored(
    val: Lake, checkpoint: Path, tmp_path: Path
) -> None:
    spec = tiny_spec(checkpoint)
    run(val, spec)
    expected, before = stored(val), val.part("accuracy", model="tiny", dataset="val")[1]
    assert said(val, spec) == [f"val by tiny: in the lake already, top-1 {expected[1]:.2%}"]
    shutil.rmtree(tmp_path / "lake" / "accuracy")
    assert said(val, spec)[0].startswith(f"val by tiny: top-1 {expected[1]:.2%}")
    assert val.part("accuracy", model="tiny", dataset="val")[1].fingerprint == before.fingerprint


@pytest.mark.parametrize("logits", ["stored", "derived"])
def test_fragments_of_a_job_that_was_stopped_count_too(
    lake: Lake, checkpoint: Path, images: Path, tmp_path: Path, logits: str
) -> None:
    """What an earlier job left is read back."""
    add_dataset(lake, "val", images, role="fit")
    spec = tiny_spec(checkpoint)
    run(lake, spec, logits=logits)
    expected = stored(lake)
    for table in ("accuracy", "activations"):
        for manifest in (tmp_path / "lake" / table).rglob("_manifest*"):
            manifest.unlink()
    fragments = sorted((tmp_path / "lake" / "activations").rglob("*.parquet"))
    fragments[-1].unlink()
    run(lake, spec, logits=logits)
    assert stored(lake) == expected


def test_scoring_takes_it_as_it_is(fresh: Commands) -> None:
    """The same partition: `score` writes none, `status` asks for none, and a lake without gets an equal one."""
    fresh.add("test", "id", {"ant": 6, "bee": 6, "cat": 6})
    fresh.extract({"a": 1}, "test")
    own = fresh.lake.part("accuracy", model="a", dataset="test")[1]
    fresh.ok("score", "--detector", "msp")
    assert fresh.lake.part("accuracy", model="a", dataset="test")[0].version == 1
    shutil.rmtree(fresh.location / "accuracy")
    fresh.ok("score", "--detector", "msp")
    again = fresh.lake.part("accuracy", model="a", dataset="test")[1]
    assert (again.fingerprint, again.ingredients) == (own.fingerprint, own.ingredients)
    assert again.fragments == own.fragments


def trained(lake: Lake, folder: Path, order: list[str]) -> ModelSpec:
    """A network that knows the classes of `val` by the order given: a head fitted to its own features."""
    kwargs = {**KWARGS, "num_classes": len(order)}
    checkpoint = save_tiny(folder / "backbone.safetensors", num_classes=len(order))
    run(lake, tiny_spec(checkpoint, "backbone", model_kwargs=kwargs))
    sample, _, feature, _ = read(lake, "backbone")
    rows = lake.read("samples", dataset="val").to_pylist()
    known = np.array([order.index(rows[index]["class_name"]) for index in sample])
    inputs = np.column_stack([feature, np.ones(len(feature))]).astype(np.float64)
    solved = np.linalg.lstsq(inputs, np.eye(len(order))[known], rcond=None)[0].T
    np.savez(folder / "head.npz", weight=solved[:, :-1], bias=solved[:, -1])
    assert (np.argmax(inputs @ solved.T, axis=1) == known).mean() > 0.7
    return tiny_spec(checkpoint, "trained", model_kwargs=kwargs, head_file=folder / "head.npz")


def numbered(lake: Lake, folder: Path, order: list[str], **options: object) -> None:
    """The dataset `val` of twelve classes, that are labelled in the order given."""
    for number, name in enumerate(NUMBERS):
        colour = np.random.default_rng(number).integers(0, 256, 3)
        (folder / "numbers" / name).mkdir(parents=True, exist_ok=True)
        for image in range(6):
            pixels = np.clip(np.random.default_rng(image).normal(colour, 8, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "numbers" / name / f"{image}.png")
    (folder / "labels.csv").write_text("class_name,label\n" + "".join(f"{n},{i}\n" for i, n in enumerate(order)))
    add_dataset(
        lake, "val", folder / "numbers", role="id", options=FormatOptions(labels=folder / "labels.csv"), **options
    )  # type: ignore[arg-type]


def test_labels_in_text_order_for_a_head_in_natural_order_are_seen_and_the_remedy_works(
    lake: Lake, tmp_path: Path
) -> None:
    numbered(lake, tmp_path, sorted(NUMBERS))
    spec = trained(lake, tmp_path, NUMBERS)
    lines = said(lake, spec)
    (warning,) = [line for line in lines if line.startswith("Warning: val by trained")]
    assert "text order" in warning
    assert "--label-order natural" in warning
    assert warning in said(lake, spec), "a cache hit says it again"
    numbered(lake, tmp_path, NUMBERS, replacing=True)
    lines = said(lake, spec, replacing=True)
    assert not any(line.startswith("Warning") for line in lines)
    assert stored(lake, model="trained")[1] > 0.7


def test_a_random_network_is_said_to_be_at_chance_level(fresh: Commands, tmp_path: Path) -> None:
    """Images that have nothing to do with their classes."""
    write_images(tmp_path / "noise", {"all": 60})
    for index, image in enumerate(sorted((tmp_path / "noise" / "all").iterdir())):
        folder = tmp_path / "mixed" / "abc"[index % 3]
        folder.mkdir(parents=True, exist_ok=True)
        image.rename(folder / image.name)
    fresh.ok("dataset", "add", "val", tmp_path / "mixed", "--role", "id")
    file = save_tiny(tmp_path / "random.safetensors")
    out = fresh.ok("extract", "--model", file, *network(), "--dataset", "val")
    assert "Warning: val by random: top-1 of" in out
    assert "is at chance level" in out
    assert "another order" not in out
