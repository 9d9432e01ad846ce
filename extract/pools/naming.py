"""From what a user names to a model: a checkpoint file or timm's name."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.models import ModelSpec
from extract.models.files import ARRAYS, AUTO, SUFFIXES, Note, StoredWeights, checkpoint_in, outline
from extract.models.sources import Facts, is_known, of_json, published_facts, source_of_file, unknown_name
from extract.pools.recipe_file import TABLE_NAME, read_recipes
from featurestore.errors import InputError
from featurestore.names import suggest_slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ANY_RUN = re.compile(
    r"((open_clip_)?(pytorch_|tf_)?model|checkpoint|ckpt|weights|best|last|latest|final|ema)"
    r"([_-](best|last|latest|final|ema|model|checkpoint))?",
    re.IGNORECASE,
)
"""Names that any training run gives its files."""
_TIMM = "timm:"
"""Before timm's name, where a file or folder has the same."""
_OWN_NAMES = "state-dict"
_SHARD = re.compile(r".*-\d{5}-of-\d{5}\.(safetensors|bin)")
_INDEX = ".index.json"


@dataclass(frozen=True, slots=True)
class NamedOptions:
    """What the options say of the models that are named one by one.

    Attributes:
        architecture: timm's name for the checkpoint files; empty where files tell.
        model_kwargs: Arguments of the architecture.
        name: What the one model is called; empty where its file or timm's name tells.
        which: Which weights of the files.
        key_map: What becomes of the names in the files.
    """

    architecture: str = ""
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    which: str = AUTO
    key_map: Path | None = None


def named_spec(model: str, options: NamedOptions) -> ModelSpec:
    """The model named on the command line: a checkpoint file, a folder that holds one, or timm's name.

    What exists is a file or a folder. Else timm's names are timm's models, and what remains is an error.

    Raises:
        InputError: There is no such thing, or nothing tells a file's architecture.
    """
    path = Path(model).expanduser()
    named = model.removeprefix(_TIMM)
    if named == model and path.exists():
        return _of_file(path, options)
    if named == model and not is_known(model):
        raise InputError(_no_such_model(model, path))
    return spec_from_name(named, options.model_kwargs, name=options.name or suggest_slug(named))


def check_used(options: NamedOptions, models: Sequence[str]) -> None:
    """Require that options about checkpoint files find one.

    Raises:
        InputError: No file is among the models.
    """
    belongs = {"--architecture": options.architecture, "--key-map": options.key_map, "--weights": options.which != AUTO}
    odd = next((option for option, given in belongs.items() if given), None)
    if odd and all(is_known(model.removeprefix(_TIMM)) and not Path(model).exists() for model in models):
        raise InputError(
            f"{odd} is about checkpoint files that are given with --model, and there is none: weights that timm publishes "
            "are named by timm's name alone, and a pool says such things in columns of its own."
        )


def _no_such_model(model: str, path: Path) -> str:
    """What was tried to make sense of a name, and what is near."""
    folder = path.parent
    beside = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=3, cutoff=0.6)
    near = f"; near it {'lies' if len(close) == 1 else 'lie'} {', '.join(close)}" if close else ""
    gone = "" if folder.is_dir() else f", nor a folder {folder}"
    no_file = f"There is no checkpoint {model}: no file or folder of that name (in {Path.cwd()}){gone}{near}"
    if "/" in model or "\\" in model:
        return f"{no_file}."
    return f"{no_file}. Nor is it timm's: {unknown_name(model)}"


def _of_file(path: Path, options: NamedOptions) -> ModelSpec:
    stored = StoredWeights(path, options.which, options.key_map)
    spec = spec_from_file(stored, options.architecture, options.model_kwargs, name=options.name)
    beside = path.parent / TABLE_NAME
    recipe = read_recipes(beside).of(spec) if beside.is_file() else {}
    if not recipe:
        return spec
    note = Note("recipe", stem_of(path), f"{TABLE_NAME} beside the checkpoint")
    return replace(spec, recipe={**spec.recipe, **recipe}, notes=(*spec.notes, note))


def stem_of(path: Path) -> str:
    """A file's name without the endings of checkpoints; a folder's name as it is."""
    name = path.name.removesuffix(_INDEX)
    while not path.is_dir() and (ending := next((s for s in SUFFIXES if name.lower().endswith(s) and name != s), None)):
        name = name[: -len(ending)]
    return name


def name_in_file(path: Path) -> str:
    """The name of a model by that of its file or folder, which need not exist; empty where every training run names its files so."""
    stem = stem_of(path)
    return "" if _ANY_RUN.fullmatch(stem) else suggest_slug(stem)


def _name_of(path: Path) -> tuple[str, tuple[Note, ...]]:
    """What a model is called by its file; by its folder, where any training run gives its files that name."""
    path = path.resolve() if path.name in {"", ".."} else path.absolute()
    if (own := name_in_file(path)) or not path.is_file():
        return own or suggest_slug(stem_of(path)), ()
    name = suggest_slug(path.parent.name)
    return name, (Note("name", name, f"its folder's, since many are called {path.name}; --name takes another"),)


def spec_from_file(
    file: Path | StoredWeights,
    architecture: str = "",
    model_kwargs: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    name: str = "",
) -> ModelSpec:
    """The model of a checkpoint file, or of the folder that holds one; what is given goes before what the file says of itself.

    Raises:
        InputError: The file cannot be read, or nothing tells its architecture.
    """
    stored = StoredWeights(file) if isinstance(file, Path) else file
    own_name, notes = (name, ()) if name else _name_of(stored.path)
    if stored.path.is_dir():
        inner, found = checkpoint_in(stored.path)
        stored, notes = replace(stored, path=inner), (*notes, found)
    elif _SHARD.fullmatch(stored.path.name):
        raise InputError(
            f"{stored} is a part of a checkpoint in several files: name its folder, or the index beside it."
        )
    source = source_of_file(stored)
    facts = source.facts(stored, recipe or {})
    if (
        source.name == _OWN_NAMES
        and architecture
        and facts.architecture
        and not _same(architecture, facts.architecture)
    ):
        said = f"stated; the file, or config.json beside it, says {facts.architecture}, so that its preprocessing does not count either"
        notes += (Note("architecture", architecture, said),)
    if source.name == _OWN_NAMES and architecture and facts.architecture:
        facts = facts if _same(architecture, facts.architecture) else Facts()  # what is said of another network
    if not architecture and not facts.architecture:
        raise InputError(facts.undecided or f"Say which network {stored} belongs to: --architecture TIMM_NAME.")
    if stored.kind != ARRAYS:
        notes += outline(stored).notes
    spec = ModelSpec(
        own_name,
        architecture or facts.architecture,
        stored.path,
        {**facts.model_kwargs, **(model_kwargs or {})},
        source.name,
        which=stored.which,
        key_map=stored.key_map,
        recipe={**facts.recipe, **(recipe or {})},
        notes=(*notes, *(note for note in facts.notes if not (architecture and note.topic == "architecture"))),
    )
    told = source.told(spec)
    made = replace(spec, model_kwargs={**told.model_kwargs, **spec.model_kwargs}, notes=(*spec.notes, *told.notes))
    return made.prepared(told.preprocess, told.preprocess_origin).prepared(facts.preprocess, facts.preprocess_origin)


def _same(first: str, second: str) -> bool:
    return first.partition(".")[0] == second.partition(".")[0]


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
_SEVERAL = re.compile(r",\s*\w+=")


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
        if isinstance(parsed[name], str) and _SEVERAL.search(value):
            raise InputError(
                f"--model-kwargs takes one name=value, not {pair!r}: give each a --model-kwargs of its own."
            )
    return parsed


def json_or_text(text: str) -> Any:
    """A value from JSON, or Python's True, False and None, or else the text itself."""
    if text in _PYTHON:
        return _PYTHON[text]
    try:
        return of_json(text)
    except json.JSONDecodeError:
        return text
    except ValueError as error:
        raise InputError(f"{text}: {error}.") from error
