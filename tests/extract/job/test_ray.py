"""Extraction on a real Ray cluster of two nodes, of which one is killed in the middle of the job."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from extract.datasets import add_dataset
from extract.job.run import run_job
from featurestore import InputError, Lake
from featurestore.errors import UnreadableError
from tests.conftest import RAY
from tests.extract.conftest import FULL, assert_same_rows, network, quiet, read, tiny_spec
from tests.extract.job.conftest import leaving
from tests.tiny import KWARGS, write_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from tests.pipeline import Commands

pytestmark = RAY


def test_a_node_may_die_and_the_rows_are_those_of_one_process(
    cluster: Any, lake: Lake, checkpoint: Path, tmp_path: Path
) -> None:
    images = write_images(tmp_path / "images", {"ant": 20, "bee": 20, "cat": 20})
    (images / "bee" / "007.png").write_bytes(b"")
    spec, alone = tiny_spec(checkpoint), Lake(tmp_path / "alone")
    options = dataclasses.replace(FULL, fragment_rows=3)
    for where in (lake, alone):
        add_dataset(where, "val", images, role="id")
    run_job(alone, [spec], ["val"], options, quiet)
    killed = []

    @contextlib.contextmanager
    def kill_at_first_progress(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
        def advance(_steps: int) -> None:
            if not killed:
                killed.append(cluster.list_all_nodes()[-1])
                cluster.remove_node(killed[0], allow_graceful=False)

        yield advance

    watched = dataclasses.replace(options, bars=kill_at_first_progress)
    summary = run_job(lake, [spec], ["val"], watched, quiet, ray_address=cluster.address)
    assert killed
    assert (summary.extracted, summary.failed) == (1, 1)
    assert_same_rows(read(lake), read(alone))

    deeper = dataclasses.replace(spec, name="other", model_kwargs={**KWARGS, "depth": 2})
    with pytest.raises(InputError, match="is not a checkpoint of"):
        run_job(lake, [deeper], ["val"], options, quiet, ray_address="")


def test_ray_alone_starts_a_cluster_on_this_machine(
    fresh: Commands, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option needs no value, and what follows it is still read."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    fresh.add("val", "id", {"ant": 2, "bee": 2, "cat": 2})
    try:
        out = fresh.ok("extract", "--ray", "--model", checkpoint, *network(), "--dataset", "val")
    finally:
        import ray

        assert ray.is_initialized()
        ray.shutdown()
    assert "1 extracted" in out


def test_ray_ends_with_the_same_sentence(cluster: Any, val: Lake, images: Path, spec: ModelSpec) -> None:
    options = dataclasses.replace(FULL, bars=leaving(images), fragment_rows=3)
    with pytest.raises(UnreadableError, match=r"of the \d+ images"):
        run_job(val, [spec], ["val"], options, quiet, ray_address=cluster.address)
    images.with_name("images-away").rename(images)
    options = dataclasses.replace(FULL, fragment_rows=3)
    assert run_job(val, [spec], ["val"], options, quiet, ray_address=cluster.address).failed == 0
