"""Extraction on a real Ray cluster of two nodes, of which one is killed in the middle of the job."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from extract import job
from extract.datasets import add_dataset
from extract.models import ModelSpec
from featurestore import InputError, Lake

from .conftest import ARCHITECTURE, KWARGS, write_images
from .test_job import FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.ray,
    # Ray leaves its own sockets and files to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
]


@pytest.fixture
def cluster() -> Iterator[Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray
        from ray.cluster_utils import Cluster

        nodes = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 1, "include_dashboard": False},
        )
        nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
        ray.init(address=nodes.address, log_to_driver=False)
        yield nodes
        ray.shutdown()
        nodes.shutdown()


def test_a_node_may_die_and_the_rows_are_those_of_one_process(  # fixtures
    cluster: Any,
    lake: Lake,
    checkpoint: Path,
    quiet: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = write_images(tmp_path / "images", {"ant": 20, "bee": 20, "cat": 20})
    (images / "bee" / "007.png").write_bytes(b"")
    spec = ModelSpec("tiny", ARCHITECTURE, checkpoint, KWARGS)
    options = dataclasses.replace(FULL, fragment_rows=3)
    alone = Lake(tmp_path / "alone")
    for where in (lake, alone):
        add_dataset(where, "val", images, role="id")
    job.run(alone, [spec], ["val"], options, quiet)
    killed = []

    @contextlib.contextmanager
    def kill_at_first_progress(_title: str, _total: int) -> Iterator[Callable[[int], None]]:
        def advance(_steps: int) -> None:
            if not killed:
                killed.append(cluster.list_all_nodes()[-1])
                cluster.remove_node(killed[0], allow_graceful=False)

        yield advance

    monkeypatch.setattr(job, "progress", kill_at_first_progress)
    summary = job.run(lake, [spec], ["val"], options, quiet, ray_address="")
    assert killed
    assert (summary.extracted, summary.failed) == (1, 1)
    for ours, theirs in zip(_rows(lake), _rows(alone), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    with pytest.raises(InputError, match="is not a checkpoint of"):
        job.run(
            lake,
            [dataclasses.replace(spec, name="other", model_kwargs={**KWARGS, "depth": 2})],
            ["val"],
            options,
            quiet,
            ray_address="",
        )


def _rows(lake: Lake) -> list[Any]:
    blocks = list(lake.batches(model="tiny", dataset="val", columns=("sample", "label", "feature", "logits")))
    return [np.concatenate(column) for column in zip(*blocks, strict=True)]
