"""Logits that are not stored: whoever reads them in blocks gets what the head says of the stored features."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from extract.datasets import add_dataset
from featurestore import ConflictError, Lake, MissingError, NumericalError
from featurestore.care.row_checks import head_tolerance
from featurestore.care.verify import verify
from tests.extract.conftest import FULL, run, save_tiny, tiny_spec

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from tests.pipeline import Commands

COLUMNS = ("logits", "sample", "feature", "label")


@pytest.fixture(params=[False, True], ids=["raw", "unit length"])
def spec(request: pytest.FixtureRequest, checkpoint: Path, tmp_path: Path) -> ModelSpec:
    """A model whose head is fed the feature as it is, and one whose head is fed it at unit length."""
    own = tiny_spec(checkpoint)
    if not request.param:
        return own
    head = {"weight": np.random.default_rng(0).normal(size=(3, 24)).astype(np.float32), "normalize": True}
    np.savez(tmp_path / "head.npz", **head)
    return dataclasses.replace(own, head_file=tmp_path / "head.npz")


def filled(lake: Lake, spec: ModelSpec, images: Path, **changes: Any) -> Lake:
    for name, role in (("train", "fit"), ("far", "ood")):
        add_dataset(lake, name, images, role=role, benchmark=name)
    run(lake, spec, datasets=["train", "far"], **{"logits": "derived", **changes})
    return lake


def read_blocks(lake: Lake, dataset: str, how: str = "batches") -> list[np.ndarray]:
    of: dict[str, Any] = {"model": "tiny", "dataset": dataset, "columns": COLUMNS}
    blocks = lake.batches(**of, batch_rows=2) if how == "batches" else (piece() for piece in lake.pieces(**of))
    return [np.concatenate(column) for column in zip(*blocks, strict=True)]


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("how", ["batches", "pieces"])
def test_blocks_hold_the_logits_that_would_have_been_stored(
    tmp_path: Path, spec: ModelSpec, images: Path, dtype: str, how: str
) -> None:
    """Within what the rounding of the features explains; all else is the same to the last bit."""
    derived = filled(Lake(tmp_path / "derived"), spec, images, dtype=dtype)
    stored = filled(Lake(tmp_path / "stored"), spec, images, dtype=dtype, logits="stored")
    (logits, *ours), (expected, *theirs) = read_blocks(derived, "train", how), read_blocks(stored, "train", how)
    for column, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(column, other)
    assert logits.dtype == np.float32
    head = stored.read("heads", model="tiny")
    weight, bias = (np.array(head.column(name).to_pylist()) for name in ("weight", "bias"))
    tolerance = head_tolerance(ours[1], expected, weight, bias, normalize=spec.normalizes)
    assert (np.abs(logits - expected) <= tolerance).all()
    np.testing.assert_array_equal(read_blocks(derived, "far", how)[0], read_blocks(stored, "far", how)[0])
    alone = [block for (block,) in derived.batches(model="tiny", dataset="train", columns=("logits",))]
    np.testing.assert_allclose(np.concatenate(alone), logits, rtol=1e-5, atol=1e-6)


def test_only_fit_datasets_lack_them_and_sql_and_polars_find_null(lake: Lake, checkpoint: Path, images: Path) -> None:
    filled(lake, tiny_spec(checkpoint), images)
    counts = "select dataset, count(logits), count(feature) from activations group by dataset order by dataset"
    assert lake.sql(counts).fetchall() == [("far", 15, 15), ("train", 0, 15)]
    frame = lake.scan("activations").group_by("dataset").agg(pl.col("logits").count(), pl.col("feature").count())
    assert frame.sort("dataset").collect().rows() == [("far", 15, 15), ("train", 0, 15)]
    alone = lake.scan("activations", model="tiny", dataset="train").collect()
    assert (alone["logits"].null_count(), alone["feature"].dtype) == (15, pl.Array(pl.Float32, 24))
    assert verify(lake.storage, lambda fault: pytest.fail(str(fault)), deep=True).faults == 0


def test_stored_and_derived_are_not_mixed_in_silence(lake: Lake, checkpoint: Path, images: Path) -> None:
    spec = tiny_spec(checkpoint)
    filled(lake, spec, images, logits="stored")
    with pytest.raises(ConflictError, match="another logits"):
        run(lake, spec, datasets=["train"], logits="derived")
    assert run(lake, spec, datasets=["far"], logits="derived").reused == 1
    with pytest.raises(MissingError, match="did you mean 'derived'"):
        dataclasses.replace(FULL, logits="derive")


def test_a_head_of_other_weights_is_never_used(lake: Lake, checkpoint: Path, images: Path, tmp_path: Path) -> None:
    spec = tiny_spec(checkpoint)
    filled(lake, spec, images)
    other = dataclasses.replace(spec, checkpoint=save_tiny(tmp_path / "tiny.safetensors", seed=9))
    run(lake, other, datasets=["far"], logits="derived", replacing=True)
    with pytest.raises(ConflictError, match="the head of other weights"):
        read_blocks(lake, "train")
    assert len(next(lake.batches(model="tiny", dataset="train", columns=("feature",)))[0])


def test_logits_that_float16_cannot_hold_can_be_derived(
    lake: Lake, checkpoint: Path, images: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "head.npz", weight=np.full((3, 24), 1e4, np.float32), bias=np.full(3, 1e6, np.float32))
    spec = tiny_spec(checkpoint, head_file=tmp_path / "head.npz")
    add_dataset(lake, "train", images, role="fit")
    with pytest.raises(NumericalError, match="too large for float16"):
        run(lake, spec, datasets=["train"], dtype="float16", logits="stored")
    run(lake, spec, datasets=["train"], dtype="float16", logits="derived")
    logits, _, feature, _ = read_blocks(lake, "train")
    np.testing.assert_allclose(logits[:, 0], 1e4 * feature.astype(np.float64).sum(axis=1) + 1e6, rtol=1e-3)


def test_detectors_score_alike_from_derived_logits(commands: Commands, fresh: Commands) -> None:
    """All stages by command: fit on derived logits, then score."""
    for name, role in {"train": "fit", "test": "id", "far": "ood"}.items():
        fresh.ok("dataset", "add", name, commands.folder / name, "--role", role)
    names = [text for name in ("train", "test", "far") for text in ("--dataset", name)]
    fresh.ok("extract", "--pool", commands.folder / "models" / "pool.csv", *names, "--logits", "derived")
    fresh.ok("score")
    frames = [
        of.lake.scan("scores", dataset="far").sort("model", "detector", "sample").collect() for of in (fresh, commands)
    ]
    assert frames[0].select("model", "detector", "sample").equals(frames[1].select("model", "detector", "sample"))
    by_detector = (
        frames[0]
        .with_columns(other=frames[1]["score"])
        .group_by("detector")
        .agg(off=(pl.col("score") - pl.col("other")).abs().max(), size=pl.col("other").abs().max())
    )
    smooth = by_detector.filter(pl.col("detector").is_in(["msp", "energy", "vim", "mahalanobis", "temp-scaling"]))
    assert len(smooth) == 5
    assert (smooth["off"] <= 0.01 * smooth["size"]).all()
