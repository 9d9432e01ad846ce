"""The extraction job: every sample once, in order, with its own pixels, whatever happens on the way."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from extract.datasets import add_dataset
from extract.job.plan import Options
from extract.job.run import run_job
from extract.models import spec as spec_module
from extract.models.spec import ModelSpec
from featurestore import ConflictError, InputError, Lake, NumericalError
from tests.extract.job.conftest import FULL, expected, paths, read
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit, write_images

if TYPE_CHECKING:
    from collections.abc import Callable


def _files(lake: Lake) -> dict[str, int]:
    root = Path(lake.location)
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_rows_are_the_network_s_own_outputs_for_each_sample(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None]
) -> None:
    add_dataset(lake, "val", images, role="id")
    summary = run_job(lake, [spec], ["val"], FULL, quiet)
    sample, label, feature, logits = read(lake)
    paths = lake.read("samples", dataset="val").column("path").to_pylist()
    expected_feature, expected_logits = expected(spec, images, paths)
    np.testing.assert_array_equal(sample, np.arange(15))
    np.testing.assert_array_equal(label, [0] * 5 + [1] * 6 + [2] * 4)
    np.testing.assert_allclose(feature, expected_feature, atol=1e-5)
    np.testing.assert_allclose(logits, expected_logits, atol=1e-5)
    assert (summary.extracted, summary.reused, summary.failed) == (1, 0, 0)


@pytest.mark.parametrize(
    ("options", "dtype", "tolerance"),
    [
        (Options(device="cpu", workers=0), np.float32, 1e-5),
        (Options("cpu", workers=0, dtype="float16"), np.float16, 5e-3),
    ],
)
def test_the_stored_head_explains_the_stored_logits_within_the_stored_precision(
    lake: Lake,
    images: Path,
    spec: ModelSpec,
    quiet: Callable[[str], None],
    options: Options,
    dtype: type[np.floating[Any]],
    tolerance: float,
) -> None:
    """Float32 is stored unless float16 is asked for."""
    add_dataset(lake, "val", images, role="id")
    run_job(lake, [spec], ["val"], options, quiet)
    _, _, feature, logits = read(lake)
    head = lake.read("heads", model="tiny")
    weight = np.stack(head.column("weight").to_pylist())
    assert feature.dtype == logits.dtype == dtype
    explained = feature.astype(float) @ weight.T + head.column("bias").to_numpy()
    np.testing.assert_allclose(explained, logits, atol=tolerance)


def test_the_model_s_row_carries_its_recipe(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None]
) -> None:
    add_dataset(lake, "val", images, role="id")
    run_job(lake, [spec], ["val"], FULL, quiet)
    (row,) = lake.sql("from models").pl().to_dicts()
    assert (row["model"], row["weight_decay"], row["dropout"]) == ("tiny", 0.1, None)
    assert (row["feature_dim"], row["num_classes"], row["input_size"]) == (24, 3, 32)
    assert row["params"] == sum(parameter.numel() for parameter in tiny_vit().parameters())


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_same_job_twice_gives_the_same_bytes(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None], tmp_path: Path, dtype: str
) -> None:
    """Names of fragments carry the fingerprint; manifests carry times, and so differ."""
    (images / "ant" / "001.png").write_bytes(b"")
    other = Lake(tmp_path / "other")
    for where in (lake, other):
        add_dataset(where, "val", images, role="id")
        run_job(where, [spec], ["val"], dataclasses.replace(FULL, dtype=dtype), quiet)
    ours, theirs = (
        {str(path.relative_to(where.location)): path.read_bytes() for path in Path(where.location).rglob("*.parquet")}
        for where in (lake, other)
    )
    assert sum(name.startswith("activations/") for name in ours) == 3
    assert ours == theirs


def test_the_manifest_notes_device_flags_and_versions(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None]
) -> None:
    add_dataset(lake, "val", images, role="id")
    run_job(lake, [spec], ["val"], FULL, quiet)
    (manifest,) = lake.partitions("activations")
    details = manifest.parts[0].details
    assert set(details["stages"]) == {"prepare", "read", "decode", "wait", "forward", "write"}
    assert all(seconds > 0 for seconds in details["stages"].values())
    noted = {name: details[name] for name in ("devices", "batch_size", "workers", "amp", "compile", "torch")}
    flags = {"batch_size": 4, "workers": 0, "amp": "off", "compile": False}
    assert noted == {"devices": "cpu", **flags, "torch": torch.__version__}


def test_a_second_run_is_a_cache_hit_and_writes_nothing(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None]
) -> None:
    add_dataset(lake, "val", images, role="id")
    run_job(lake, [spec], ["val"], FULL, quiet)
    before = _files(lake)
    summary = run_job(lake, [spec], ["val"], FULL, quiet)
    assert (summary.extracted, summary.reused) == (0, 1)
    assert _files(lake) == before


@pytest.mark.parametrize(
    ("change", "ingredient"),
    [({"dtype": "float16"}, "dtype"), ({"fragment_rows": 4}, "fragment_rows"), ({"amp": "bf16"}, "compute")],
)
def test_other_options_are_a_conflict_that_names_the_ingredient(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None], change: dict[str, Any], ingredient: str
) -> None:
    add_dataset(lake, "val", images, role="id")
    run_job(lake, [spec], ["val"], FULL, quiet)
    before = _files(lake)
    with pytest.raises(ConflictError, match=f"another {ingredient}"):
        run_job(lake, [spec], ["val"], dataclasses.replace(FULL, **change), quiet)
    assert _files(lake) == before
    run_job(lake, [spec], ["val"], dataclasses.replace(FULL, **change, replacing=True), quiet)


def test_other_weights_under_the_same_name_are_a_conflict_and_replace_swaps_everything_of_the_model(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None], tmp_path: Path
) -> None:
    add_dataset(lake, "val", images, role="id")
    run_job(lake, [spec], ["val"], FULL, quiet)
    old = read(lake)
    save_file(tiny_vit(seed=9).state_dict(), tmp_path / "tiny.safetensors")
    other = dataclasses.replace(spec, checkpoint=tmp_path / "tiny.safetensors")
    with pytest.raises(ConflictError, match="another weights_sha256"):
        run_job(lake, [other], ["val"], FULL, quiet)
    run_job(lake, [other], ["val"], dataclasses.replace(FULL, replacing=True), quiet)
    new = read(lake)
    assert not np.allclose(old[2], new[2])
    np.testing.assert_allclose(new[2], expected(other, images, paths(lake))[0], atol=1e-5)
    assert lake.read("models", model="tiny").column("weights_sha256")[0].as_py() == other.weights_sha256


def test_mended_images_leave_no_failures_behind(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None]
) -> None:
    broken = images / "ant" / "000.png"
    good = broken.read_bytes()
    broken.write_bytes(b"")
    add_dataset(lake, "val", images, role="id")
    run_job(lake, [spec], ["val"], FULL, quiet)
    broken.write_bytes(good)
    add_dataset(lake, "val", images, role="id", replacing=True)
    summary = run_job(lake, [spec], ["val"], dataclasses.replace(FULL, replacing=True), quiet)
    assert summary.failed == 0
    assert lake.sql("from failures").fetchall() == []


def test_a_dataset_of_only_broken_images_has_an_empty_partition(
    lake: Lake, tmp_path: Path, spec: ModelSpec, quiet: Callable[[str], None]
) -> None:
    root = write_images(tmp_path / "broken", {"ant": 3})
    for path in root.rglob("*.png"):
        path.write_bytes(b"nothing")
    add_dataset(lake, "val", root, role="id")
    assert run_job(lake, [spec], ["val"], FULL, quiet).failed == 3
    assert list(lake.batches(model="tiny", dataset="val")) == []


def test_nan_weights_are_an_error_and_nothing_is_stored(
    lake: Lake, images: Path, quiet: Callable[[str], None], tmp_path: Path
) -> None:
    state = tiny_vit().state_dict()
    state["norm.weight"][0] = torch.nan
    save_file(state, tmp_path / "nan.safetensors")
    add_dataset(lake, "val", images, role="id")
    with pytest.raises(NumericalError, match="NaN"):
        run_job(lake, [ModelSpec("nan", ARCHITECTURE, tmp_path / "nan.safetensors", KWARGS)], ["val"], FULL, quiet)
    assert not lake.partitions("activations")
    assert not lake.partitions("models")


def test_features_that_float16_cannot_hold_name_the_option(
    lake: Lake, images: Path, quiet: Callable[[str], None], tmp_path: Path
) -> None:
    state = tiny_vit().state_dict()
    state["norm.weight"] *= 1e6
    save_file(state, tmp_path / "huge.safetensors")
    spec = ModelSpec("huge", ARCHITECTURE, tmp_path / "huge.safetensors", KWARGS)
    add_dataset(lake, "val", images, role="id")
    with pytest.raises(NumericalError, match="--dtype float32"):
        run_job(lake, [spec], ["val"], dataclasses.replace(FULL, dtype="float16"), quiet)
    assert not lake.partitions("activations")
    run_job(lake, [spec], ["val"], FULL, quiet)


def test_labels_beyond_the_head_and_repeated_names_are_refused(
    lake: Lake, tmp_path: Path, spec: ModelSpec, quiet: Callable[[str], None]
) -> None:
    add_dataset(lake, "many", write_images(tmp_path / "many", {f"c{i}": 1 for i in range(4)}), role="id")
    with pytest.raises(InputError, match="label 3, but the head of tiny has 3 classes"):
        run_job(lake, [spec], ["many"], FULL, quiet)
    with pytest.raises(InputError, match="Two models are called 'tiny'"):
        run_job(lake, [spec, spec], ["many"], FULL, quiet)
    assert not lake.partitions("activations")


def test_changed_files_stop_the_job(lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None]) -> None:
    add_dataset(lake, "val", images, role="id")
    (images / "ant" / "000.png").unlink()
    with pytest.raises(ConflictError, match="1 removed"):
        run_job(lake, [spec], ["val"], FULL, quiet)


def test_a_checkpoint_is_loaded_and_hashed_once_per_job(  # fixtures
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("val", "more"):
        add_dataset(lake, name, images, role="ood")
    looks: list[str] = []
    for owner, name in ((ModelSpec, "load_module"), (spec_module, "sha256_of")):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, o=original, n=name: looks.append(n) or o(*given))
    once = dataclasses.replace(spec, name="once")
    assert run_job(lake, [once], ["val", "more"], dataclasses.replace(FULL, workers=1), quiet).extracted == 2
    assert sorted(looks) == ["load_module", "sha256_of"]


def test_many_processes_write_what_one_does(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None], tmp_path: Path
) -> None:
    (images / "ant" / "001.png").write_bytes(b"")
    other = Lake(tmp_path / "other")
    for where, device in ((lake, "cpu"), (other, "cpu,cpu")):
        add_dataset(where, "val", images, role="id")
        summary = run_job(where, [spec], ["val"], dataclasses.replace(FULL, fragment_rows=3, device=device), quiet)
        assert (summary.extracted, summary.failed) == (1, 1)
    for ours, theirs in zip(read(lake), read(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert lake.read("failures", model="tiny", dataset="val") == other.read("failures", model="tiny", dataset="val")
