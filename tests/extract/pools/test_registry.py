"""Pools: the shipped ones are what the papers say; a pool runs what is there, tells what is not, and can be cut."""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import timm
from hypothesis import given
from hypothesis import strategies as st

from extract.models.sources.augreg import parse_augreg
from extract.pools import POOLS, maha_pp_2025, named_pool
from extract.pools.recipe_file import read_recipes
from extract.pools.selection import Selection, select
from extract.pools.shards import cut, parse_shard
from extract.pools.vit_ood_2024 import augreg_names
from featurestore import InputError, MissingError
from featurestore.layout.tables import RECIPE_COLUMNS
from featurestore.names import check_slug
from tests.extract.conftest import ARCHITECTURE, KWARGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from extract.pools.entry import Entry

AUGREG = (
    "pretraining",
    "pretrain_epochs",
    "pretrain_lr",
    "augmentation",
    "weight_decay",
    "dropout",
    "stochastic_depth",
)
FINETUNING = ("finetune_dataset", "finetune_steps", "finetune_lr")
EXAMPLE = "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0--imagenet2012-steps_20k-lr_0.03-res_224"


@pytest.fixture(scope="module")
def paper() -> list[Entry]:
    return list(named_pool("vit-ood-2024").entries())


def test_the_paper_s_pool_has_224_augreg_models_and_72_finetunes(paper: list[Entry]) -> None:
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


def test_its_files_are_published_under_their_own_names(paper: list[Entry]) -> None:
    published = {entry.name: entry.published for entry in paper}
    assert published[EXAMPLE.lower()] == f"gs://vit_models/augreg/{EXAMPLE}.npz"
    assert published["model_71"].endswith("/model_71.pt")
    assert all(entry.published.endswith(f"/{entry.file}") for entry in paper)


def test_timm_s_own_augreg_b16_models_are_among_its_files(paper: list[Entry]) -> None:
    """The names are those of real files: timm's finetuned ViT-B/16 of 224 and 384 pixels come from four of them."""
    files = {entry.file for entry in paper}
    names = ["augreg_in1k", "augreg_in21k_ft_in1k"]
    urls = [timm.get_pretrained_cfg(f"vit_base_patch16_{size}.{name}").url for size in (224, 384) for name in names]
    assert {url.rpartition("/")[2] for url in urls} <= files


def test_its_recipes_are_complete(paper: list[Entry]) -> None:
    for entry in paper:
        assert set(entry.recipe) <= {*RECIPE_COLUMNS, "recipe"}
        if entry.file.endswith(".npz"):
            assert set(entry.recipe) == {*AUGREG, *FINETUNING}
        elif entry.name != "model_0":
            expected = {"augmentation", "weight_decay", "finetune_lr", "finetune_epochs", "recipe"}
            assert set(entry.recipe) == {"pretraining", "finetune_dataset", *expected}
            assert set(json.loads(entry.recipe["recipe"])) == {"mix", "smoothing"}
    assert json.loads({entry.name: entry.recipe for entry in paper}["model_0"]["recipe"]) == {
        "info": "LP initialization"
    }


def test_every_augreg_model_has_a_partner_in_every_ingredient() -> None:
    """The pool is a full grid, so that each ingredient can be compared all else equal."""
    parsed = [parse_augreg(name) for name in augreg_names()]
    points = [(model.resolution, *sorted(model.recipe.items())) for model in parsed if model]
    levels = {
        "augmentation": 7,
        "weight_decay": 2,
        "dropout": 2,
        "pretraining": 2,
        "finetune_lr": 2,
    }
    assert len(set(points)) == 224
    for ingredient, count in levels.items():
        tied = {ingredient, "stochastic_depth"} if ingredient == "dropout" else {ingredient}
        rest = Counter((point[0], *(item for item in point[1:] if item[0] not in tied)) for point in points)
        assert set(rest.values()) == {count}


def test_the_shipped_soups_table_reads_as_the_published_layout(tmp_path: Path, paper: list[Entry]) -> None:
    """The same recipe in `hparam_info.json`'s layout gives the same columns."""
    entry = next(entry for entry in paper if entry.name == "model_4")
    layout = {"aug": "rand-m7-n1", "wd": 0.00408386148389339, "lr": 1.1340475902104863e-06, "epochs": 5}
    table = {"model_4": {**layout, "mix": 0.6279559421375438, "smoothing": 0.0}}
    (tmp_path / "hparam_info.json").write_text(json.dumps(table))
    read = read_recipes(tmp_path / "hparam_info.json")["model_4"]
    assert {**read, "pretraining": "clip-openai", "finetune_dataset": "in1k"} == entry.recipe


def test_the_other_pool_is_of_weights_that_timm_publishes() -> None:
    published = set(timm.list_pretrained())
    entries = named_pool("maha-pp-2025").entries()
    assert {entry.architecture for entry in entries} <= published
    assert len({entry.name for entry in entries}) == 42
    assert set(maha_pp_2025.unmapped()) == {"ResNet50-supcon", "ViT-L16-In21k-orig"}
    assert all(maha_pp_2025.unmapped().values())


def test_an_unknown_pool_gets_the_nearest(quiet: Callable[[str], None]) -> None:
    with pytest.raises(MissingError, match="did you mean 'vit-ood-2024'"):
        select(Selection(pool="vit-ood-2023"), quiet)
    with pytest.raises(InputError, match=r"Cannot read the pool gone\.csv"):
        select(Selection(pool="gone.csv"), quiet)


def test_a_pool_of_files_wants_a_folder(tmp_path: Path, quiet: Callable[[str], None]) -> None:
    with pytest.raises(InputError, match=r"gs://vit_models.*--checkpoints DIR"):
        select(Selection(pool="vit-ood-2024"), quiet)
    with pytest.raises(InputError, match="no folder"):
        select(Selection(pool="vit-ood-2024", checkpoints=tmp_path / "gone"), quiet)


@pytest.mark.parametrize("name", POOLS)
def test_what_is_missing_is_counted_and_the_first_are_named(tmp_path: Path, name: str) -> None:
    lines: list[str] = []
    with pytest.raises(InputError, match="None of the"):
        select(Selection(pool=name, checkpoints=tmp_path), lines.append)
    lines = lines[-6:]
    total = len(named_pool(name).entries())
    assert lines[0] == f"{total} of {total} checkpoints are not in {tmp_path}; get them from:"
    assert lines[1] == f"  {named_pool(name).entries()[0].published}"
    assert lines[5] == f"  and {total - 4} more"


@pytest.fixture
def pool(tmp_path: Path, checkpoint: Path) -> Path:
    """A pool of three, of which the second is not there."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("a", "c"):
        (folder / f"{name}.safetensors").write_bytes(checkpoint.read_bytes())
    with (tmp_path / "pool.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "checkpoint", "architecture", "model_kwargs", "published", "weight_decay"])
        for name in "abc":
            where = f"gs://bucket/{name}.safetensors"
            writer.writerow([name, f"{name}.safetensors", ARCHITECTURE, json.dumps(KWARGS), where, 0.1])
    return tmp_path / "pool.csv"


def test_what_is_there_runs_and_what_is_not_is_listed(pool: Path) -> None:
    lines: list[str] = []
    specs = select(Selection(pool=str(pool), checkpoints=pool.parent / "weights"), lines.append)
    assert [(spec.name, spec.recipe) for spec in specs] == [("a", {"weight_decay": 0.1}), ("c", {"weight_decay": 0.1})]
    assert lines == [
        f"1 of 3 checkpoints are not in {pool.parent / 'weights'}; get them from:",
        "  gs://bucket/b.safetensors",
    ]


def test_without_a_folder_every_checkpoint_must_lie_beside_the_file(pool: Path, quiet: Callable[[str], None]) -> None:
    with pytest.raises(InputError, match=r"no checkpoint .*a\.safetensors of model 'a'.*--checkpoints DIR"):
        select(Selection(pool=str(pool)), quiet)


def test_shards_do_not_depend_on_what_is_there(pool: Path) -> None:
    """Jobs that start while files still arrive do not take each other's models."""
    lines: list[str] = []
    chosen = Selection(pool=str(pool), checkpoints=pool.parent / "weights", shard="3/3")
    assert [spec.name for spec in select(chosen, lines.append)] == ["c"]
    assert lines == []
    nobody = Selection(pool=str(pool), checkpoints=pool.parent / "weights", shard="9/9")
    assert select(nobody, lines.append) == []
    assert lines == ["shard 9/9 of 3 models is empty"]


def test_named_models_are_cut_too(quiet: Callable[[str], None]) -> None:
    names = ["resnet18.a1_in1k", "resnet34.a1_in1k", "resnet50.a1_in1k"]
    assert [spec.name for spec in select(Selection(models=names, shard="2/2"), quiet)] == ["resnet34.a1_in1k"]


@given(st.lists(st.integers()), st.integers(1, 40))
def test_every_model_is_in_exactly_one_shard(items: list[int], count: int) -> None:
    """Shards are a partition of nearly equal parts, the same each time."""
    shards = [cut(items, f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(itertools.chain(*shards)) == sorted(items)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert cut(items, None) == items


@pytest.mark.parametrize("shard", ["17/16", "0/4", "0/0", "x", "3", "-1/4", "1/4/2", "1.5/4", "", "3/16 "])
def test_there_is_no_such_shard(shard: str, quiet: Callable[[str], None]) -> None:
    with pytest.raises(InputError, match="shard"):
        parse_shard(shard)
    with pytest.raises(InputError, match="shard"):
        select(Selection(models=["resnet18.a1_in1k"], shard=shard), quiet)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "are not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"m": 1}', "must be a JSON object"),
        ('{"m": {"wd": null}}', "wd must be a number, not None"),
    ],
)
def test_a_broken_recipe_table_is_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_recipes(tmp_path / "r.json")
    with pytest.raises(InputError, match="Cannot read the recipes"):
        read_recipes(tmp_path / "gone.json")
