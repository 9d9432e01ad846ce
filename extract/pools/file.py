"""Pool files: the models of a job, from a CSV file."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from extract.images.preprocess_fields import STATED_FIELDS, checked
from extract.models import parse_features
from extract.models.files import AUTO
from extract.pools.entry import PoolEntry
from extract.pools.naming import json_or_text, name_in_file
from featurestore.errors import InputError
from featurestore.layout.tables import RECIPE_COLUMNS
from featurestore.names import check_slug

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = (
    "model",
    "checkpoint",
    "architecture",
    "model_kwargs",
    "head",
    "feature",
    "weights",
    "key_map",
    "published",
    *STATED_FIELDS,
    "preprocess",
    *RECIPE_COLUMNS,
    "recipe",
)


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row of a pool file that names no model that could run: its name or line, and what is wrong."""

    name: str
    error: InputError


def read_entries(file: Path) -> list[PoolEntry | BrokenRow]:
    """Read a pool file's rows.

    The columns are `model`, `architecture`, and where they apply `checkpoint`, `model_kwargs` (a JSON object), `head`,
    `feature`, `weights`, `key_map`, `published`, the fields of preprocessing or `preprocess` (a file), and the recipe columns of the `models` table; an empty
    cell is unknown, and a model without a name is called as its checkpoint. `soup_of` is a JSON list.

    Raises:
        InputError: The file cannot be read, or has another column.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            rows, header = list(reader), list(reader.fieldnames or ())
    except OSError as error:
        raise InputError(f"Cannot read the pool {file}: {error.strerror}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not a CSV file: {error}.") from error
    if not rows:
        raise InputError(
            f"The pool {file} has no rows: expected a header with model, architecture, … and one row per model."
        )
    unknown = [name for name in rows[0] if name is not None and name not in COLUMNS]
    if unknown:
        raise InputError(f"{file}: unknown column {unknown[0]!r}; the columns are {', '.join(COLUMNS)}.")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{file} has the column {twice!r} more than once: keep one of them.")
    return [_entry_or_fault(row, file.parent, f"{file}, line {line}") for line, row in enumerate(rows, 2)]


def _entry_or_fault(row: Mapping[str | None, Any], folder: Path, place: str) -> PoolEntry | BrokenRow:
    if None in row:
        error = InputError(f"{place}: there are more cells than columns; put a cell with commas in quotes.")
        return BrokenRow(row.get("model") or place, error)
    try:
        return _entry({str(name): cell for name, cell in row.items()}, folder, place)
    except InputError as error:
        return BrokenRow(row.get("model") or place, error)


def _entry(row: Mapping[str, str | None], folder: Path, place: str) -> PoolEntry:
    cells = {name: value for name, value in row.items() if value}
    if not cells.keys() & {"architecture", "checkpoint"}:
        raise InputError(f"{place}: every model needs an architecture, or a checkpoint that tells it.")
    name = cells.get("model") or ("checkpoint" in cells and name_in_file(Path(cells["checkpoint"])))
    if not name:
        raise InputError(f"{place}: the column model must name the model, as no file of its own does.")
    recipe = {
        column: _cell(
            cells[column], column, RECIPE_COLUMNS[column].type if column in RECIPE_COLUMNS else pa.string(), place
        )
        for column in (*RECIPE_COLUMNS, "recipe")
        if column in cells
    }
    if "recipe" in recipe:
        _object(recipe["recipe"], "recipe", place)
    return PoolEntry(
        check_slug("model", name),
        cells.get("architecture", ""),
        cells.get("checkpoint", ""),
        cells.get("published", ""),
        _object(cells.get("model_kwargs", "{}"), "model_kwargs", place),
        recipe,
        folder / cells["head"] if "head" in cells else None,
        parse_features(cells["feature"]) if "feature" in cells else (),
        cells.get("weights", AUTO),
        folder / cells["key_map"] if "key_map" in cells else None,
        {name: checked(name, cells[name], f"{place}: {name}") for name in STATED_FIELDS if name in cells},
        folder / cells["preprocess"] if "preprocess" in cells else None,
    )


def _cell(text: str, column: str, type_: pa.DataType, place: str) -> Any:
    try:
        if pa.types.is_list(type_):
            return [str(name) for name in json.loads(text)]
        if pa.types.is_integer(type_):
            return int(text)
        return _number(text) if pa.types.is_floating(type_) else text
    except (ValueError, TypeError) as error:
        wanted = "a JSON list of models" if pa.types.is_list(type_) else "a number, 0 where it was not used"
        raise InputError(f"{place}: {column} is {wanted}, not {text!r}; leave empty what is unknown.") from error


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _object(text: str, column: str, place: str) -> dict[str, Any]:
    value = json_or_text(text)
    if not isinstance(value, dict):
        raise InputError(f'{place}: {column} must be a JSON object such as {{"img_size": 32}}, not {text!r}.')
    return value
