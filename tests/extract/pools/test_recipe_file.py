"""Recipes in a JSON file: what becomes columns of `models`, what does not, and what is said of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from extract.pools import ModelSelection, select
from extract.pools.recipe_file import read_recipes
from featurestore import InputError
from tests.tiny import ARCHITECTURE, KWARGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def _file(folder: Path, table: Mapping[str, Mapping[str, Any]]) -> Path:
    file = folder / "recipes.json"
    file.write_text(json.dumps(table))
    return file


def test_keys_are_columns_or_the_short_ones_and_null_is_unknown(tmp_path: Path) -> None:
    entry = {"weight_decay": 0.1, "lr": 1, "finetune_steps": 20, "soup_of": ["a"], "dropout": None, "aug": None}
    table = read_recipes(_file(tmp_path, {"m": entry}))
    stated = {"weight_decay": 0.1, "finetune_lr": 1.0, "finetune_steps": 20, "soup_of": ["a"], "augmentation": "none"}
    assert table.recipes == {"m": stated}
    assert not table.others


def test_a_key_that_is_no_column_is_kept_and_said(checkpoint: Path, tmp_path: Path) -> None:
    """So is a model that the file does not name, and a name that is no model's."""
    recipes = _file(tmp_path, {"tiny": {"weight_decy": 0.1, "seed": 3}, "other": {}})
    pairs = [f"{name}={value}" for name, value in KWARGS.items()]
    lines: list[str] = []
    chosen = ModelSelection([str(checkpoint), "resnet18.a1_in1k"], ARCHITECTURE, pairs, recipes=recipes)
    tiny, published = select(chosen, lines.append)
    assert json.loads(tiny.recipe["recipe"]) == {"weight_decy": 0.1, "seed": 3}
    assert "recipe" not in published.recipe
    assert lines == [
        f"{recipes}: weight_decy is no column of models, and is kept in the recipe's JSON. Did you mean weight_decay?",
        f"{recipes}: seed is no column of models, and is kept in the recipe's JSON.",
        f"{recipes} has no recipe of resnet18.a1_in1k.",
        f"{recipes}: no model of this job is called other.",
    ]


def test_a_recipe_that_is_given_goes_before_that_of_a_pool(checkpoint: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool.csv"
    pool.write_text(f"model,checkpoint,architecture,weight_decay,dropout\na,{checkpoint},{ARCHITECTURE},0.1,0.2\n")
    recipes = _file(tmp_path, {"a": {"weight_decay": 0.3}})
    (spec,) = select(ModelSelection(pool=str(pool), recipes=recipes), [].append)
    assert spec.recipe == {"weight_decay": 0.3, "dropout": 0.2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "are not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"m": 1}', "must be a JSON object"),
        ('{"m": {"wd": "much"}}', "wd must be a number, not 'much'"),
        ('{"m": {"finetune_steps": "1.5"}}', "finetune_steps must be a number"),
        ('{"m": {"soup_of": "a"}}', "soup_of must be a list of names"),
        ('{"m": {"wd": 1, "weight_decay": 2}}', "weight_decay is given twice"),
        ('{"m": {"wd": NaN}}', "NaN is no number of JSON"),
        ('{"m": {"recipe": 1}}', "recipe must be an object"),
    ],
)
def test_a_broken_recipe_table_is_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_recipes(tmp_path / "r.json")
    with pytest.raises(InputError, match="Cannot read the recipes"):
        read_recipes(tmp_path / "gone.json")
