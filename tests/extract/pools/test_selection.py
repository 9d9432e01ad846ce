"""A pool runs what is there, tells what is not, and can be cut into shards."""

from __future__ import annotations

import csv
import itertools
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.pools import POOLS, named_pool
from extract.pools.selection import ModelSelection, cut, parse_shard, select
from featurestore import InputError, MissingError
from tests.extract.conftest import quiet
from tests.tiny import ARCHITECTURE, KWARGS

if TYPE_CHECKING:
    from pathlib import Path


def test_an_unknown_pool_gets_the_nearest() -> None:
    with pytest.raises(MissingError, match="did you mean 'vit-ood-2024'"):
        select(ModelSelection(pool="vit-ood-2023"), quiet)
    with pytest.raises(InputError, match=r"Cannot read the pool gone\.csv"):
        select(ModelSelection(pool="gone.csv"), quiet)


def test_a_pool_of_files_wants_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gs://vit_models.*--checkpoints DIR"):
        select(ModelSelection(pool="vit-ood-2024"), quiet)
    with pytest.raises(InputError, match="no folder"):
        select(ModelSelection(pool="vit-ood-2024", checkpoints=tmp_path / "gone"), quiet)


@pytest.mark.parametrize("name", POOLS)
def test_what_is_missing_is_counted_and_the_first_are_named(tmp_path: Path, name: str) -> None:
    lines: list[str] = []
    with pytest.raises(InputError, match="None of the"):
        select(ModelSelection(pool=name, checkpoints=tmp_path), lines.append)
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
    specs = select(ModelSelection(pool=str(pool), checkpoints=pool.parent / "weights"), lines.append)
    assert [(spec.name, spec.recipe) for spec in specs] == [("a", {"weight_decay": 0.1}), ("c", {"weight_decay": 0.1})]
    assert lines == [
        f"1 of 3 checkpoints are not in {pool.parent / 'weights'}; get them from:",
        "  gs://bucket/b.safetensors",
    ]


def test_without_a_folder_every_checkpoint_must_lie_beside_the_file(pool: Path) -> None:
    with pytest.raises(InputError, match=r"no checkpoint .*a\.safetensors of model 'a'.*--checkpoints DIR"):
        select(ModelSelection(pool=str(pool)), quiet)


def test_shards_do_not_depend_on_what_is_there(pool: Path) -> None:
    """Jobs that start while files still arrive do not take each other's models."""
    lines: list[str] = []
    chosen = ModelSelection(pool=str(pool), checkpoints=pool.parent / "weights", shard="3/3")
    assert [spec.name for spec in select(chosen, lines.append)] == ["c"]
    assert lines == []
    nobody = ModelSelection(pool=str(pool), checkpoints=pool.parent / "weights", shard="9/9")
    assert select(nobody, lines.append) == []
    assert lines == ["shard 9/9 of 3 models is empty"]


def test_named_models_are_cut_too() -> None:
    names = ["resnet18.a1_in1k", "resnet34.a1_in1k", "resnet50.a1_in1k"]
    assert [spec.name for spec in select(ModelSelection(models=names, shard="2/2"), quiet)] == ["resnet34.a1_in1k"]


@given(st.lists(st.integers()), st.integers(1, 40))
def test_every_model_is_in_exactly_one_shard(items: list[int], count: int) -> None:
    """Shards are a partition of nearly equal parts, the same each time."""
    shards = [cut(items, f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(itertools.chain(*shards)) == sorted(items)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert cut(items, None) == items


@pytest.mark.parametrize("shard", ["17/16", "0/4", "0/0", "x", "3", "-1/4", "1/4/2", "1.5/4", "", "3/16 "])
def test_there_is_no_such_shard(shard: str) -> None:
    with pytest.raises(InputError, match=r"There is no shard|--shard takes N/COUNT"):
        parse_shard(shard)
    with pytest.raises(InputError, match=r"There is no shard|--shard takes N/COUNT"):
        select(ModelSelection(models=["resnet18.a1_in1k"], shard=shard), quiet)
