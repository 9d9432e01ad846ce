"""What is to be done, planned without a pixel."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from extract.datasets import add_dataset
from extract.job.plan import Options, batches_of, fragment_ranges, passes, plan
from featurestore import Lake, MissingError
from tests.extract.conftest import FULL, run

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec


def test_ranges_cover_every_sample_once_and_batches_never_straddle_fragments() -> None:
    ranges = fragment_ranges(23, 6)
    assert [number for samples in ranges for number in samples] == list(range(23))
    for batch in batches_of(ranges, 4):
        assert len({number // 6 for number in batch}) == 1
    assert [number for batch in batches_of(ranges, 4) for number in batch] == list(range(23))


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(MissingError, match="did you mean 'bf16'"):
        Options(amp="bf61")
    with pytest.raises(MissingError, match="did you mean 'float16'"):
        Options(dtype="flot16")


def test_what_the_lake_holds_is_a_hit_and_no_task(lake: Lake, images: Path, spec: ModelSpec) -> None:
    rows = [add_dataset(lake, name, images, role="ood") for name in ("first", "second")]
    run(lake, spec, datasets=["first"])
    tasks, hits = plan(lake, spec, rows, FULL)
    assert hits == [{"model": "tiny", "dataset": "first"}]
    assert [task.target.key for task in tasks] == [{"model": "tiny", "dataset": "second"}]


def test_passes_share_images_and_models_that_prepare_them_alike_follow_each_other(
    lake: Lake, images: Path, spec: ModelSpec
) -> None:
    """At most eight models at a time, and all datasets of some models before the next ones."""
    rows = [add_dataset(lake, name, images, role="ood") for name in ("first", "second")]
    alike = [
        dataclasses.replace(spec, name=f"m{number}", preprocess={"mean": (number / 9,) * 3}) for number in range(9)
    ]
    other = dataclasses.replace(spec, name="other", preprocess={"crop_pct": 0.5})
    tasks = [task for spec in (*alike[:3], other, *alike[3:]) for task in plan(lake, spec, rows, FULL)[0]]
    found = [([task.spec.name for task in tasks], tasks[0].dataset.dataset) for tasks in passes(tasks)]
    eight, rest = [f"m{number}" for number in range(8)], ["m8", "other"]
    assert found == [(eight, "first"), (eight, "second"), (rest, "first"), (rest, "second")]
