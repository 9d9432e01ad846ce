"""Files as trainers write them: which weights are in them, under which names; nothing in them runs, nothing is left out unsaid."""

from __future__ import annotations

import argparse
import collections
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from extract.models.files import StoredWeights, outline, read_state_dict, sha256_of
from extract.models.network import LoadedModel
from featurestore import InputError
from tests.extract.conftest import tiny_spec
from tests.extract.jax_arrays import augreg_arrays
from tests.tiny import KWARGS, tiny_vit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

RAW, EMA = {"a.weight": torch.zeros(2)}, {"a.weight": torch.ones(2)}


def _saved(folder: Path, content: Any, name: str = "m.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def _topics(stored: StoredWeights) -> dict[str, str]:
    return {note.topic: str(note) for note in outline(stored).notes}


def _with_prefix(prefix: str, arrays: Mapping[str, Tensor] = RAW) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in arrays.items()}


def test_what_trainers_put_beside_the_weights_is_no_obstacle(tmp_path: Path) -> None:
    """As timm's CheckpointSaver, DeiT and MAE write them; numbers, paths and times are not even looked at."""
    args = argparse.Namespace(lr=0.1, best=np.float64(0.9), output=Path("runs"), counts=collections.defaultdict(list))
    content = {
        "epoch": 3,
        "arch": "resnet18",
        "state_dict": RAW,
        "args": args,
        "metric": np.float32(1),
        "n": np.int64(3),
    }
    stored = StoredWeights(_saved(tmp_path, content))
    assert read_state_dict(stored).keys() == {"a.weight"}
    assert outline(stored).architecture == "resnet18"
    assert not outline(stored).notes


class Payload:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.place), "w")


def test_averaged_weights_without_names_are_said(tmp_path: Path) -> None:
    """As torch-ema and diffusers keep them: they cannot be taken, and are not passed over in silence."""
    state = tiny_vit().state_dict()
    torch.save({"model": state, "ema": {"decay": 0.9, "shadow_params": list(state.values())}}, tmp_path / "m.pth")
    (note,) = outline(StoredWeights(tmp_path / "m.pth")).notes
    assert "the arrays in ema.shadow_params (20) have no names, and are not read" in str(note)
    assert note.value == "weights as trained of model"
    with pytest.raises(InputError, match="holds no ema weights"):
        outline(StoredWeights(tmp_path / "m.pth", which="ema"))


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    """Without their scales they are other numbers."""
    state = tiny_vit().state_dict()
    torch.save({**state, "head.weight": (state["head.weight"] * 99).to(torch.int8)}, tmp_path / "m.pth")
    with pytest.raises(InputError, match=r"holds head\.weight as int8: quantised weights are not read"):
        read_state_dict(StoredWeights(tmp_path / "m.pth"))


@pytest.mark.parametrize(
    "hidden", [lambda p: p, lambda p: argparse.Namespace(lr=p), lambda p: collections.defaultdict(list, x=[p])]
)
@pytest.mark.parametrize("new", [True, False])
def test_a_payload_among_harmless_objects_is_refused(
    tmp_path: Path, hidden: Callable[[Payload], object], new: bool
) -> None:
    content = {"state_dict": RAW, "args": hidden(Payload(tmp_path / "ran"))}
    torch.save(content, tmp_path / "m.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(InputError, match=r"\(io\.open\) whose loading would run code"):
        read_state_dict(StoredWeights(tmp_path / "m.pth"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (RAW, ""),
        ({"state_dict": RAW, "optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}}}, "state_dict"),
        ({"model": {"state_dict": RAW}}, "model.state_dict"),
        ({"net": RAW, "acc": torch.ones(1)}, "net"),
        ({"mine": RAW}, "mine"),
    ],
)
def test_the_only_weights_are_taken_without_a_word(tmp_path: Path, content: Any, place: str) -> None:
    stored = StoredWeights(_saved(tmp_path, content))
    assert read_state_dict(stored).keys() == RAW.keys(), place
    assert outline(stored).notes == ()
    assert stored.ingredients() == {}


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": RAW, "state_dict_ema": EMA},
        {"model": RAW, "model_ema": {"module": EMA, "decay": 0.9}},
        {"model": RAW, "model_ema": {"n_averaged": torch.tensor(3), **_with_prefix("module.", EMA)}},
        {"student": _with_prefix("module."), "teacher": _with_prefix("module.", EMA)},
        {"state_dict": {**_with_prefix("model."), **_with_prefix("ema_model.module.", EMA)}},
    ],
)
def test_ema_goes_before_raw_as_in_timm_and_is_said(tmp_path: Path, content: Any) -> None:
    file = _saved(tmp_path, content)
    for which, taken in {"auto": EMA, "ema": EMA, "raw": RAW}.items():
        stored = StoredWeights(file, which)
        assert torch.equal(read_state_dict(stored)["a.weight"], taken["a.weight"])
        assert ("EMA weights of" in _topics(stored)["weights"]) == (taken is EMA)
        assert "the file also holds" in _topics(stored)["weights"]
    assert StoredWeights(file).ingredients().keys() == {"weights"}
    assert StoredWeights(file, "ema").ingredients() == StoredWeights(file).ingredients()
    assert StoredWeights(file).ingredients() != StoredWeights(file, "raw").ingredients()


def test_the_weights_that_were_taken_before_there_was_a_choice_keep_their_fingerprint(tmp_path: Path) -> None:
    file = _saved(tmp_path, {"state_dict": RAW, "state_dict_ema": EMA})
    assert StoredWeights(file, "raw").ingredients() == {}
    assert StoredWeights(file).ingredients() == {"weights": "state_dict_ema"}


def test_weights_that_are_not_there_and_several_of_a_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no ema weights .*it holds state_dict \(1 arrays\)"):
        read_state_dict(StoredWeights(_saved(tmp_path, {"state_dict": RAW}), "ema"))
    file = _saved(tmp_path, {"net": RAW, "network": EMA})
    with pytest.raises(InputError, match=r"several weights: net \(1 arrays\), network .*--weights net"):
        read_state_dict(StoredWeights(file))
    assert torch.equal(read_state_dict(StoredWeights(file, "network"))["a.weight"], EMA["a.weight"])
    with pytest.raises(InputError, match="holds no weights at 'nett'"):
        read_state_dict(StoredWeights(file, "nett"))
    with pytest.raises(InputError, match="no state dict"):
        read_state_dict(StoredWeights(_saved(tmp_path, {"epoch": 3})))


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.backbone.", "visual.trunk.", "net."]
)
def test_prefixes_of_all_names_are_taken_off_and_said(tmp_path: Path, prefix: str) -> None:
    state = _with_prefix(prefix, tiny_vit().state_dict())
    stored = StoredWeights(_saved(tmp_path, {"state_dict": state}))
    assert read_state_dict(stored).keys() == tiny_vit().state_dict().keys()
    assert _topics(stored)["prefix"] == f"prefix: {prefix} taken off (all {len(state)} names begin with it)"
    assert not StoredWeights(_saved(tmp_path, {**state, "other.x": torch.ones(1)})).ingredients()


def test_a_suffix_says_nothing(tmp_path: Path) -> None:
    save_file(RAW, tmp_path / "m.pth")
    torch.save(RAW, tmp_path / "m.safetensors")
    for file in tmp_path.iterdir():
        assert read_state_dict(StoredWeights(file)).keys() == outline(StoredWeights(file)).shapes.keys() == RAW.keys()


def test_a_checkpoint_in_several_files_is_one(tmp_path: Path) -> None:
    parts = {"m-00001-of-00002.safetensors": {"a": torch.ones(2)}, "m-00002-of-00002.safetensors": {"b": torch.ones(3)}}
    for name, arrays in parts.items():
        save_file(arrays, tmp_path / name)
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {key: name for name, arrays in parts.items() for key in arrays}}))
    stored = StoredWeights(index)
    assert read_state_dict(stored).keys() == {"a", "b"}
    assert outline(stored).shapes == {"a": (2,), "b": (3,)}
    before = sha256_of(index)
    save_file({"b": torch.zeros(3)}, tmp_path / "m-00002-of-00002.safetensors")
    assert sha256_of(index) != before
    save_file({"c": torch.zeros(3)}, tmp_path / "m-00002-of-00002.safetensors")
    with pytest.raises(InputError, match="does not hold the arrays that"):
        read_state_dict(stored)
    (tmp_path / "m-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match="no such file beside it"):
        read_state_dict(stored)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            {"Transformer/encoderblock_1/LayerNorm_0/scale": np.ones(24)},
            "not used by the network: Transformer/encoderblock_1",
        ),
        (
            {"pre_logits/kernel": np.ones((24, 24)), "pre_logits/bias": np.ones(24)},
            "not used by the network: pre_logits/",
        ),
        ({"Transformer/posembed_input/pos_embedding": np.ones((1, 10, 24))}, "would be resized"),
    ],
)
def test_arrays_of_an_npz_file_that_the_network_does_not_use_are_listed(
    tmp_path: Path, extra: dict[str, np.ndarray], message: str
) -> None:
    """timm's reader passes over them, and resizes what does not fit."""
    arrays = {**augreg_arrays(tiny_vit(), KWARGS), **{name: value.astype(np.float32) for name, value in extra.items()}}
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(InputError, match=message):
        LoadedModel(tiny_spec(tmp_path / "m.npz"), torch.device("cpu"))


def test_arrays_that_an_npz_file_lacks_are_listed(tmp_path: Path) -> None:
    arrays = augreg_arrays(tiny_vit(), KWARGS)
    del arrays["head/bias"]
    np.savez(tmp_path / "m.npz", **arrays)
    with pytest.raises(InputError, match=r"not in the file, or NaN: head\.weight, head\.bias"):
        LoadedModel(tiny_spec(tmp_path / "m.npz"), torch.device("cpu"))
