"""What is named on the command line: checkpoint files, timm's names, arguments of a network, and recipes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import save_for_hf

from extract.pools.naming import NamedOptions, check_used, named_spec, parse_model_kwargs
from featurestore import InputError
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit


def test_models_on_the_command_line(checkpoint: Path) -> None:
    spec = named_spec(str(checkpoint), NamedOptions(ARCHITECTURE, KWARGS))
    assert (spec.name, spec.architecture, spec.model_kwargs) == ("tiny", ARCHITECTURE, KWARGS)
    assert named_spec("resnet18.a1_in1k", NamedOptions()).name == "resnet18.a1_in1k"
    with pytest.raises(InputError, match="--architecture"):
        named_spec(str(checkpoint), NamedOptions())
    with pytest.raises(InputError, match=r"no checkpoint gone\.pth"):
        named_spec("gone.pth", NamedOptions(ARCHITECTURE))
    with pytest.raises(InputError, match="name=value"):
        parse_model_kwargs(["img_size"])


@pytest.mark.parametrize(
    "file",
    ["A.PTH", "b.pkl", "epoch=3-val_acc=0.91.ckpt", "epoch=3-val_acc=0.91", "x.pth.best", "nosuffix", "resnet18"],
)
def test_what_exists_is_a_file_whatever_it_is_called(
    tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of these is taken for timm's name of its published weights."""
    monkeypatch.chdir(tmp_path)
    torch.save(tiny_vit().state_dict(), file)
    for model in (file, f"./{file}", str(tmp_path / file)):
        assert named_spec(model, NamedOptions(ARCHITECTURE, KWARGS)).weights_file == Path(model)
    assert named_spec("timm:resnet18", NamedOptions()).checkpoint is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("gone.PTH", r"no file or folder of that name \(in .*Nor is it timm's"),
        ("weights.pht", "near it lies weights.pth"),
        ("runs/gone", "nor a folder runs"),
        ("./resnet18", "no file or folder of that name"),
        ("resnet1g", "timm has no architecture 'resnet1g': did you mean 'resnet18'"),
        ("resnet18.a1_in1kk", "timm knows no weights .* did you mean 'resnet18.a1_in1k'"),
    ],
)
def test_what_is_neither_says_what_was_tried(
    tmp_path: Path, model: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").touch()
    with pytest.raises(InputError, match=message):
        named_spec(model, NamedOptions(ARCHITECTURE))


def test_options_about_files_want_a_file() -> None:
    with pytest.raises(InputError, match="--architecture is about checkpoint files"):
        check_used(NamedOptions("resnet18"), ["resnet34"])
    with pytest.raises(InputError, match="--weights is about checkpoint files"):
        check_used(NamedOptions(which="raw"), [])
    check_used(NamedOptions("resnet18"), ["resnet34", "m.pth"])


@pytest.mark.parametrize(
    "file", ["model_best.pth.tar", "checkpoint.pth", "last.ckpt", "pytorch_model.bin", "model.safetensors"]
)
def test_a_file_that_any_run_writes_is_called_after_its_folder(tmp_path: Path, file: str) -> None:
    (tmp_path / "Run 7").mkdir()
    torch.save(tiny_vit().state_dict(), tmp_path / "Run 7" / file)
    spec = named_spec(str(tmp_path / "Run 7" / file), NamedOptions(ARCHITECTURE, KWARGS))
    assert spec.name == "run-7"
    assert any(note.topic == "name" for note in spec.notes)
    assert named_spec(str(spec.checkpoint), NamedOptions(ARCHITECTURE, KWARGS, "mine")).name == "mine"


def test_another_architecture_than_the_file_says_is_said(tmp_path: Path, checkpoint: Path) -> None:
    """And so is that the preprocessing beside it is of no account then."""
    file = tmp_path / "m" / "m.safetensors"
    file.parent.mkdir()
    file.write_bytes(checkpoint.read_bytes())
    config = {"architecture": "deit_tiny_patch16_224", "pretrained_cfg": {"crop_pct": 0.5}}
    (file.parent / "config.json").write_text(json.dumps(config))
    spec = named_spec(str(file), NamedOptions(ARCHITECTURE, KWARGS))
    assert spec.preprocessing["crop_pct"] != 0.5
    (note,) = [note for note in spec.notes if note.topic == "architecture"]
    assert note.value == ARCHITECTURE
    assert "says deit_tiny_patch16_224, so that its preprocessing does not count" in note.origin
    same = named_spec(str(file), NamedOptions("deit_tiny_patch16_224", KWARGS))
    assert same.preprocessing["crop_pct"] == 0.5
    assert "architecture" not in {note.topic for note in same.notes}


def test_a_folder_that_holds_one_checkpoint_is_that(tmp_path: Path) -> None:
    """With timm's config.json, architecture, arguments and preprocessing come from it; several files are listed."""
    save_for_hf(tiny_vit(), tmp_path / "hub", safe_serialization=True, data_config={"crop_pct": 0.7})
    (tmp_path / "hub" / "optimizer.pt").touch()
    spec = named_spec(str(tmp_path / "hub"), NamedOptions())
    assert (spec.name, spec.architecture, spec.model_kwargs["embed_dim"]) == ("hub", ARCHITECTURE, 24)
    assert (spec.preprocessing["crop_pct"], spec.preprocessing["input_size"]) == (0.7, [3, 32, 32])
    assert {"file", "architecture"} <= {note.topic for note in spec.notes}
    spec.load_module()
    torch.save(tiny_vit().state_dict(), tmp_path / "hub" / "b.pth")
    with pytest.raises(InputError, match=r"holds 2 checkpoints: b\.pth, model\.safetensors"):
        named_spec(str(tmp_path / "hub"), NamedOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no checkpoint"):
        named_spec(str(tmp_path / "empty"), NamedOptions(ARCHITECTURE))


def test_model_kwargs_are_json_or_python_or_text() -> None:
    """A user of Python types False, one of JSON false: neither is the text that counts as true."""
    given = ["a=False", "b=true", "c=None", "d=32", "e=avg", "f=[1, 2]"]
    expected = {"a": False, "b": True, "c": None, "d": 32, "e": "avg", "f": [1, 2]}
    assert parse_model_kwargs(given) == expected
    with pytest.raises(InputError, match="NaN is no number of JSON"):
        parse_model_kwargs(["drop_rate=NaN"])
    with pytest.raises(InputError, match="give each a --model-kwargs of its own"):
        parse_model_kwargs(["img_size=32,patch_size=4"])


@pytest.mark.parametrize(
    "architecture", ["resnet10t", "mobilenetv3_small_050", "deit_tiny_distilled_patch16_224", "convnext_atto"]
)
def test_how_many_classes_a_head_has_is_read_in_the_file(tmp_path: Path, architecture: str) -> None:
    save_file(timm.create_model(architecture, num_classes=7).state_dict(), tmp_path / "seven.safetensors")
    spec = named_spec(str(tmp_path / "seven.safetensors"), NamedOptions(architecture))
    assert (spec.model_kwargs["num_classes"], spec.load_module().num_classes) == (7, 7)
    (note,) = [note for note in spec.notes if note.topic == "head"]
    assert (note.value, note.origin) == ("of 7 classes, as num_classes=7", "its arrays in seven.safetensors")
    stated = named_spec(str(tmp_path / "seven.safetensors"), NamedOptions(architecture, {"num_classes": 5}))
    with pytest.raises(InputError, match="Its head has 7 classes"):
        stated.load_module()
