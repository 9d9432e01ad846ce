"""Correcting what the lake says of a model's training: its row changes, and nothing else."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.edit.inventory import is_view_of
from featurestore.edit.steps import Edit, changed_row
from featurestore.errors import InputError
from featurestore.layout.tables import RECIPE_COLUMNS
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.edit.inventory import Inventory
    from featurestore.layout.fingerprint import Ingredient

_UNKNOWN = ("", "null")


def correction(inventory: Inventory, model: str, assignments: Sequence[str]) -> Edit:
    """Plan the correction of a model's recipe, in its row and in those of its layers.

    Args:
        inventory: What the lake holds.
        model: The model's name.
        assignments: `column=value`; nothing, or `null`, makes it unknown.

    Raises:
        MissingError: The lake has no such model, or models have no such column of their training.
        InputError: A value does not have its column's type; or the model is an ensemble, which was not trained.
    """
    rows = {manifest.key["model"]: manifest for manifest in inventory.table("models")}
    pick("model", model, rows)
    if model in inventory.ensembles:
        raise InputError(f"{model} is an ensemble, which was not trained: correct its members.")
    columns = dict(map(_assignment, assignments))
    if not columns:
        raise InputError("Say what to correct: featurestore model set NAME weight_decay=0.1 …")
    unknown = {name for name, value in columns.items() if value is None}
    steps, notes = [], []
    for name in sorted(name for name in rows if name == model or is_view_of(name, model)):
        stored = rows[name].parts[0].ingredients
        changed = {column: value for column, value in columns.items() if stored.get(column) != value}
        if changed:
            steps.append(changed_row(inventory.storage, rows[name], changed, unknown))
            said = (f"{column} {_shown(stored.get(column))} -> {_shown(value)}" for column, value in changed.items())
            notes.append(f"{', '.join(said)}" + (f" ({name})" if name != model else ""))
    return Edit(steps, notes)


def _assignment(text: str) -> tuple[str, Ingredient]:
    """A column and its value.

    >>> _assignment("weight_decay=0.1")
    ('weight_decay', 0.1)
    """
    column, equals, value = text.partition("=")
    pick("column of a model's training", column.strip(), RECIPE_COLUMNS)
    if not equals:
        raise InputError(f"{text} names a column and no value: write {text}=VALUE, or {text}=null if it is unknown.")
    return column.strip(), _typed(column.strip(), value.strip())


def _typed(column: str, text: str) -> Ingredient:
    type_ = RECIPE_COLUMNS[column].type
    if text in _UNKNOWN:
        return None
    if pa.types.is_string(type_):
        return text
    if pa.types.is_list(type_):
        return _names(column, text)
    kind = "a whole number" if pa.types.is_integer(type_) else "a number"
    try:
        number = int(text) if pa.types.is_integer(type_) else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{column} must be {kind}, not {text!r}: write {column}=null if it is unknown.")
    return number


def _names(column: str, text: str) -> Ingredient:
    """A list of names, as JSON has it or with commas between."""
    if not text.startswith("["):
        return [name.strip() for name in text.split(",") if name.strip()]
    try:
        return [str(name) for name in json.loads(text)]
    except ValueError as error:
        raise InputError(f'{column} must be a list of names such as a,b or ["a", "b"], not {text!r}.') from error


def _shown(value: Ingredient) -> str:
    return "unknown" if value is None else str(value)
