"""Pools: the models of a job, from a CSV file or from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from extract.models import ModelSpec
from featurestore.errors import InputError
from featurestore.names import check_slug, suggest_slug
from featurestore.tables import RECIPE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COLUMNS = ("model", "checkpoint", "architecture", "model_kwargs", *RECIPE_COLUMNS, "recipe")
_SUFFIXES = {".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".npz"}


def read_pool(file: Path) -> list[ModelSpec]:
    """Read a pool file: one model per row.

    The columns are `model`, `architecture`, and where they apply `checkpoint` (relative to the file), `model_kwargs`
    (a JSON object) and the recipe columns of the `models` table; an empty cell is unknown. `soup_of` is a JSON list.

    Raises:
        InputError: The file cannot be read, or a row is broken; the message gives the line.
    """
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except OSError as error:
        raise InputError(f"Cannot read the pool {file}: {error.strerror}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not a CSV file: {error}.") from error
    if not rows:
        raise InputError(
            f"The pool {file} has no rows: expected a header with model, architecture, … and one row per model."
        )
    return [_spec(row, file, line) for line, row in enumerate(rows, 2)]


def specs_from_options(models: Sequence[str], architecture: str | None, model_kwargs: Sequence[str]) -> list[ModelSpec]:
    """The models named on the command line: checkpoint files with an architecture, or timm names.

    Raises:
        InputError: A file is missing, or no architecture is given for it.
    """
    kwargs = parse_model_kwargs(model_kwargs)
    return [_named(model, architecture, kwargs) for model in models]


def parse_model_kwargs(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `k=v` pairs; values are JSON where they parse, else text.

    >>> parse_model_kwargs(["img_size=32", "global_pool=avg"])
    {'img_size': 32, 'global_pool': 'avg'}
    """
    parsed = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"--model-kwargs takes name=value, not {pair!r}.")
        parsed[name] = _json_or_text(value)
    return parsed


def _named(model: str, architecture: str | None, kwargs: Mapping[str, Any]) -> ModelSpec:
    path = Path(model)
    if path.suffix not in _SUFFIXES:
        return ModelSpec(suggest_slug(model), architecture or model, None, kwargs)
    if not path.is_file():
        raise InputError(f"There is no checkpoint {model}.")
    if architecture is None:
        raise InputError(f"Say which network {model} belongs to: --architecture TIMM_NAME.")
    return ModelSpec(suggest_slug(path.stem), architecture, path, kwargs)


def _spec(row: Mapping[str, str | None], file: Path, line: int) -> ModelSpec:
    place = f"{file}, line {line}"
    unknown = [name for name in row if name not in _COLUMNS]
    if unknown:
        raise InputError(f"{place}: unknown column {unknown[0]!r}; the columns are {', '.join(_COLUMNS)}.")
    if not row.get("model") or not row.get("architecture"):
        raise InputError(f"{place}: every model needs a name and an architecture.")
    name = check_slug("model", str(row["model"]))
    checkpoint = file.parent / str(row["checkpoint"]) if row.get("checkpoint") else None
    if checkpoint and not checkpoint.is_file():
        raise InputError(f"{place}: there is no checkpoint {checkpoint}.")
    recipe = {
        column: _cell(row[column], column, type_, place) for column, type_ in _recipe_types().items() if row.get(column)
    }
    return ModelSpec(name, str(row["architecture"]), checkpoint, _object(row.get("model_kwargs"), place), recipe)


def _recipe_types() -> dict[str, pa.DataType]:
    return {**RECIPE_COLUMNS, "recipe": pa.string()}


def _cell(text: str | None, column: str, type_: pa.DataType, place: str) -> Any:
    try:
        if pa.types.is_list(type_):
            return [str(name) for name in json.loads(text or "")]
        if pa.types.is_integer(type_):
            return int(text or "")
        return float(text or "") if pa.types.is_floating(type_) else text
    except (ValueError, TypeError) as error:
        raise InputError(f"{place}: {column} cannot be {text!r}.") from error


def _object(text: str | None, place: str) -> dict[str, Any]:
    value = _json_or_text(text) if text else {}
    if not isinstance(value, dict):
        raise InputError(f'{place}: model_kwargs must be a JSON object such as {{"img_size": 32}}, not {text!r}.')
    return value


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
