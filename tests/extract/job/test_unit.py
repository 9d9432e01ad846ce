"""What travels to other processes: what is known of a model goes along, and is checked where files may be others."""

from __future__ import annotations

import dataclasses
import pickle
from typing import TYPE_CHECKING

import pytest

from extract.datasets import read_dataset
from extract.images.workers import decoders
from extract.job import unit as unit_module
from extract.job.plan import plan
from extract.job.unit import Unit, check_weights
from featurestore import InputError
from featurestore.machine import cores
from tests.extract.conftest import FULL, save_tiny

if TYPE_CHECKING:
    from extract.models.spec import ModelSpec
    from featurestore import Lake


def test_what_is_known_of_a_model_travels_with_absolute_paths(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the file need not be there to be hashed again, and the folder is another; no network travels."""
    assert spec.checkpoint is not None
    monkeypatch.chdir(spec.checkpoint.parent)
    relative = dataclasses.replace(spec, checkpoint=spec.checkpoint.relative_to(spec.checkpoint.parent))
    identity = relative.identity
    spec.checkpoint.unlink()
    sent = pickle.dumps(relative)
    assert pickle.loads(sent).identity == identity
    assert pickle.loads(sent).checkpoint == spec.checkpoint
    assert len(sent) < 4_000


def test_another_checkpoint_on_a_node_is_refused(val: Lake, spec: ModelSpec) -> None:
    """A node with a file of its own under the path must not write features of other weights."""
    to_do, _ = plan(val, spec, [read_dataset(val, "val")], FULL)
    unit = Unit(to_do, [0], FULL)
    assert spec.checkpoint is not None
    save_tiny(spec.checkpoint, seed=4)
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
        model = unit_module._loaded(dataclasses.replace(spec, name=name), "cpu", FULL)
        assert model == name
        assert len(unit_module._kept) <= 2
    assert loaded == ["a", "b", "c", "a"]
