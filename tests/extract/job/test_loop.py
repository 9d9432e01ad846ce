"""The loop: fragments hold each sample's own rows, however the work is cut, and whatever stops it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from extract.datasets import add_dataset
from extract.job.run import run_job
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from featurestore import Lake
from tests.extract.conftest import assert_same_rows
from tests.extract.job.conftest import FULL, expected, paths, read
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch


@pytest.mark.parametrize("change", [{"batch_size": 1}, {"batch_size": 64}, {"workers": 2}])
def test_batch_size_and_workers_change_nothing_beyond_rounding(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None], tmp_path: Path, change: dict[str, Any]
) -> None:
    other = Lake(tmp_path / "other")
    for where, options in ((lake, FULL), (other, dataclasses.replace(FULL, **change))):
        add_dataset(where, "val", images, role="id")
        run_job(where, [spec], ["val"], options, quiet)
    assert_same_rows(read(other), read(lake))


def test_models_that_share_a_pass_get_what_they_get_alone(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None], tmp_path: Path
) -> None:
    save_file(tiny_vit(seed=5).state_dict(), tmp_path / "second.safetensors")
    second = ModelSpec("second", ARCHITECTURE, tmp_path / "second.safetensors", KWARGS)
    alone = Lake(tmp_path / "alone")
    for where in (lake, alone):
        add_dataset(where, "val", images, role="id")
    run_job(lake, [spec, second], ["val"], FULL, quiet)
    for each in (spec, second):
        run_job(alone, [each], ["val"], FULL, quiet)
        for ours, theirs in zip(read(lake, each.name), read(alone, each.name), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_unreadable_images_become_rows_of_failures_and_never_another_image_s_features(
    lake: Lake, images: Path, spec: ModelSpec, quiet: Callable[[str], None]
) -> None:
    photograph = images / "bee" / "002.jpg"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (60, 60, 3), dtype=np.uint8)).save(photograph)
    photograph.write_bytes(photograph.read_bytes()[:700])
    (images / "ant" / "000.png").write_bytes(b"")
    add_dataset(lake, "val", images, role="id")
    summary = run_job(lake, [spec], ["val"], FULL, quiet)
    failures = lake.read("failures", model="tiny", dataset="val").to_pylist()
    assert summary.failed == 2
    assert [failure["path"] for failure in failures] == ["ant/000.png", "bee/002.jpg"]
    assert all(failure["error"] for failure in failures)
    sample, _, feature, _ = read(lake)
    listed = paths(lake)
    good = [path for path in listed if path not in {"ant/000.png", "bee/002.jpg"}]
    assert [listed[number] for number in sample] == good
    np.testing.assert_allclose(feature, expected(spec, images, good)[0], atol=1e-5)
    again = run_job(lake, [spec], ["val"], FULL, quiet)
    assert (again.reused, again.failed) == (1, 2)


def test_an_interrupted_job_goes_on_where_it_was_and_ends_with_the_same_rows(  # fixtures
    lake: Lake,
    images: Path,
    spec: ModelSpec,
    quiet: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (images / "ant" / "001.png").write_bytes(b"")
    whole = Lake(tmp_path / "whole")
    for where in (lake, whole):
        add_dataset(where, "val", images, role="id")
    run_job(whole, [spec], ["val"], FULL, quiet)
    forward, calls = LoadedModel.launch, []

    def fail_late(self: LoadedModel, batch: torch.Tensor) -> Any:
        calls.append(len(batch))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return forward(self, batch)

    monkeypatch.setattr(LoadedModel, "launch", fail_late)
    with pytest.raises(KeyboardInterrupt):
        run_job(lake, [spec], ["val"], FULL, quiet)
    assert lake.partitions("activations") == []
    calls.clear()
    calls.extend([0] * 10)
    run_job(lake, [spec], ["val"], FULL, quiet)
    assert sum(calls) < 14  # the first fragments were not computed again
    for ours, theirs in zip(read(lake), read(whole), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert lake.read("failures", model="tiny", dataset="val").num_rows == 1
