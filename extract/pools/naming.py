"""From what a user names to a model: a checkpoint file or timm's name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.models import ModelSpec
from extract.models.sources import Note, published_facts, source_of_file
from extract.pools.recipe_file import TABLE_NAME, read_recipes
from featurestore.errors import InputError
from featurestore.names import suggest_slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".npz")


def specs_from_options(
    models: Sequence[str],
    architecture: str | None,
    model_kwargs: Sequence[str],
) -> list[ModelSpec]:
    """The models named on the command line: checkpoint files, or timm names.

    Args:
        models: Paths and names.
        architecture: timm's name for all of them; None where files or names tell.
        model_kwargs: Arguments of the architecture, as `k=v`.

    Raises:
        InputError: A file is missing, or nothing tells its architecture.
    """
    kwargs = parse_model_kwargs(model_kwargs)
    return [_named(model, architecture or "", kwargs) for model in models]


def spec_from_file(
    path: Path,
    architecture: str = "",
    model_kwargs: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    name: str = "",
) -> ModelSpec:
    """The model of a checkpoint file; what is given goes before what the file says of itself.

    Raises:
        InputError: The file cannot be read, or nothing tells its architecture.
    """
    source = source_of_file(path)
    facts = source.facts(path, recipe or {})
    if not architecture and not facts.architecture:
        raise InputError(facts.undecided or f"Say which network {path} belongs to: --architecture TIMM_NAME.")
    spec = ModelSpec(
        name or suggest_slug(path.stem),
        architecture or facts.architecture,
        path,
        {**facts.model_kwargs, **(model_kwargs or {})},
        source.name,
        facts.preprocess,
        {**facts.recipe, **(recipe or {})},
        notes=facts.notes,
    )
    told = source.told(spec)
    return replace(spec, model_kwargs={**told.model_kwargs, **spec.model_kwargs}, notes=(*spec.notes, *told.notes))


def spec_from_name(
    architecture: str,
    model_kwargs: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    name: str = "",
) -> ModelSpec:
    """A model with timm's published weights.

    Raises:
        InputError: timm does not know it.
    """
    known = published_facts(architecture).recipe
    return ModelSpec(
        name or suggest_slug(architecture), architecture, None, model_kwargs or {}, recipe={**known, **(recipe or {})}
    )


_PYTHON = {"True": True, "False": False, "None": None}


def parse_model_kwargs(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `k=v` pairs; values are JSON or Python where they parse, else text.

    >>> parse_model_kwargs(["img_size=32", "global_pool=avg", "class_token=False"])
    {'img_size': 32, 'global_pool': 'avg', 'class_token': False}
    """
    parsed = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"--model-kwargs takes name=value, not {pair!r}.")
        parsed[name] = json_or_text(value)
    return parsed


def json_or_text(text: str) -> Any:
    """A value from JSON, or Python's True, False and None, or else the text itself."""
    if text in _PYTHON:
        return _PYTHON[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _named(model: str, architecture: str, kwargs: Mapping[str, Any]) -> ModelSpec:
    path = Path(model)
    if path.suffix not in SUFFIXES:
        return spec_from_name(architecture or model, kwargs, name=suggest_slug(model))
    if not path.is_file():
        raise InputError(f"There is no checkpoint {model}.")
    beside = path.parent / TABLE_NAME
    spec = spec_from_file(path, architecture, kwargs)
    recipe = read_recipes(beside).of(spec) if beside.is_file() else {}
    if not recipe:
        return spec
    note = Note("recipe", path.stem, f"{TABLE_NAME} beside the checkpoint")
    return replace(spec, recipe={**spec.recipe, **recipe}, notes=(*spec.notes, note))
