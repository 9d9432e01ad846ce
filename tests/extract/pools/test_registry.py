"""Pools: the shipped ones are what the papers say."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import timm

from extract.models.sources.augreg import parse_augreg
from extract.pools import maha_pp_2025, named_pool
from extract.pools.recipe_file import read_recipes
from extract.pools.vit_ood_2024 import CLIP, augreg_names
from featurestore.layout.tables import RECIPE_COLUMNS
from featurestore.names import check_slug
from tests.extract.models.sources.test_augreg import FULL, RECIPE

if TYPE_CHECKING:
    from pathlib import Path

    from extract.pools.entry import PoolEntry


@pytest.fixture(scope="module")
def paper() -> list[PoolEntry]:
    return list(named_pool("vit-ood-2024").entries())


def test_the_paper_s_pool_has_224_augreg_models_and_72_finetunes(paper: list[PoolEntry]) -> None:
    assert len(paper) == len({entry.name for entry in paper}) == len({entry.file for entry in paper}) == 296
    assert all(check_slug("model", entry.name) for entry in paper)
    augreg = [entry for entry in paper if entry.file.endswith(".npz")]
    assert len(augreg) == 224
    assert [entry.name for entry in paper if entry not in augreg] == [f"model_{number}" for number in range(72)]
    assert Counter(entry.architecture for entry in paper) == {
        "vit_base_patch16_224": 112,
        "vit_base_patch16_384": 112,
        "vit_base_patch32_clip_quickgelu_224": 72,
    }


def test_its_files_are_published_under_their_own_names(paper: list[PoolEntry]) -> None:
    published = {entry.name: entry.published for entry in paper}
    assert published[FULL.lower()] == f"gs://vit_models/augreg/{FULL}.npz"
    assert published["model_71"].endswith("/model_71.pt")
    assert all(entry.published.endswith(f"/{entry.file}") for entry in paper)


def test_timm_s_own_augreg_b16_models_are_among_its_files(paper: list[PoolEntry]) -> None:
    """The names are those of real files: timm's finetuned ViT-B/16 of 224 and 384 pixels come from four of them."""
    files = {entry.file for entry in paper}
    names = ["augreg_in1k", "augreg_in21k_ft_in1k"]
    urls = [timm.get_pretrained_cfg(f"vit_base_patch16_{size}.{name}").url for size in (224, 384) for name in names]
    assert {url.rpartition("/")[2] for url in urls} <= files


def test_its_recipes_are_complete(paper: list[PoolEntry]) -> None:
    for entry in paper:
        assert set(entry.recipe) <= {*RECIPE_COLUMNS, "recipe"}
        if entry.file.endswith(".npz"):
            assert set(entry.recipe) == set(RECIPE)
        elif entry.name != "model_0":
            expected = {"augmentation", "weight_decay", "finetune_lr", "finetune_epochs", "recipe"}
            assert set(entry.recipe) == {"pretraining", "checkpoint_id", "finetune_dataset", *expected}
            assert set(json.loads(entry.recipe["recipe"])) == {"mix", "smoothing"}
    finetunes = [entry for entry in paper if entry.recipe["pretraining"] == "clip-openai"]
    assert len(finetunes) == 72
    assert len({entry.recipe["checkpoint_id"] for entry in finetunes}) == 1
    first = next(entry for entry in paper if entry.name == "model_0")
    assert json.loads(first.recipe["recipe"]) == {"info": "LP initialization"}


def test_every_augreg_model_has_a_partner_in_every_ingredient() -> None:
    """The pool is a full grid, so that each ingredient can be compared all else equal."""
    parsed = [parse_augreg(name) for name in augreg_names()]
    points = [(model.resolution, *sorted(model.recipe.items())) for model in parsed if model]
    levels = {"augmentation": 7, "weight_decay": 2, "dropout": 2, "pretraining": 2, "finetune_lr": 2}
    assert len(set(points)) == 224
    for ingredient, count in levels.items():
        tied = {ingredient, "stochastic_depth"} if ingredient == "dropout" else {ingredient}
        rest = Counter((point[0], *(item for item in point[1:] if item[0] not in tied)) for point in points)
        assert set(rest.values()) == {count}


def test_the_shipped_soups_table_reads_as_the_published_layout(tmp_path: Path, paper: list[PoolEntry]) -> None:
    """The same recipe in `hparam_info.json`'s layout gives the same columns."""
    entry = next(entry for entry in paper if entry.name == "model_4")
    layout = {"aug": "rand-m7-n1", "wd": 0.00408386148389339, "lr": 1.1340475902104863e-06, "epochs": 5}
    table = {"model_4": {**layout, "mix": 0.6279559421375438, "smoothing": 0.0}}
    (tmp_path / "hparam_info.json").write_text(json.dumps(table))
    read = read_recipes(tmp_path / "hparam_info.json").recipes["model_4"]
    assert {**read, "pretraining": "clip-openai", "checkpoint_id": CLIP, "finetune_dataset": "in1k"} == entry.recipe


def test_the_other_pool_is_of_weights_that_timm_publishes() -> None:
    published = set(timm.list_pretrained())
    entries = named_pool("maha-pp-2025").entries()
    assert {entry.architecture for entry in entries} <= published
    assert len({entry.name for entry in entries}) == 42
    assert set(maha_pp_2025.unmapped()) == {"ResNet50-supcon", "ViT-L16-In21k-orig"}
    assert all(maha_pp_2025.unmapped().values())
