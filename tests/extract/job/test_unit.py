"""What travels to other processes: what is known of a model goes along, and is checked where files may be others."""

from __future__ import annotations

import dataclasses
import pickle
from typing import TYPE_CHECKING

import pytest
from safetensors.torch import save_file

from extract.datasets import add_dataset, read_dataset
from extract.images.loader import decoders
from extract.job import unit as unit_module
from extract.job.plan import Options, plan
from extract.job.unit import Unit, check_weights
from extract.models.spec import ModelSpec
from featurestore import InputError, Lake
from featurestore.machine import cores
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path


def test_a_checkpoint_is_hashed_once_per_job_whoever_runs_it(spec: ModelSpec) -> None:
    """The file is gone after the first hash, so that a second one would fail; and no network travels."""
    identity = spec.identity
    assert spec.checkpoint is not None
    spec.checkpoint.unlink()
    sent = pickle.dumps(spec)
    assert pickle.loads(sent).identity == identity
    assert len(sent) < 4_000


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


def test_processes_that_share_a_machine_share_its_cores_to_decode() -> None:
    assert decoders(None, 100_000) == min(16, cores())
    assert [decoders(None, 100_000, share) for share in (1, 4, 64)] == [1, 4, 16]
    assert decoders(None, 100, 4) == 0
    assert [decoders(workers, 100_000, 4) for workers in (0, 7)] == [0, 7]


def test_models_of_earlier_units_are_let_go(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process keeps the latest few: those of a whole pool would not fit in its memory."""
    monkeypatch.setattr(unit_module, "_kept", {})
    monkeypatch.setattr(unit_module, "_MODELS_KEPT", 2)
    loaded: list[str] = []
    monkeypatch.setattr(unit_module, "LoadedModel", lambda spec, *_, **__: loaded.append(spec.name) or spec.name)
    for name in ("a", "b", "b", "c", "b", "a"):
        model = unit_module._loaded(dataclasses.replace(spec, name=name), "cpu", Options(device="cpu"))
        assert model == name
        assert len(unit_module._kept) <= 2
    assert loaded == ["a", "b", "c", "a"]
