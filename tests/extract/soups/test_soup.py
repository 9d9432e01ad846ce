"""Soups: the average of weights, and the greedy choice of what goes into it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from safetensors.torch import save_file

from extract.datasets import add_dataset
from extract.job.plan import Options
from extract.models.files import StoredWeights
from extract.models.network import LoadedModel
from extract.models.spec import ModelSpec
from extract.pools.naming import spec_from_file
from extract.soups.accuracy import Evaluation
from extract.soups.soup import SoupOptions, make_soup, soup_options
from featurestore import ConflictError, InputError, Lake, MissingError, NumericalError
from tests.extract import clip_names
from tests.extract.conftest import quiet, read, run, tiny_spec
from tests.extract.jax_arrays import augreg_arrays
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from collections.abc import Sequence

TAG = "augreg_in21k_ft_in1k"
OPTIONS = Options(device="cpu", batch_size=4, workers=0)


@pytest.fixture
def members(tmp_path: Path) -> list[ModelSpec]:
    return [_member(tmp_path, f"m{seed}", tiny_vit(seed).state_dict()) for seed in range(4)]


def _member(folder: Path, name: str, state: dict[str, Any], **recipe: Any) -> ModelSpec:
    save_file(state, folder / f"{name}.safetensors")
    return tiny_spec(folder / f"{name}.safetensors", name, recipe={"weight_decay": 0.1, **recipe})


def _uniform(folder: Path, name: str = "soup") -> SoupOptions:
    return SoupOptions("uniform", name, folder / "soups")


def _soup(lake: Lake, members: Sequence[ModelSpec], folder: Path, name: str = "soup") -> ModelSpec:
    return make_soup(lake, members, _uniform(folder, name), OPTIONS, quiet)


def test_a_uniform_soup_is_the_mean_of_the_weights(tmp_path: Path, lake: Lake, members: list[ModelSpec]) -> None:
    soup = _soup(lake, members, tmp_path)
    states = [load_file(spec.weights_file) for spec in members]
    averaged = load_file(soup.weights_file)
    assert averaged.keys() == states[0].keys()
    for name, value in averaged.items():
        expected = np.mean([state[name].astype(np.float64) for state in states], axis=0)
        np.testing.assert_array_equal(value, expected.astype(np.float32))
    assert soup.recipe == {"weight_decay": 0.1, "soup_of": ["m0", "m1", "m2", "m3"]}


def test_its_checksum_does_not_depend_on_order_or_place(tmp_path: Path, lake: Lake, members: list[ModelSpec]) -> None:
    first = _soup(lake, members, tmp_path)
    second = _soup(lake, members[::-1], tmp_path / "elsewhere")
    assert first.weights_sha256 == second.weights_sha256
    assert first.recipe == second.recipe
    renamed = [dataclasses.replace(spec, name=f"x{9 - number}") for number, spec in enumerate(members)]
    assert _soup(lake, renamed, tmp_path / "renamed").weights_sha256 == first.weights_sha256


def test_a_soup_s_architecture_does_not_depend_on_order(tmp_path: Path, lake: Lake, members: list[ModelSpec]) -> None:
    """Members may call it with timm's tag or without: the model's fingerprint holds whichever it is."""
    tagged = [*members[:1], *(dataclasses.replace(spec, architecture=f"{ARCHITECTURE}.{TAG}") for spec in members[1:])]
    soups = [_soup(lake, chosen, tmp_path) for chosen in (tagged, tagged[::-1])]
    assert soups[0].identity == soups[1].identity


def test_a_soup_that_is_there_is_not_made_again_and_another_is_not_overwritten(
    tmp_path: Path, lake: Lake, members: list[ModelSpec]
) -> None:
    said: list[str] = []
    make_soup(lake, members, _uniform(tmp_path), OPTIONS, said.append)
    file = _uniform(tmp_path).file
    before = file.stat().st_mtime_ns
    make_soup(lake, members, _uniform(tmp_path), OPTIONS, said.append)
    assert file.stat().st_mtime_ns == before
    assert "holds it already" in said[-1]
    with pytest.raises(ConflictError, match=r"another soup.*--replace"):
        make_soup(lake, members[:2], _uniform(tmp_path), OPTIONS, said.append)
    replacing = dataclasses.replace(OPTIONS, replacing=True)
    assert make_soup(lake, members[:2], _uniform(tmp_path), replacing, said.append).recipe["soup_of"] == ["m0", "m1"]
    file.write_bytes(b"precious")
    with pytest.raises(ConflictError, match="no soup"):
        make_soup(lake, members, _uniform(tmp_path), replacing, said.append)
    assert file.read_bytes() == b"precious"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_members_of_several_layouts_are_averaged_by_timm_s_names(
    tmp_path: Path, lake: Lake, members: list[ModelSpec]
) -> None:
    """An `.npz` of the same weights as a state dict gives the same average."""
    np.savez(tmp_path / "m1.npz", **augreg_arrays(tiny_vit(1), KWARGS))
    jax = ModelSpec("m1", ARCHITECTURE, tmp_path / "m1.npz", KWARGS)
    mixed = _soup(lake, [members[0], jax], tmp_path, "mixed")
    plain = _soup(lake, members[:2], tmp_path, "plain")
    np.testing.assert_equal(load_file(mixed.weights_file), load_file(plain.weights_file))


def test_a_soup_of_clip_finetunes_is_one_of_them(tmp_path: Path, lake: Lake) -> None:
    """It keeps OpenAI's names and the head that is fed unit features."""
    specs = []
    for seed in (0, 1):
        torch.save(clip_names.openai_state(*clip_names.tower(seed)), tmp_path / f"model_{seed}.pt")
        specs.append(
            spec_from_file(StoredWeights(tmp_path / f"model_{seed}.pt"), clip_names.ARCHITECTURE, clip_names.KWARGS)
        )
    soup = _soup(lake, specs, tmp_path)
    again = spec_from_file(StoredWeights(soup.weights_file), clip_names.ARCHITECTURE, clip_names.KWARGS)
    assert soup.normalizes
    assert again.identity == soup.identity
    images = torch.randn(2, 3, 64, 64)
    ours, theirs = (LoadedModel(spec, torch.device("cpu"))(images) for spec in (soup, again))
    np.testing.assert_equal(ours, theirs)


def _greedy(folder: Path) -> SoupOptions:
    return SoupOptions("greedy", "soup", folder / "soups", "val")


def _tuned(images: Path, seed: int, noise: float) -> dict[str, Any]:
    """A network that has learned the images by heart to some degree: its head is fitted to them, and then shaken."""
    module = tiny_vit(0)
    spec = ModelSpec("m", ARCHITECTURE, None, KWARGS)
    paths = sorted(images.rglob("*.png"))
    classes = sorted({path.parent.name for path in paths})
    with torch.inference_mode():
        pixels = torch.stack([spec.transform()(Image.open(path)) for path in paths])
        features = module.forward_head(module.forward_features(pixels), pre_logits=True).double()
    wanted = torch.nn.functional.one_hot(torch.tensor([classes.index(path.parent.name) for path in paths])).double()
    design = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    solution = torch.linalg.lstsq(design, wanted, driver="gelsd").solution
    generator = torch.Generator().manual_seed(seed)
    solution = solution + noise * torch.randn(solution.shape, generator=generator).double()
    state = dict(module.state_dict())
    return {**state, "head.weight": solution[:-1].T.float().contiguous(), "head.bias": solution[-1].float()}


def test_a_greedy_soup_is_at_least_as_accurate_as_its_best_member(tmp_path: Path, lake: Lake, images: Path) -> None:
    add_dataset(lake, "val", images, role="id")
    noises = (0.3, 2.0, 0.5, 0.4)
    specs = [_member(tmp_path, f"m{n}", _tuned(images, n, noise), seed=n) for n, noise in enumerate(noises)]
    said: list[str] = []
    soup = make_soup(lake, specs, _greedy(tmp_path), OPTIONS, said.append)
    judge = Evaluation.of(lake, "val", OPTIONS, "cpu")
    alone = dict(zip((spec.name for spec in specs), judge.accuracies(specs), strict=True))
    (accuracy,) = judge.accuracies([soup])
    assert accuracy >= max(alone.values())
    assert max(alone, key=alone.__getitem__) in soup.recipe["soup_of"]
    assert len(set(alone.values())) > 1
    assert soup.recipe["soup_of"] == sorted(
        {line.split()[2] for line in said if line.endswith("kept")} | {said[0].split()[3].rstrip(",")}
    )
    assert not list((tmp_path / "soups").glob("*trial*"))
    again = make_soup(lake, specs[::-1], _greedy(tmp_path), OPTIONS, said.append)
    assert "holds it already" in said[-1]
    assert again.recipe == soup.recipe


def test_accuracy_is_what_the_lake_would_say(val: Lake, members: list[ModelSpec]) -> None:
    """The judge's accuracies are those of the stored logits; it leaves nothing in the lake."""
    judged = Evaluation.of(val, "val", OPTIONS, "cpu").accuracies(members)
    assert not val.partitions("models")
    run(val, *members)
    for spec, accuracy in zip(members, judged, strict=True):
        _, label, _, logits = read(val, spec.name)
        assert accuracy == pytest.approx((logits.argmax(axis=1) == label).mean())


def test_what_cannot_be_averaged_is_a_sentence(
    tmp_path: Path, lake: Lake, images: Path, members: list[ModelSpec]
) -> None:
    first = members[0]

    def refused(others: list[ModelSpec], message: str, kind: type[Exception] = InputError) -> None:
        with pytest.raises(kind, match=message):
            _soup(lake, [first, *others], tmp_path)
        assert not _uniform(tmp_path).file.exists()

    refused([], "two models or more")
    refused([dataclasses.replace(first, name="twin")], "twin and m0 have the same weights")
    wider = tiny_vit(1, num_classes=5)
    lying = _member(tmp_path, "wider", wider.state_dict())
    refused([dataclasses.replace(lying, model_kwargs={**KWARGS, "num_classes": 5})], "they differ in arguments")
    refused([lying], r"its parameter head\.\w+ is not like theirs")
    state = tiny_vit(2).state_dict()
    state["norm.weight"][0] = torch.inf
    refused([_member(tmp_path, "broken", state)], r"norm\.weight is NaN or infinite", NumericalError)
    add_dataset(lake, "far", images, role="ood")
    with pytest.raises(InputError, match="no labels"):
        make_soup(lake, members, SoupOptions("greedy", "s", tmp_path, "far"), OPTIONS, quiet)
    with pytest.raises(MissingError, match="did you mean 'far'"):
        make_soup(lake, members, SoupOptions("greedy", "s", tmp_path, "fra"), OPTIONS, quiet)


def test_the_options_of_a_soup_belong_together() -> None:
    folder = Path("soups")
    assert soup_options(None, None, None, folder) is None
    assert soup_options("greedy", "s", "val", folder) == SoupOptions("greedy", "s", folder, "val")
    for kind, name, on, message in (
        (None, "s", None, "add --soup"),
        ("uniform", None, None, "--soup-name NAME"),
        ("uniform", "s", "val", "uniform one takes none"),
        ("greedy", "s", None, "needs --soup-on"),
        ("uniform", "S p", None, "use 's-p'"),
    ):
        with pytest.raises(InputError, match=message):
            soup_options(kind, name, on, folder)
    with pytest.raises(MissingError, match="did you mean 'greedy'"):
        soup_options("gredy", "s", "val", folder)
