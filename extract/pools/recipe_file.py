"""Recipes of models in JSON: one object per model, also in the layout of the model-soups paper (`hparam_info.json`)."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from extract.models.sources import as_json, of_json
from featurestore.errors import InputError
from featurestore.layout.tables import RECIPE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from extract.models import ModelSpec

TABLE_NAME = "hparam_info.json"
_JSON = "recipe"
_LISTED = 4
_COLUMNS = {"aug": "augmentation", "wd": "weight_decay", "lr": "finetune_lr", "epochs": "finetune_epochs"}
_KNOWN = {*_COLUMNS, *RECIPE_COLUMNS, _JSON}


@dataclass(frozen=True, slots=True)
class RecipeTable:
    """Recipes by model name, and the keys that are no columns: they are kept in the recipe's JSON.

    Attributes:
        file: Where they stand.
        recipes: Columns of the `models` table, by the name of a model or of its checkpoint file without the ending.
        others: The keys that are no columns.
    """

    file: Path
    recipes: Mapping[str, Mapping[str, Any]]
    others: tuple[str, ...]

    def of(self, spec: ModelSpec) -> Mapping[str, Any]:
        """The recipe of a model; empty where the file has none."""
        return next((self.recipes[name] for name in _names(spec) if name in self.recipes), {})

    def remarks(self, specs: Sequence[ModelSpec]) -> Iterator[str]:
        """What a reader of the file would want to know: keys without a column, models that one side does not name."""
        for name in self.others:
            hint = difflib.get_close_matches(name, [*RECIPE_COLUMNS, *_COLUMNS], n=1, cutoff=0.7)
            meant = f" Did you mean {hint[0]}?" if hint else ""
            yield f"{self.file}: {name} is no column of models, and is kept in the recipe's JSON.{meant}"
        unnamed = [spec.name for spec in specs if not self.of(spec)]
        if unnamed:
            yield f"{self.file} has no recipe of {_listed(unnamed)}."
        known = {name for spec in specs for name in _names(spec)}
        unused = [name for name in self.recipes if name not in known]
        if unused:
            yield f"{self.file}: no model of this job is called {_listed(unused)}."


def read_recipes(file: Path) -> RecipeTable:
    """Read a table of recipes: an object per model, whose keys are columns of `models`, or the short ones of model-soups.

    Raises:
        InputError: The file cannot be read, is not an object of objects, or a value does not fit its column.
    """
    try:
        table = of_json(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"Cannot read the recipes {file}: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"The recipes {file} are not JSON: {error}.") from error
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise InputError(f'The recipes {file} must be a JSON object such as {{"model_1": {{"lr": 1e-05, "wd": 0.1}}}}.')
    others = dict.fromkeys(name for entry in table.values() for name in entry if name not in _KNOWN)
    recipes = {name: soups_recipe(entry, f"{file}, {name}") for name, entry in table.items()}
    return RecipeTable(file, recipes, tuple(others))


def soups_recipe(entry: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """One model's recipe as columns of the `models` table; what has no column goes into its JSON.

    >>> soups_recipe({"aug": None, "wd": 0.1, "lr": 1e-05, "mix": 0, "smoothing": 0, "epochs": 4})["finetune_epochs"]
    4.0
    """
    recipe: dict[str, Any] = {}
    for name, value in entry.items():
        column = _COLUMNS.get(name, name)
        if column in recipe:
            raise InputError(f"{place}: {column} is given twice.")
        if column in RECIPE_COLUMNS and (value is not None or name == "aug"):
            recipe[column] = "none" if value is None else _value(value, name, RECIPE_COLUMNS[column].type, place)
    rest = {name: value for name, value in entry.items() if name not in _KNOWN}
    given = entry.get(_JSON, {})
    if not isinstance(given, dict):
        raise InputError(f"{place}: {_JSON} must be an object, not {given!r}.")
    return {**recipe, **({_JSON: as_json({**given, **rest})} if given or rest else {})}


def _value(value: Any, name: str, type_: pa.DataType, place: str) -> Any:
    """A value as its column holds it."""
    try:
        if pa.types.is_string(type_):
            return str(value)
        if pa.types.is_list(type_):
            return [str(name) for name in _list(value)]
        return pa.scalar(float(value) if pa.types.is_floating(type_) else value, type_).as_py()
    except (TypeError, ValueError, pa.ArrowException) as error:
        kind = "a list of names" if pa.types.is_list(type_) else "a number"
        raise InputError(f"{place}: {name} must be {kind}, not {value!r}.") from error


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise TypeError


def _names(spec: ModelSpec) -> list[str]:
    return [spec.name, *([spec.checkpoint.stem] if spec.checkpoint else [])]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
