"""The demo's pool: a factorial of recipes, trained to the same loadable weights every time, and only once."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from extract.demo.recipes import POOL, PRETRAININGS, Recipe, pool_row
from extract.demo.train import Schedule, load_samples, read_folder, train_pool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

INGREDIENTS = ("pretraining", "weight_decay", "dropout", "finetune_lr")
TINY = tuple(
    Recipe(pretraining, weight_decay=0.01, dropout=0.1, finetune_lr=2e-3, finetune_epochs=1, pretrain_epochs=1)
    for pretraining in PRETRAININGS
)


class Demo:
    """Two small image folders, and the pool trained on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pretrain = write_squares(root / "pretrain", classes=10)
        self.fit = write_squares(root / "fit", classes=7)

    def train(self, recipes: Sequence[Recipe] = TINY, out: str = "pool") -> tuple[Path, list[str]]:
        said: list[str] = []
        path = train_pool(self.pretrain, self.fit, self.fit, self.root / out, said.append, recipes=recipes)
        return path, said


def write_squares(folder: Path, classes: int) -> Path:
    for label in range(classes):
        directory = folder / f"class-{label}"
        directory.mkdir(parents=True)
        for number in range(4):
            Image.new("L", (32, 32), color=20 * label + number).save(directory / f"{number}.png")
    return folder


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


@pytest.mark.parametrize("ingredient", INGREDIENTS)
def test_every_recipe_has_a_partner_in_every_ingredient(ingredient: str) -> None:
    """For each ingredient, the pool is pairs that differ in it alone."""
    pairs = [
        (one, other)
        for one, other in combinations(POOL, 2)
        if [name for name in INGREDIENTS if getattr(one, name) != getattr(other, name)] == [ingredient]
    ]
    assert len(pairs) == len(POOL) / 2
    for one, other in pairs:
        assert one.finetune_epochs == other.finetune_epochs


def test_names_are_distinct_slugs() -> None:
    """A model's name can be a key of the lake and tells it from the others."""
    assert len({recipe.name for recipe in POOL}) == len(POOL) == 16
    assert all(re.fullmatch(r"[a-z0-9._-]+", recipe.name) for recipe in POOL)


def test_rows_leave_unused_ingredients_empty() -> None:
    """A model from scratch has no pretraining to describe."""
    scratch, pretrained = map(pool_row, TINY)
    assert (scratch["pretrain_epochs"], scratch["pretrain_lr"]) == ("", "")
    assert (pretrained["pretrain_epochs"], pretrained["pretrain_lr"]) == ("1", "0.003")


def test_trained_weights_fit_the_model_of_their_row(demo: Demo) -> None:
    """The CSV's architecture and arguments build the network that the checkpoint fills, key by key; pretraining tells."""
    path, said = demo.train()
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["model"] for row in rows] == [recipe.name for recipe in TINY]
    for row in rows:
        model = timm.create_model(row["architecture"], **json.loads(row["model_kwargs"]))
        model.load_state_dict(load_file(path.parent / row["checkpoint"]), strict=True)
        with torch.inference_mode():
            assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 7)
    scratch, pretrained = (load_file(path.parent / row["checkpoint"])["cls_token"] for row in rows)
    assert not torch.equal(scratch, pretrained)
    assert all(re.fullmatch(r"vit-.*: trained in [0-9.]+ s, accuracy [0-9.]+%", sentence) for sentence in said)


def test_second_run_reuses_every_checkpoint(demo: Demo) -> None:
    """Nothing is trained or rewritten when the recipes and the images are the same."""
    path, _ = demo.train()
    before = {file: file.stat().st_mtime_ns for file in path.parent.glob("*.safetensors")}
    _, said = demo.train()
    assert said == [f"{recipe.name}: reused" for recipe in TINY]
    assert {file: file.stat().st_mtime_ns for file in path.parent.glob("*.safetensors")} == before
    assert {file.suffix for file in path.parent.iterdir()} == {".csv", ".safetensors"}


def test_damaged_or_outdated_checkpoints_are_trained_again(demo: Demo) -> None:
    """A truncated file, another recipe under the same name and other images each lead to new weights."""
    recipe = TINY[0]
    path, _ = demo.train([recipe])
    (path.parent / recipe.checkpoint).write_bytes(b"truncated")
    assert "trained" in demo.train([recipe])[1][0]
    assert "trained" in demo.train([replace(recipe, finetune_epochs=2)])[1][0]
    Image.new("L", (32, 32), color=255).save(demo.fit / "class-0" / "0.png")
    assert "trained" in demo.train([replace(recipe, finetune_epochs=2)])[1][0]


def test_training_is_deterministic_and_leaves_torch_as_it_was(demo: Demo) -> None:
    """Two trainings give the same bytes, whatever the global seed, which they do not move."""
    torch.manual_seed(1)
    first, _ = demo.train(out="first")
    torch.manual_seed(2)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    second, _ = demo.train(tuple(reversed(TINY)), out="second")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    for recipe in TINY:
        one, other = (load_file(path.parent / recipe.checkpoint) for path in (first, second))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_images_are_preprocessed_as_the_pool_states(demo: Demo) -> None:
    """A constant image comes out constant, scaled from 0..255 to -1..1."""
    samples = load_samples(read_folder(demo.fit))
    assert samples.images.shape == (28, 3, 32, 32)
    assert samples.images[-1].numpy() == pytest.approx((123 / 255 - 0.5) / 0.5)


def test_learning_rate_warms_up_and_decays() -> None:
    """The rate starts small, peaks after the warm-up and ends near zero."""
    schedule = Schedule(epochs=1, peak_lr=1.0, weight_decay=0.0)
    rates = [schedule.lr(step, steps=100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0, abs=0.03)
    assert rates[-1] < 0.001
