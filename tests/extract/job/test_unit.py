"""What travels to other processes: what is known of a model goes along, and is checked where files may be others."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from safetensors.torch import save_file

from extract.datasets import add_dataset, read_dataset
from extract.images.loader import decoders
from extract.job import cluster
from extract.job.plan import Options, plan
from extract.job.runners import on_devices
from extract.job.unit import Unit, check_weights
from extract.models.spec import ModelSpec
from featurestore import InputError, Lake
from featurestore.machine import cores
from tests.extract.conftest import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def spec(tmp_path: Path) -> ModelSpec:
    save_file(tiny_vit().state_dict(), tmp_path / "mine.safetensors")
    return ModelSpec("tiny", ARCHITECTURE, tmp_path / "mine.safetensors", KWARGS)


def test_a_checkpoint_is_hashed_once_per_job_whoever_runs_it(spec: ModelSpec) -> None:
    """The file is gone after the first hash, so that a second one would fail; and no network travels."""
    identity = spec.identity
    assert spec.checkpoint is not None
    spec.checkpoint.unlink()
    sent = pickle.dumps(spec)
    assert pickle.loads(sent).identity == identity
    assert len(sent) < 4_000


def test_a_process_of_a_device_loads_a_model_once_for_all_passes(lake: Lake, images: Path, spec: ModelSpec) -> None:
    """The checkpoint is gone after the first dataset, so that a second look at it would fail."""
    for name in ("val", "more"):
        add_dataset(lake, name, images, role="ood")
    options = Options(device="cpu", workers=0)
    units = [Unit(plan(lake, [spec], [read_dataset(lake, name)], options)[0], [0], options) for name in ("val", "more")]
    assert spec.checkpoint is not None
    with on_devices(["cpu"]) as run:
        ((_, first),) = run(lake.location, units[:1], lambda _: None)
        spec.checkpoint.unlink()
        ((_, second),) = run(lake.location, units[1:], lambda _: None)
    assert first.fragments["tiny"][0].rows == second.fragments["tiny"][0].rows == 15


def test_paths_travel_as_absolute_ones(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process elsewhere works in another folder."""
    assert spec.checkpoint is not None
    monkeypatch.chdir(spec.checkpoint.parent)
    relative = ModelSpec("tiny", ARCHITECTURE, spec.checkpoint.relative_to(spec.checkpoint.parent), KWARGS)
    assert pickle.loads(pickle.dumps(relative)).checkpoint == spec.checkpoint


def test_another_checkpoint_on_a_node_is_refused(lake: Lake, images: Path, spec: ModelSpec) -> None:
    """A node with a file of its own under the path must not write features of other weights."""
    add_dataset(lake, "val", images, role="id")
    options = Options(device="cpu")
    to_do, _ = plan(lake, [spec], [read_dataset(lake, "val")], options)
    unit = Unit(to_do, [0], options)
    assert spec.checkpoint is not None
    save_file(tiny_vit(seed=4).state_dict(), spec.checkpoint)
    with pytest.raises(InputError, match="another file than where the job began"):
        check_weights(pickle.loads(pickle.dumps(unit)))


def test_a_cluster_that_is_not_there_is_a_sentence_within_seconds() -> None:
    """Ray itself would try for minutes."""
    with pytest.raises(InputError, match=r"No Ray cluster answers at 127\.0\.0\.1:1"):
        cluster.join("127.0.0.1:1", "cpu")
    with pytest.raises(InputError, match="Cannot join the Ray cluster at nonsense"):
        cluster.join("nonsense", "cpu")


def test_ray_chooses_the_gpus_itself() -> None:
    """`cuda:1` names a GPU of this machine, which a cluster does not know."""
    for device in ("auto", "cpu", "cuda"):
        cluster.check_device(device)
    with pytest.raises(InputError, match="auto, cpu or cuda, not 'cuda:1'"):
        cluster.check_device("cuda:1")


def test_processes_that_share_a_machine_share_its_cores_to_decode() -> None:
    assert decoders(None, 100_000) == min(16, cores())
    assert [decoders(None, 100_000, share) for share in (1, 4, 64)] == [1, 4, 16]
    assert decoders(None, 100, 4) == 0
    assert [decoders(workers, 100_000, 4) for workers in (0, 7)] == [0, 7]


def test_a_gpu_of_a_cluster_gets_its_share_of_the_node_s_cpus() -> None:
    """Of the node that has fewest for each, so that no unit waits for CPUs that no node has."""
    nodes = [
        {"Alive": True, "Resources": {"CPU": 64.0, "GPU": 4.0}},
        {"Alive": True, "Resources": {"CPU": 30.0, "GPU": 4.0}},
        {"Alive": True, "Resources": {"CPU": 128.0}},
        {"Alive": False, "Resources": {"CPU": 1.0, "GPU": 1.0}},
    ]
    assert cluster.cpus_per_gpu(nodes) == 7
    assert cluster.cpus_per_gpu([{"Alive": True, "Resources": {"GPU": 1.0}}]) == 1
