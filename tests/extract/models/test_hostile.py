"""Checkpoints and heads of strangers: whatever is in them, they are read as arrays or refused with one sentence, and soon."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from extract.models.files import StoredWeights, outline, read_state_dict, reading
from extract.models.heads import read_head
from featurestore import InputError
from tests.extract.conftest import tiny_spec
from tests.extract.models.mutants import mutant, originals, verdict
from tests.faults.fuzzing import examples
from tests.tiny import KWARGS, tiny_vit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

MUTANTS = examples(12)
"""Of each of five files; `python -m tests.extract.models.mutants 4000` tries more."""


def test_broken_files_end_in_a_sentence(tmp_path: Path) -> None:
    """Never in a traceback, nor in a library's advice to switch its safety off."""
    outcomes = {"read": 0, "refused": 0, "broken": 0}
    for name, whole in originals().items():
        path = tmp_path / name
        for attempt in range(MUTANTS):
            path.write_bytes(mutant(whole, np.random.default_rng([0, attempt, *name.encode()])))
            outcome, said = verdict(path)
            assert outcome != "broken", f"{name}, attempt {attempt}: {said}"
            outcomes[outcome] += 1
    assert outcomes["refused"] > outcomes["read"]


def _changed(name: str, change: Callable[[Tensor], Any]) -> dict[str, Any]:
    return {own: change(value) if own == name else value for own, value in tiny_vit().state_dict().items()}


ODD: dict[str, tuple[Callable[[], Any], str]] = {
    "sparse": (lambda: _changed("head.weight", lambda value: value.to_sparse()), "head.weight as a sparse tensor"),
    "meta": (lambda: _changed("head.weight", lambda value: value.to("meta")), "head.weight as a shape alone, without values"),
    "complex": (lambda: _changed("pos_embed", lambda value: value + 1j), "pos_embed as complex64"),
    "boolean": (lambda: _changed("cls_token", lambda value: value > 0), "no floating-point numbers: cls_token is bool"),
    "integer": (lambda: _changed("pos_embed", lambda value: value.long()), "no floating-point numbers: pos_embed is int64"),
    "quantised": (
        lambda: _changed("head.weight", lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8)),
        "would run code|quantised weights are not read",
    ),
    "a number for a name": (lambda: {**tiny_vit().state_dict(), 7: torch.zeros(2)}, "an array of the name 7 among its weights"),
    "two spellings": (
        lambda: {**tiny_vit().state_dict(), "module.head.bias": torch.ones(3)},
        "unexpected: module.head.bias",
    ),
    "four terabytes": (
        lambda: _changed("head.weight", lambda _: torch.zeros(1).expand(1 << 20, 1 << 20)),
        "of which it stores 4 bytes alone",
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", ODD)
def test_tensors_that_are_no_weights_are_refused(kind: str, tmp_path: Path) -> None:
    """Before a network would take them for zeros, round them, or unfold them in memory."""
    made, message = ODD[kind]
    torch.save(made(), tmp_path / "m.pth")
    with pytest.raises(InputError, match=message):
        tiny_spec(tmp_path / "m.pth").load_module()


@pytest.mark.parametrize("kwargs", [{"num_heads": 0}, {"patch_size": 0}, {"depth": -1}, {"embed_dim": "wide"}])
def test_numbers_that_make_no_network_are_a_sentence(kwargs: dict[str, Any], checkpoint: Path) -> None:
    with pytest.raises(InputError) as caught:
        tiny_spec(checkpoint, model_kwargs={**KWARGS, **kwargs}).load_module()
    assert "vit_tiny_patch16_224" in str(caught.value)


@pytest.mark.parametrize("suffix", ["npz", "pth"])
def test_an_archive_that_would_fill_memory_is_not_unpacked(suffix: str, tmp_path: Path) -> None:
    """Three hundred megabytes of zeros in a third of one."""
    path = tmp_path / f"bomb.{suffix}"
    member = "weight.npy" if suffix == "npz" else "archive/data.pkl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(member, "w") as file:
        for _ in range(300):
            file.write(bytes(1 << 20))
    with pytest.raises(InputError, match=r"bomb\.\w+ would be .* unpacked, [\d,]+ times its size"):
        read_head(path) if suffix == "npz" else outline(StoredWeights(path))


def test_a_shape_that_no_memory_holds_is_a_sentence(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 1024), }"
    content = b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n"
    with zipfile.ZipFile(tmp_path / "h.npz", "w") as archive:
        archive.writestr("weight.npy", content + bytes(64))
    with pytest.raises(InputError, match=r"Cannot read .*h\.npz as plain \.npz arrays"):
        read_head(tmp_path / "h.npz")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.npz")
    for read in (read_head, lambda path: read_state_dict(StoredWeights(path))):
        with pytest.raises(InputError, match="it is a pipe or a device, and no file"):
            read(tmp_path / "m.npz")


def test_no_library_s_advice_on_its_safety_is_passed_on(tmp_path: Path) -> None:
    """What holds more than arrays is refused in our own words."""
    np.savez(tmp_path / "h.npz", weight=np.array([[object()]]))
    with pytest.raises(InputError) as caught:
        read_head(tmp_path / "h.npz")
    assert "allow_pickle" not in str(caught.value)
    with (
        pytest.raises(InputError, match=r"it holds what is no plain array, whose loading could run code\.$"),
        reading("x", "y"),
    ):
        raise RuntimeError("WeightsUnpickler error: re-run with weights_only=False if you trust it")
