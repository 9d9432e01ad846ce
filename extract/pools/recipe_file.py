"""Recipes in the layout of the model-soups paper: `hparam_info.json`, one object per model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from extract.models.sources import as_json
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TABLE_NAME = "hparam_info.json"
_COLUMNS = {"aug": "augmentation", "wd": "weight_decay", "lr": "finetune_lr", "epochs": "finetune_epochs"}


def read_recipes(file: Path) -> dict[str, dict[str, Any]]:
    """Read a table of recipes, by model name.

    Raises:
        InputError: The file cannot be read, or is not an object of objects.
    """
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read the recipes {file}: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"The recipes {file} are not JSON: {error}.") from error
    if not isinstance(table, dict) or not all(isinstance(entry, dict) for entry in table.values()):
        raise InputError(f'The recipes {file} must be a JSON object such as {{"model_1": {{"lr": 1e-05, "wd": 0.1}}}}.')
    return {name: soups_recipe(entry, f"{file}, {name}") for name, entry in table.items()}


def soups_recipe(entry: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """One model's recipe as columns of the `models` table; what has no column goes into its JSON.

    >>> soups_recipe({"aug": None, "wd": 0.1, "lr": 1e-05, "mix": 0, "smoothing": 0, "epochs": 4})["finetune_epochs"]
    4.0
    """
    recipe: dict[str, Any] = {
        column: _value(entry[name], name, place) for name, column in _COLUMNS.items() if name in entry
    }
    rest = {name: value for name, value in entry.items() if name not in _COLUMNS}
    return {**recipe, **({"recipe": as_json(rest)} if rest else {})}


def _value(value: Any, name: str, place: str) -> Any:
    if name == "aug":
        return "none" if value is None else str(value)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{place}: {name} must be a number, not {value!r}.") from error
