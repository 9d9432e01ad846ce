"""Who runs the units: processes that share a machine, and nodes of a cluster."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from extract.datasets import add_dataset, read_dataset
from extract.job.plan import Options, plan
from extract.job.runners import cpus_per_gpu, on_devices, on_ray
from extract.job.unit import Unit
from featurestore import ClusterError, InputError, Lake

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec


@pytest.mark.long
def test_a_process_of_a_device_loads_a_model_once_for_all_passes(lake: Lake, images: Path, spec: ModelSpec) -> None:
    """The checkpoint is gone after the first dataset, so that a second look at it would fail."""
    for name in ("val", "more"):
        add_dataset(lake, name, images, role="ood")
    options = Options(device="cpu", workers=0)
    units = [Unit(plan(lake, spec, [read_dataset(lake, name)], options)[0], [0], options) for name in ("val", "more")]
    assert spec.checkpoint is not None
    with on_devices(["cpu"]) as run:
        (first,) = run(lake.location, units[:1], lambda _: None)
        spec.checkpoint.unlink()
        (second,) = run(lake.location, units[1:], lambda _: None)
    assert first.fragments["tiny"][0].rows == second.fragments["tiny"][0].rows == 15


def test_a_cluster_that_is_not_there_is_a_sentence_within_seconds() -> None:
    """Ray itself would try for minutes."""
    with pytest.raises(ClusterError, match=r"No Ray cluster answers at 127\.0\.0\.1:1"):
        list(on_ray("127.0.0.1:1", "cpu")("lake", [], lambda _: None))
    with pytest.raises(ClusterError, match="Cannot join the Ray cluster at nonsense"):
        list(on_ray("nonsense", "cpu")("lake", [], lambda _: None))


def test_ray_chooses_the_gpus_itself() -> None:
    """`cuda:1` names a GPU of this machine, which a cluster does not know."""
    for device in ("auto", "cpu", "cuda"):
        on_ray(None, device)
    with pytest.raises(InputError, match="auto, cpu or cuda, not 'cuda:1'"):
        on_ray(None, "cuda:1")


def test_a_gpu_of_a_cluster_gets_its_share_of_the_node_s_cpus() -> None:
    """Of the node that has fewest for each, so that no unit waits for CPUs that no node has."""
    nodes = [
        {"Alive": True, "Resources": {"CPU": 64.0, "GPU": 4.0}},
        {"Alive": True, "Resources": {"CPU": 30.0, "GPU": 4.0}},
        {"Alive": True, "Resources": {"CPU": 128.0}},
        {"Alive": False, "Resources": {"CPU": 1.0, "GPU": 1.0}},
    ]
    assert cpus_per_gpu(nodes) == 7
    assert cpus_per_gpu([{"Alive": True, "Resources": {"GPU": 1.0}}]) == 1


def test_processes_of_devices_decode_in_their_share_of_the_cores(
    lake: Lake, images: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two devices on eight cores: four processes each decode, where each alone would have taken eight."""
    told: list[Unit] = []

    monkeypatch.setattr("extract.job.runners.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr("extract.job.runners._run_on_own_device", lambda _, unit: told.append(unit))
    monkeypatch.setattr("extract.job.runners.cores", lambda: 8)
    row = dataclasses.replace(add_dataset(lake, "val", images, role="ood"), samples=100_000)
    options = Options(device="cpu", fragment_rows=10_000)
    unit = Unit(plan(lake, spec, [row], options)[0], [0], options)
    with on_devices(["cpu", "cpu"]) as run:
        assert len(list(run(lake.location, [unit], lambda _: None))) == 1
    assert [unit.options.workers for unit in told] == [4]
