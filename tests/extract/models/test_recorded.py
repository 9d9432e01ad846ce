"""A lake's network built again: the same one, from where its files lay or lie now, or not at all."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from extract.models.network import LoadedModel
from extract.models.recorded import Places, recorded_spec
from featurestore.errors import ConflictError, InputError
from featurestore.layout.recorded_network import RecordedNetwork
from tests.extract.conftest import run, save_tiny, tiny_spec
from tests.tiny import tiny_vit

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from featurestore import Lake


def recorded(lake: Lake, model: str) -> RecordedNetwork:
    (row,) = lake.read("models", model=model).to_pylist()
    parts = {m.key["dataset"]: m.parts[0] for m in lake.partitions("activations", model=model)}
    return RecordedNetwork.of({**row, "model": model}, parts)


def head_file(path: Path) -> Path:
    generator = np.random.default_rng(0)
    arrays = {"weight": generator.normal(size=(5, 24)).astype(np.float32), "bias": np.ones(5, np.float32)}
    np.savez(path, **arrays, normalize=np.array(True))
    return path


def variants(folder: Path) -> list[ModelSpec]:
    """Models of which other things than usual are stated."""
    states = {"state_dict": tiny_vit(0).state_dict(), "state_dict_ema": tiny_vit(1).state_dict()}
    torch.save(states, folder / "both.pth")
    torch.save({f"body.{name}": value for name, value in tiny_vit(2).state_dict().items()}, folder / "other.pth")
    (folder / "map.json").write_text(json.dumps({"^body\\.": ""}))
    plain = save_tiny(folder / "plain.safetensors")
    return [
        tiny_spec(folder / "both.pth", "raw", which="raw"),
        tiny_spec(folder / "both.pth", "ema"),
        tiny_spec(folder / "other.pth", "mapped", key_map=folder / "map.json"),
        tiny_spec(plain, "headed", head_file=head_file(folder / "head.npz")),
        tiny_spec(plain, "layers", features=("penultimate", "blocks.0")),
        tiny_spec(plain, "prepared").stating(
            {"crop_pct": 0.7, "mean": (0.1, 0.2, 0.3), "interpolation": "bilinear"}, "stated"
        ),
    ]


def test_every_way_of_naming_a_network_is_recorded(val: Lake, tmp_path: Path) -> None:
    """Weights of a file that holds several, other names, a head of its own, layers, preprocessing: what is built gives the stored numbers."""
    specs = variants(tmp_path)
    run(val, *specs)
    names = [view.name for spec in specs for view in spec.views]
    assert "layers@blocks.0" in names
    for name in names:
        spec, module = recorded_spec(recorded(val, name))
        assert module is None
        made = {view.name: view for each in specs for view in each.views}[name]
        assert spec.identity == made.identity
        assert spec.resolved.values == made.resolved.values


def test_without_a_note_the_files_are_asked_for_and_known_by_their_hashes(val: Lake, tmp_path: Path) -> None:
    """As of lakes of earlier versions: each file has its option, and its bytes decide."""
    specs = variants(tmp_path)
    run(val, *specs)
    for name, options in [
        ("raw", {"checkpoint": tmp_path / "both.pth"}),
        ("ema", {"checkpoint": tmp_path / "both.pth"}),
        ("mapped", {"checkpoint": tmp_path / "other.pth", "key_map": tmp_path / "map.json"}),
        ("headed", {"checkpoint": tmp_path / "plain.safetensors", "head": tmp_path / "head.npz"}),
        ("layers@blocks.0", {"checkpoint": tmp_path / "plain.safetensors"}),
    ]:
        bare = dataclasses.replace(recorded(val, name), places={})
        for missing in options:
            given: Any = {option: path for option, path in options.items() if option != missing}
            with pytest.raises(
                InputError,
                match=f"does not say where the {missing.replace('_', ' ')} of .* --{missing.replace('_', '-')} FILE",
            ):
                recorded_spec(bare, Places(**given))
        assert recorded_spec(bare, Places(**options))[0].identity == recorded_spec(recorded(val, name))[0].identity


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"weights_sha256": "0" * 64},
            "holds other weights than tiny was extracted with .*begins with .*, not 000000000000",
        ),
        (
            {"feature": "of another layer"},
            r"differs in feature \(in the lake: of another layer, now: timm forward_head",
        ),
        (
            {"head_input": "feature / ||feature||"},
            r"differs in head_input \(in the lake: feature / \|\|feature\|\|, now: not there",
        ),
    ],
)
def test_what_would_be_another_network_is_refused(
    val: Lake, checkpoint: Path, change: dict[str, Any], said: str
) -> None:
    """With what differs."""
    run(val, tiny_spec(checkpoint))
    network = recorded(val, "tiny")
    changed = dataclasses.replace(network, ingredients={**network.ingredients, **change})
    with pytest.raises(ConflictError, match=said):
        recorded_spec(changed)


def test_a_head_that_is_known_is_not_checked_again_and_another_one_is_not_taken(checkpoint: Path) -> None:
    """Then no forward pass is run before the first image; where the network has another head, its own counts."""
    spec, cpu = tiny_spec(checkpoint), torch.device("cpu")
    checked = LoadedModel(spec, cpu)
    assert checked.head is not None
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    known = LoadedModel(spec, cpu, known=checked.head)
    for ours, theirs in zip(known(images), checked(images), strict=True):
        assert_array_equal(ours, theirs)
    assert (known.width, known.classes) == (checked.width, checked.classes)
    other = dataclasses.replace(checked.head, weight=checked.head.weight + 1)
    again = LoadedModel(spec, cpu, known=other).head
    assert again is not None
    assert_array_equal(again.weight, checked.head.weight)
    calls: list[int] = []
    module = spec.load_module()
    module.register_forward_hook(lambda *_: calls.append(1))
    module.blocks[0].register_forward_hook(lambda *_: calls.append(2))  # type: ignore[union-attr, index]
    LoadedModel(spec, cpu, known=checked.head, module=module)
    assert calls == []
