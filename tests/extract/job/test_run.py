"""The extraction job: every sample once, in order, with its own pixels, whatever happens on the way."""

from __future__ import annotations

import dataclasses
import shutil
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
from extract.models.sources import Note
from extract.models.spec import ModelSpec
from featurestore import ConflictError, NumericalError
from tests.extract.conftest import FULL, quiet, read, run, save_tiny, tiny_spec
from tests.extract.job.conftest import expected, paths
from tests.tiny import tiny_vit, write_images

if TYPE_CHECKING:
    from featurestore import Lake


def _files(lake: Lake) -> dict[str, int]:
    root = Path(lake.location)
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_rows_are_the_network_s_own_outputs_for_each_sample(val: Lake, images: Path, spec: ModelSpec) -> None:
    summary = run(val, spec)
    sample, label, feature, logits = read(val)
    expected_feature, expected_logits = expected(spec, images, paths(val))
    np.testing.assert_array_equal(sample, np.arange(15))
    np.testing.assert_array_equal(label, [0] * 5 + [1] * 6 + [2] * 4)
    np.testing.assert_allclose(feature, expected_feature, atol=1e-5)
    np.testing.assert_allclose(logits, expected_logits, atol=1e-5)
    assert (summary.extracted, summary.reused, summary.failed) == (1, 0, 0)


@pytest.mark.parametrize(
    ("given", "dtype", "tolerance"), [({}, np.float32, 1e-5), ({"dtype": "float16"}, np.float16, 5e-3)]
)
def test_the_stored_head_explains_the_stored_logits_within_the_stored_precision(
    val: Lake, spec: ModelSpec, given: dict[str, Any], dtype: type[np.floating[Any]], tolerance: float
) -> None:
    """Float32 is stored unless float16 is asked for."""
    run_job(val, [spec], ["val"], Options(device="cpu", workers=0, **given), quiet)
    _, _, feature, logits = read(val)
    head = val.read("heads", model="tiny")
    assert feature.dtype == logits.dtype == dtype
    explained = feature.astype(float) @ np.stack(head.column("weight").to_pylist()).T + head.column("bias").to_numpy()
    np.testing.assert_allclose(explained, logits, atol=tolerance)


def test_what_was_inferred_is_said_once_before_the_first_image_and_kept(val: Lake, spec: ModelSpec) -> None:
    """In the row's JSON, where it makes no model differ from another in its recipe."""
    note = Note("weights", "state_dict_ema", "timm takes it, too")
    noted = dataclasses.replace(spec, notes=(note,), recipe={"recipe": '{"layer_decay": 0.65}'})
    plain = dataclasses.replace(spec, name="plain", recipe={"recipe": '{"layer_decay": 0.65}'})
    lines: list[str] = []
    run_job(val, [noted, plain], ["val"], FULL, lines.append)
    assert lines[0] == "tiny: weights: state_dict_ema (timm takes it, too)"
    assert noted.identity == plain.identity
    held = val.sql(
        "select recipe->>'$.inferred.weights', recipe->>'$.layer_decay' from models where model = 'tiny'"
    ).fetchall()
    assert held == [("state_dict_ema (timm takes it, too)", "0.65")]
    ingredients = "select distinct parts[1] from ingredients where ingredient = 'recipe'"
    assert val.sql(ingredients).fetchall() == [('{"layer_decay":0.65}',)]
    lines.clear()
    run_job(val, [noted], ["val"], FULL, lines.append)
    assert not any("weights:" in line for line in lines)


def test_what_was_inferred_of_models_alike_is_said_once(val: Lake, spec: ModelSpec, tmp_path: Path) -> None:
    specs = []
    for name in ("one", "two", "three"):
        file = tmp_path / f"{name}.safetensors"
        shutil.copy(spec.weights_file, file)
        value = "ema" if name == "three" else "raw"
        specs.append(
            dataclasses.replace(
                spec, name=name, checkpoint=file, notes=(Note("weights", value, f"first in {file.name}"),)
            )
        )
    lines: list[str] = []
    run_job(val, specs, ["val"], FULL, lines.append)
    assert lines[:2] == [
        "2 models: weights: raw (first in its file)",
        "three: weights: ema (first in three.safetensors)",
    ]


def test_the_model_s_row_carries_its_recipe(val: Lake, spec: ModelSpec) -> None:
    run(val, spec)
    (row,) = val.sql("from models").pl().to_dicts()
    assert (row["model"], row["weight_decay"], row["dropout"]) == ("tiny", 0.1, None)
    assert (row["feature_dim"], row["num_classes"], row["input_size"]) == (24, 3, 32)
    assert row["params"] == sum(parameter.numel() for parameter in tiny_vit().parameters())


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_same_job_twice_gives_the_same_bytes(val: Lake, other: Lake, spec: ModelSpec, dtype: str) -> None:
    """Names of fragments carry the fingerprint; manifests carry times, and so differ."""
    found = []
    for lake in (val, other):
        run(lake, spec, dtype=dtype)
        files = Path(lake.location).rglob("*.parquet")
        found.append({str(path.relative_to(lake.location)): path.read_bytes() for path in files})
    assert sum(name.startswith("activations/") for name in found[0]) == 3
    assert found[0] == found[1]


def test_the_manifest_notes_device_flags_and_versions(val: Lake, spec: ModelSpec) -> None:
    run(val, spec)
    (manifest,) = val.partitions("activations")
    details = manifest.parts[0].details
    assert set(details["stages"]) == {"prepare", "read", "decode", "wait", "forward", "write"}
    assert all(seconds > 0 for seconds in details["stages"].values())
    noted = {name: details[name] for name in ("devices", "batch_size", "workers", "amp", "compile", "torch")}
    flags = {"batch_size": 4, "workers": 0, "amp": "off", "compile": False}
    assert noted == {"devices": "cpu", **flags, "torch": torch.__version__}


def test_a_second_run_is_a_cache_hit_and_writes_nothing(val: Lake, spec: ModelSpec) -> None:
    run(val, spec)
    before = _files(val)
    summary = run(val, spec)
    assert (summary.extracted, summary.reused) == (0, 1)
    assert _files(val) == before


@pytest.mark.parametrize(
    ("change", "ingredient"),
    [({"dtype": "float16"}, "dtype"), ({"fragment_rows": 4}, "fragment_rows"), ({"amp": "bf16"}, "compute")],
)
def test_other_options_are_a_conflict_that_names_the_ingredient(
    val: Lake, spec: ModelSpec, change: dict[str, Any], ingredient: str
) -> None:
    run(val, spec)
    before = _files(val)
    with pytest.raises(ConflictError, match=f"another {ingredient}"):
        run(val, spec, **change)
    assert _files(val) == before
    run(val, spec, **change, replacing=True)


def test_other_weights_under_the_same_name_are_a_conflict_and_replace_swaps_everything_of_the_model(
    val: Lake, images: Path, spec: ModelSpec, tmp_path: Path
) -> None:
    run(val, spec)
    old = read(val)
    other = dataclasses.replace(spec, checkpoint=save_tiny(tmp_path / "tiny.safetensors", seed=9))
    with pytest.raises(ConflictError, match="another weights_sha256"):
        run(val, other)
    run(val, other, replacing=True)
    new = read(val)
    assert not np.allclose(old[2], new[2])
    np.testing.assert_allclose(new[2], expected(other, images, paths(val))[0], atol=1e-5)
    assert val.read("models", model="tiny").column("weights_sha256")[0].as_py() == other.weights_sha256


def test_mended_images_leave_no_failures_behind(broken: Path, val: Lake, images: Path, spec: ModelSpec) -> None:
    assert run(val, spec).failed == 1
    broken.write_bytes((images / "ant" / "000.png").read_bytes())
    add_dataset(val, "val", images, role="id", replacing=True)
    assert run(val, spec, replacing=True).failed == 0
    assert val.sql("from failures").fetchall() == []


def test_a_dataset_of_only_broken_images_has_an_empty_partition(lake: Lake, tmp_path: Path, spec: ModelSpec) -> None:
    root = write_images(tmp_path / "broken", {"ant": 3})
    for path in root.rglob("*.png"):
        path.write_bytes(b"nothing")
    add_dataset(lake, "val", root, role="id")
    assert run(lake, spec).failed == 3
    assert list(lake.batches(model="tiny", dataset="val")) == []


@pytest.mark.parametrize(
    ("factor", "dtype", "message"), [(torch.nan, "float32", "NaN"), (1e6, "float16", "--dtype float32")]
)
def test_what_cannot_be_stored_is_an_error_and_no_row_is_stored(
    val: Lake, tmp_path: Path, factor: float, dtype: str, message: str
) -> None:
    """NaN never; features beyond float16 by the option that is named."""
    state = tiny_vit().state_dict()
    state["norm.weight"] *= factor
    save_file(state, tmp_path / "m.safetensors")
    spec = tiny_spec(tmp_path / "m.safetensors")
    with pytest.raises(NumericalError, match=message):
        run(val, spec, dtype=dtype)
    assert not val.partitions("activations")
    if dtype == "float16":
        run(val, spec)
    else:
        assert not val.partitions("models")


def test_changed_files_stop_the_job(val: Lake, images: Path, spec: ModelSpec) -> None:
    (images / "ant" / "000.png").unlink()
    with pytest.raises(ConflictError, match="1 removed"):
        run(val, spec)


def test_a_checkpoint_is_loaded_and_hashed_once_per_job(
    val: Lake, images: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_dataset(val, "more", images, role="ood", benchmark="more")
    looks: list[str] = []
    for owner, name in ((ModelSpec, "load_module"), (spec_module, "sha256_of")):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, o=original, n=name: looks.append(n) or o(*given))
    once = dataclasses.replace(spec, name="once")
    assert run(val, once, datasets=["val", "more"], workers=1).extracted == 2
    assert sorted(looks) == ["load_module", "sha256_of"]


@pytest.mark.usefixtures("broken")
@pytest.mark.long
def test_many_processes_write_what_one_does(val: Lake, other: Lake, spec: ModelSpec) -> None:
    for lake, device in ((val, "cpu"), (other, "cpu,cpu")):
        summary = run(lake, spec, fragment_rows=3, device=device)
        assert (summary.extracted, summary.failed) == (1, 1)
    np.testing.assert_equal(read(val), read(other))
    assert val.read("failures", model="tiny", dataset="val") == other.read("failures", model="tiny", dataset="val")
