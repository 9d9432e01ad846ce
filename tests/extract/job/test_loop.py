"""The loop: fragments hold each sample's own rows, however the work is cut, and whatever stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from extract.datasets import add_dataset
from tests.extract.conftest import assert_same_rows, read, run, save_tiny, tiny_spec
from tests.extract.job.conftest import expected, interrupted_at, paths

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from featurestore import Lake


@pytest.mark.parametrize("change", [{"batch_size": 1}, {"batch_size": 64}, {"workers": 2}])
def test_batch_size_and_workers_change_nothing_beyond_rounding(
    val: Lake, other: Lake, spec: ModelSpec, change: dict[str, Any]
) -> None:
    run(val, spec)
    run(other, spec, **change)
    assert_same_rows(read(other), read(val))


def test_models_that_share_a_pass_get_what_they_get_alone(
    val: Lake, other: Lake, spec: ModelSpec, tmp_path: Path
) -> None:
    second = tiny_spec(save_tiny(tmp_path / "second.safetensors", seed=5), "second")
    run(val, spec, second)
    for each in (spec, second):
        run(other, each)
        np.testing.assert_equal(read(val, each.name), read(other, each.name))


def test_unreadable_images_become_rows_of_failures_and_never_another_image_s_features(
    lake: Lake, images: Path, broken: Path, spec: ModelSpec
) -> None:
    photograph = images / "bee" / "002.jpg"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (60, 60, 3), dtype=np.uint8)).save(photograph)
    photograph.write_bytes(photograph.read_bytes()[:700])
    bad = [str(path.relative_to(images)) for path in (broken, photograph)]
    add_dataset(lake, "val", images, role="id")
    assert run(lake, spec).failed == 2
    failures = lake.read("failures", model="tiny", dataset="val").to_pylist()
    assert [failure["path"] for failure in failures] == bad
    assert all(failure["error"] for failure in failures)
    sample, _, feature, _ = read(lake)
    listed = paths(lake)
    good = [path for path in listed if path not in bad]
    assert [listed[number] for number in sample] == good
    np.testing.assert_allclose(feature, expected(spec, images, good)[0], atol=1e-5)
    again = run(lake, spec)
    assert (again.reused, again.failed) == (1, 2)


@pytest.mark.usefixtures("broken")
def test_an_interrupted_job_goes_on_where_it_was_and_ends_with_the_same_rows(
    val: Lake, other: Lake, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(other, spec)
    sizes = interrupted_at(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        run(val, spec)
    assert val.partitions("activations") == []
    first = len(sizes)
    run(val, spec)
    assert sum(sizes[first:]) < 14  # the first fragments were not computed again
    np.testing.assert_equal(read(val), read(other))
    assert val.read("failures", model="tiny", dataset="val").num_rows == 1
