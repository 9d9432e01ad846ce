"""Which models a job is about: those named one by one, those of a pool, or a shard of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from extract.images.preprocess_fields import checked
from extract.models import Refusals, parse_features
from extract.models.files import AUTO
from extract.models.resolved import STATED
from extract.pools.entry import PoolEntry, own_place, stated_in
from extract.pools.file import BrokenRow, read_entries
from extract.pools.naming import NamedOptions, check_used, named_spec, parse_model_kwargs
from extract.pools.recipe_file import read_recipes
from extract.pools.registry import POOLS, named_pool
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extract.models import ModelSpec
    from extract.pools.recipe_file import RecipeTable

Item = TypeVar("Item")
_LISTED = 4


@dataclass(frozen=True, slots=True)
class ModelSelection:
    """What the options of `extract` say about models.

    Attributes:
        models: timm names and checkpoint files.
        architecture: timm's name for the checkpoint files.
        model_kwargs: Arguments of the architecture, as `k=v`.
        pool: A CSV file, or the name of a shipped pool.
        checkpoints: Folder with the pool's checkpoints.
        shard: Which part of all of them, as in `3/16`.
        recipes: Table of recipes of the models.
        head: A head for all models that have none of their own choice.
        feature: What is stored of all models that have nothing of their own choice, as `penultimate,blocks.6`.
        name: What the one model that is named is called.
        which: Which weights of the files that are named: `auto`, `raw`, `ema`, or the keys that lead to them.
        key_map: A file that says which names in them become which.
        preprocess: Fields of the preprocessing of all models for which a pool does not state them, as texts or values.
        preprocess_file: A JSON file with those that are in neither.
    """

    models: Sequence[str] = ()
    architecture: str | None = None
    model_kwargs: Sequence[str] = ()
    pool: str | None = None
    checkpoints: Path | None = None
    shard: str | None = None
    recipes: Path | None = None
    head: Path | None = None
    feature: str | None = None
    name: str | None = None
    which: str = AUTO
    key_map: Path | None = None
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    preprocess_file: Path | None = None


def select(selection: ModelSelection, say: Callable[[str], None], refusals: Refusals | None = None) -> list[ModelSpec]:
    """The models that were selected and are there; none if the shard is empty.

    Args:
        selection: What the user said.
        say: Is told what is missing.
        refusals: Takes the models that cannot be run; by default the first one ends the job.

    Raises:
        InputError: Nothing is named, the only name or file is wrong or all are, or no checkpoint of the pool is there.
        MissingError: No shipped pool has that name.
    """
    entries = _entries(selection, say)
    everything: list[PoolEntry | BrokenRow | str] = [*entries, *selection.models]
    if not everything:
        raise InputError("Name what to extract: --model NAME or FILE, or --pool FILE or NAME.")
    chosen = cut(everything, selection.shard)
    if not chosen:
        say(f"shard {selection.shard} of {len(everything)} models is empty")
    features = parse_features(selection.feature)
    refusals = Refusals(whole=True) if refusals is None or len(chosen) == 1 else refusals
    for row in (item for item in chosen if isinstance(item, BrokenRow)):
        with refusals.of(row.name):
            raise row.error
    pooled = _pooled([item for item in chosen if isinstance(item, PoolEntry)], selection, say, refusals)
    options = NamedOptions(
        selection.architecture or "",
        parse_model_kwargs(selection.model_kwargs),
        selection.name or "",
        selection.which,
        selection.key_map,
    )
    check_used(options, selection.models)
    named: list[ModelSpec] = []
    for name in (item for item in chosen if isinstance(item, str)):
        with refusals.of(name):
            named.append(named_spec(name, options))
    stated = {name: checked(name, value, f"--{name.replace('_', '-')}") for name, value in selection.preprocess.items()}
    specs: list[ModelSpec] = []
    for spec in (*pooled, *named):
        with refusals.of(spec.name):
            headed = replace(spec, head_file=spec.head_file or selection.head, features=spec.features or features)
            specs.append(stated_in(headed.stating(stated, STATED), selection.preprocess_file))
    refusals.check_left(len(specs))
    return _with_recipes(specs, read_recipes(selection.recipes), say) if selection.recipes else specs


def _with_recipes(specs: Sequence[ModelSpec], table: RecipeTable, say: Callable[[str], None]) -> list[ModelSpec]:
    """The models with what a table says of their training, which goes before what files and pools say."""
    for remark in table.remarks(specs):
        say(remark)
    return [replace(spec, recipe={**spec.recipe, **table.of(spec)}) for spec in specs]


def _entries(selection: ModelSelection, say: Callable[[str], None]) -> Sequence[PoolEntry | BrokenRow]:
    if selection.pool is None:
        return []
    if _is_file(selection.pool):
        return read_entries(Path(selection.pool))
    pool = named_pool(selection.pool)
    unmapped = pool.unmapped()
    if unmapped:
        say(f"{pool.name}: not among them, since timm does not have them: {', '.join(unmapped)}")
    return pool.entries()


def _pooled(
    entries: Sequence[PoolEntry], selection: ModelSelection, say: Callable[[str], None], refusals: Refusals
) -> list[ModelSpec]:
    folder, specs = selection.checkpoints, []
    if folder is not None and not folder.is_dir():
        raise InputError(f"There is no folder {folder} with checkpoints.")
    pool = selection.pool or ""
    beside = Path(pool).parent if _is_file(pool) else None
    missing: list[PoolEntry] = []
    for entry in entries:
        with refusals.of(entry.name):
            spec = entry.spec(folder) if folder else own_place(entry, beside, pool)
            specs += [spec] if spec else []
            missing += [] if spec else [entry]
    if missing:
        _say_missing(missing, entries, f"{folder}", say)
    return specs


def _say_missing(
    missing: Sequence[PoolEntry], entries: Sequence[PoolEntry], folder: str, say: Callable[[str], None]
) -> None:
    say(f"{len(missing)} of {len(entries)} checkpoints are not in {folder}; get them from:")
    for entry in missing[:_LISTED]:
        say(f"  {entry.published or entry.file or entry.architecture}")
    if len(missing) > _LISTED:
        say(f"  and {len(missing) - _LISTED} more")
    if len(missing) == len(entries):
        raise InputError(f"None of the {len(entries)} checkpoints of the pool is in {folder}.")


def _is_file(pool: str) -> bool:
    return pool not in POOLS and (Path(pool).suffix != "" or Path(pool).exists())


def parse_shard(text: str) -> tuple[int, int]:
    """Read `3/16`: the third of sixteen.

    >>> parse_shard("3/16")
    (3, 16)

    Raises:
        InputError: It is no such pair, or there is no such shard.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if match is None:
        raise InputError(f"--shard takes N/COUNT such as 3/16, not {text!r}.")
    number, count = int(match[1]), int(match[2])
    if not 1 <= number <= count:
        raise InputError(f"There is no shard {text}: shards of {count} are 1/{count} to {count}/{count}.")
    return number, count


def cut(items: Sequence[Item], shard: str | None) -> list[Item]:
    """The items of a shard, every COUNT-th one: each item is in exactly one shard. Without a shard, all.

    Raises:
        InputError: There is no such shard.
    """
    if shard is None:
        return list(items)
    number, count = parse_shard(shard)
    return list(items[number - 1 :: count])
