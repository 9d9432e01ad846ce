"""Correcting recipes: the row of the model changes, as an extraction that states it would change it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from featurestore import InputError, MissingError
from featurestore.edit import carry_out, correction, read_inventory
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from tests.pipeline import write_pool

if TYPE_CHECKING:
    from featurestore import Lake
    from tests.pipeline import Commands


def row(lake: Lake, model: str) -> dict[str, Any]:
    (found,) = lake.read("models", model=model).to_pylist()
    return dict(found)


def correct(lake: Lake, model: str, *assignments: str) -> list[str]:
    edit = correction(read_inventory(lake.storage), model, assignments)
    carry_out(lake.storage, edit)
    return list(edit.notes)


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """A model and a layer of it, and another model."""
    rest = json.dumps({"inferred": ["by its name"]})
    for name in ("vit", "vit@blocks.6", "vit-2"):
        target = writing.Target(TABLES["models"], {"model": name}, {"weights_sha256": name, "weight_decay": 0.3}, {})
        told = dict.fromkeys(TABLES["models"].columns.names) | {"weight_decay": 0.3, "recipe": rest}
        writing.write_part(
            lake.storage, target, pa.Table.from_pylist([told], TABLES["models"].columns), replacing=False
        )
    return lake


def test_a_recipe_is_corrected_as_the_pool_that_states_it_would(copied: Commands) -> None:
    """Then extraction with that pool finds all of it there, and scores stay."""
    before = {table: copied.lake.partitions(table) for table in ("activations", "scores", "metrics", "heads")}
    said = copied.ok("model", "set", "a", "weight_decay=0.7", "augmentation=light1")
    assert said == "a: weight_decay 0.1 -> 0.7, augmentation unknown -> light1\n"
    assert {table: copied.lake.partitions(table) for table in before} == before
    held = copied.lake.partitions("models", model="a")
    pool = write_pool(copied.folder / "models", {"a": 1})
    lines = pool.read_text().replace("0.1,", "0.7,light1,").replace("weight_decay,", "weight_decay,augmentation,")
    pool.write_text(lines)
    copied.ok("dataset", "set", "unit-tests", "--group", "synthetic")
    assert "recipe corrected" not in copied.ok("extract", "--pool", pool, "--dataset", "far")
    assert copied.lake.partitions("models", model="a") == held
    query = "select weight_decay, augmentation, pretraining, model_kwargs <> '{}' from models where model = 'a'"
    assert copied.lake.sql(query).fetchall() == [(0.7, "light1", "scratch", True)]


def test_values_have_their_columns_types(filled: Lake) -> None:
    correct(filled, "vit", "finetune_steps=20000", "soup_of=a, b", "dropout=1e-1", "pretraining=in21k")
    found = row(filled, "vit")
    assert (found["finetune_steps"], found["soup_of"]) == (20_000, ["a", "b"])
    assert (found["dropout"], found["pretraining"]) == (0.1, "in21k")
    assert filled.partitions("models", model="vit")[0].parts[0].ingredients["soup_of"] == ["a", "b"]
    correct(filled, "vit", 'soup_of=["c"]')
    assert row(filled, "vit")["soup_of"] == ["c"]


def test_the_layers_of_a_model_are_corrected_with_it_and_nothing_else_changes(filled: Lake) -> None:
    others = row(filled, "vit-2"), row(filled, "vit") | {"weight_decay": 0.1}
    notes = correct(filled, "vit", "weight_decay=0.1")
    assert notes == ["weight_decay 0.3 -> 0.1", "weight_decay 0.3 -> 0.1 (vit@blocks.6)"]
    assert row(filled, "vit@blocks.6")["weight_decay"] == 0.1
    assert (row(filled, "vit-2"), row(filled, "vit")) == others


@pytest.mark.parametrize("unknown", ["weight_decay=", "weight_decay=null"])
def test_a_value_that_is_not_known_is_no_ingredient(filled: Lake, unknown: str) -> None:
    correct(filled, "vit", unknown)
    assert row(filled, "vit")["weight_decay"] is None
    assert "weight_decay" not in filled.partitions("models", model="vit")[0].parts[0].ingredients


def test_what_the_lake_says_already_is_no_commit(filled: Lake) -> None:
    correct(filled, "vit", "weight_decay=0.3", "dropout=null")
    assert filled.partitions("models", model="vit")[0].version == 1


@pytest.mark.parametrize(
    ("assignments", "error", "said"),
    [
        (["weight_decy=1"], MissingError, "did you mean 'weight_decay'"),
        (["params=1"], MissingError, "There is no column of a model's training 'params'"),
        (["weight_decay=heavy"], InputError, "must be a number"),
        (["weight_decay=nan"], InputError, "must be a number"),
        (["finetune_steps=1.5"], InputError, "must be a whole number"),
        (["soup_of=[a"], InputError, "must be a list of names"),
        (["dropout"], InputError, "write dropout=VALUE"),
        ([], InputError, "Say what to correct"),
    ],
)
def test_what_cannot_be_said_is_a_sentence(filled: Lake, assignments: list[str], error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        correct(filled, "vit", *assignments)
    with pytest.raises(MissingError, match="did you mean 'vit-2'"):
        correct(filled, "vit-3", "dropout=0")


def test_an_ensemble_has_no_recipe_to_correct(copied: Commands) -> None:
    copied.ok("score", "--ensemble", "mean=a/msp,b/msp")
    assert "mean is an ensemble" in copied.refused("model", "set", "mean", "dropout=0")
