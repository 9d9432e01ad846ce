"""Entries of pools: models whose checkpoints may or may not be here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from extract.images.preprocess_files import read_preprocess
from extract.models.files import AUTO, SUFFIXES, StoredWeights
from extract.models.resolved import STATED
from extract.pools.naming import spec_from_file, spec_from_name
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extract.images.preprocess_fields import Preprocess
    from extract.models import ModelSpec


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """A model of a pool.

    Attributes:
        name: The model's name in the lake.
        architecture: timm's name; empty where the checkpoint tells.
        file: The checkpoint; empty for timm's published weights.
        published: Where the checkpoint is published.
        model_kwargs: Arguments of the architecture.
        recipe: Columns of the `models` table.
        head: A head file; None for the network's own head.
        features: What is stored of it; empty where nothing says.
        which: Which weights of the checkpoint: `auto`, `raw`, `ema`, or the keys that lead to them.
        key_map: A file that says which names of the checkpoint become which.
        preprocess: Fields of its preprocessing.
        preprocess_file: A file with the others.
    """

    name: str
    architecture: str = ""
    file: str = ""
    published: str = ""
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    head: Path | None = None
    features: tuple[str, ...] = ()
    which: str = AUTO
    key_map: Path | None = None
    preprocess: Preprocess = field(default_factory=dict)
    preprocess_file: Path | None = None

    def spec(self, folder: Path | None) -> ModelSpec | None:
        """The model, with its checkpoint in a folder; None if that is not there.

        Without a folder, an entry that has no checkpoint stands for timm's published weights.
        """
        path = None if folder is None else self._found(folder)
        if path is None and (self.file or folder is not None):
            return None
        if path is None and (self.which != AUTO or self.key_map):
            raise InputError(f"{self.name} has no checkpoint, and weights and key_map of a pool are about checkpoints.")
        spec = (
            spec_from_file(
                StoredWeights(path, self.which, self.key_map),
                self.architecture,
                self.model_kwargs,
                self.recipe,
                self.name,
            )
            if path
            else spec_from_name(self.architecture, self.model_kwargs, self.recipe, self.name)
        )
        spec = replace(spec, head_file=self.head, features=self.features).stating(
            self.preprocess, f"{STATED} in the pool"
        )
        return stated_in(spec, self.preprocess_file)

    def _found(self, folder: Path) -> Path | None:
        names = [self.file] if self.file else [self.architecture + suffix for suffix in SUFFIXES]
        return next((folder / name for name in names if (folder / name).exists()), None)


def stated_in(spec: ModelSpec, file: Path | None) -> ModelSpec:
    """A model with the preprocessing that a file states, in so far as it is not stated yet.

    Raises:
        InputError: The file cannot be read, or states none.
    """
    return spec.stating(read_preprocess(file), f"{STATED} in {file.name}") if file else spec


def own_place(entry: PoolEntry, beside: Path | None, pool: str) -> ModelSpec:
    """A model of a pool for which no folder was given: its checkpoint beside the pool's file, or published weights.

    Raises:
        InputError: Its checkpoint is not there.
    """
    if entry.file and beside is None:
        raise InputError(
            f"The models of {pool} are checkpoint files: get them from where they are published (the first is "
            f"{entry.published}), and say where they lie with --checkpoints DIR."
        )
    spec = entry.spec(beside if entry.file else None)
    if spec is None:
        raise InputError(
            f"{pool}: there is no checkpoint {beside}/{entry.file} of model {entry.name!r}. "
            "With --checkpoints DIR, what is there runs and what is missing is listed."
        )
    return spec
