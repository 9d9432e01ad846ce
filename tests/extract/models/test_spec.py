"""Models: real checkpoint files, loaded as data, split into feature and head."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from extract.pools.file import parse_model_kwargs, read_pool, specs_from_options
from featurestore import InputError
from tests.extract.conftest import ARCHITECTURE, KWARGS, tiny_vit
from tests.extract.jax_arrays import augreg_arrays

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


def _load(path: Path, architecture: str = ARCHITECTURE, **overrides: Any) -> LoadedModel:
    return LoadedModel(ModelSpec("tiny", architecture, path, {**KWARGS, **overrides}), CPU)


def _images() -> torch.Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    """One model's weights in every local layout."""
    model = tiny_vit()
    state = model.state_dict()
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pth")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "c.pt")
    np.savez(tmp_path / "d.npz", **augreg_arrays(model, KWARGS))
    return {path.suffix: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".npz"])
def test_every_layout_of_the_same_weights_gives_the_network_s_own_outputs(paths: dict[str, Path], suffix: str) -> None:
    feature, logits = _load(paths[suffix])(_images())
    model = tiny_vit()
    with torch.inference_mode():
        expected = model(_images()).numpy()
        penultimate = model.forward_head(model.forward_features(_images()), pre_logits=True).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    np.testing.assert_allclose(feature, penultimate, atol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "kwargs"),
    [("resnet18", {"num_classes": 5}), ("convnext_atto", {"num_classes": 5}), ("mixer_s32_224", {"num_classes": 5})],
)
def test_the_head_explains_the_logits_of_other_architectures_too(
    tmp_path: Path, architecture: str, kwargs: dict[str, Any]
) -> None:
    save_file(timm.create_model(architecture, **kwargs).state_dict(), tmp_path / "m.safetensors")
    model = LoadedModel(ModelSpec("m", architecture, tmp_path / "m.safetensors", kwargs), CPU)
    size = model.spec.preprocessing["input_size"]
    feature, logits = model(torch.randn(2, *size))
    np.testing.assert_allclose(feature @ model.head.weight.T + model.head.bias, logits, rtol=1e-4, atol=1e-4)


def test_preprocessing_follows_the_model_s_own_input_size(checkpoint: Path) -> None:
    spec = ModelSpec("tiny", ARCHITECTURE, checkpoint, KWARGS)
    assert spec.preprocessing["input_size"] == [3, 32, 32]
    assert spec.preprocessing["mean"] == [0.5, 0.5, 0.5]


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(tmp_path / "ran"), "w")

    path = tmp_path / "evil.pth"
    torch.save({"weight": Payload()}, path)
    with pytest.raises(InputError, match="would run code"):
        _load(path)
    arrays = np.empty(1, dtype=object)
    arrays[0] = Payload()
    np.savez(tmp_path / "evil.npz", weight=arrays)
    with pytest.raises(InputError, match=r"plain \.npz arrays"):
        _load(tmp_path / "evil.npz")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(InputError):
        _load(tmp_path / "raw.pth")
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_of_another_architecture_names_what_does_not_fit(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing: conv1\.weight.*unexpected: blocks\.0"):
        LoadedModel(ModelSpec("m", "resnet18", checkpoint, {"num_classes": 3}), CPU)
    with pytest.raises(InputError, match=r"of another shape: head.weight is \[3, 24\], not \[5, 24\]"):
        _load(checkpoint, num_classes=5)
    np.savez(tmp_path / "m.npz", **augreg_arrays(tiny_vit(), KWARGS))
    with pytest.raises(InputError, match="a head of 3 classes, and the model has 5"):
        _load(tmp_path / "m.npz", num_classes=5)
    with pytest.raises(InputError, match="is not a checkpoint of"):
        _load(tmp_path / "m.npz", depth=2)


@pytest.mark.parametrize("name", ["m.safetensors", "m.pth", "m.npz"])
def test_garbage_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not a checkpoint at all")
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        _load(tmp_path / name)


def test_unknown_architectures_and_arguments_are_sentences(checkpoint: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'vit_tiny_patch16_224'"):
        _load(checkpoint, architecture="vit_tiny_patch_16_224")
    with pytest.raises(InputError, match="cannot build"):
        _load(checkpoint, depht=2)


def test_a_model_without_a_linear_head_is_refused(tmp_path: Path) -> None:
    save_file(tiny_vit(num_classes=0).state_dict(), tmp_path / "m.safetensors")
    with pytest.raises(InputError, match="no linear head"):
        _load(tmp_path / "m.safetensors", num_classes=0)


def test_equal_weights_have_equal_fingerprints_and_others_do_not(tmp_path: Path, checkpoint: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(checkpoint.read_bytes())
    save_file(tiny_vit(seed=1).state_dict(), tmp_path / "other.safetensors")
    identity = [ModelSpec("m", ARCHITECTURE, path, KWARGS).identity for path in (checkpoint, copy)]
    assert identity[0] == identity[1]
    assert ModelSpec("m", ARCHITECTURE, tmp_path / "other.safetensors", KWARGS).identity != identity[0]


def test_a_pool_file_carries_checkpoints_arguments_and_recipes(tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(checkpoint.read_bytes())
    (tmp_path / "pool.csv").write_text(
        "model,checkpoint,architecture,model_kwargs,weight_decay,finetune_steps,pretraining,soup_of\n"
        'm,m.safetensors,vit_tiny_patch16_224,"{""img_size"": 32}",0.1,20,in21k,"[""a"", ""b""]"\n'
        "n,,resnet18,,,,,\n"
    )
    first, second = read_pool(tmp_path / "pool.csv")
    assert first.checkpoint == tmp_path / "m.safetensors"
    assert first.model_kwargs == {"img_size": 32}
    assert first.recipe == {"weight_decay": 0.1, "finetune_steps": 20, "pretraining": "in21k", "soup_of": ["a", "b"]}
    assert second.recipe == {}
    assert second.checkpoint is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("model,architecture\nm,\n", "line 2: every model needs"),
        ("model,architecture\nM/1,resnet18\n", "'m-1'"),
        ("model,architecture,colour\nm,resnet18,red\n", "unknown column 'colour'"),
        ("model,architecture,weight_decay\nm,resnet18,much\n", "line 2: weight_decay cannot be 'much'"),
        ("model,architecture,checkpoint\nm,resnet18,gone.pth\n", "there is no checkpoint"),
        ("model,architecture,model_kwargs\nm,resnet18,[1]\n", "must be a JSON object"),
        ("model,architecture\n", "has no rows"),
    ],
)
def test_a_broken_pool_row_is_named_by_line(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "pool.csv").write_text(row)
    with pytest.raises(InputError, match=message):
        read_pool(tmp_path / "pool.csv")


def test_models_on_the_command_line(checkpoint: Path) -> None:
    (spec,) = specs_from_options([str(checkpoint)], ARCHITECTURE, ["img_size=32"])
    assert (spec.name, spec.architecture, spec.model_kwargs) == ("tiny", ARCHITECTURE, {"img_size": 32})
    assert specs_from_options(["resnet18.a1_in1k"], None, [])[0].name == "resnet18.a1_in1k"
    with pytest.raises(InputError, match="--architecture"):
        specs_from_options([str(checkpoint)], None, [])
    with pytest.raises(InputError, match=r"no checkpoint gone\.pth"):
        specs_from_options(["gone.pth"], ARCHITECTURE, [])
    with pytest.raises(InputError, match="name=value"):
        parse_model_kwargs(["img_size"])


def test_model_kwargs_are_json_or_python_or_text() -> None:
    """A user of Python types False, one of JSON false: neither is the text that counts as true."""
    given = ["a=False", "b=true", "c=None", "d=32", "e=avg", "f=[1, 2]"]
    expected = {"a": False, "b": True, "c": None, "d": 32, "e": "avg", "f": [1, 2]}
    assert parse_model_kwargs(given) == expected
