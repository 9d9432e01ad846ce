"""What a lake holds now, and what names what in it: all current manifests, read once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from featurestore.layout.tables import ORDER, TABLES
from featurestore.names import pick
from featurestore.partitions import snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from featurestore.layout.fingerprint import Ingredient
    from featurestore.layout.manifest import Manifest, Part
    from featurestore.storage import Storage

KINDS = {
    "dataset": ("dataset", "fit_dataset"),
    "model": ("model",),
    "detector": ("detector",),
    "benchmark": ("benchmark",),
}
"""What can be edited, and the columns of paths that name it."""


@dataclass(frozen=True)
class Inventory:
    """The partitions of a lake.

    Attributes:
        storage: The lake's storage.
        manifests: The newest manifest of each, by table and values of the key.
    """

    storage: Storage
    manifests: Mapping[tuple[str, ...], Manifest]

    def table(self, name: str) -> Iterator[Manifest]:
        """The partitions of a table."""
        return (manifest for manifest in self.manifests.values() if manifest.table == name)

    def parts(self) -> Iterator[tuple[Manifest, Part]]:
        """All parts with their partitions."""
        return ((manifest, part) for manifest in self.manifests.values() for part in manifest.parts)

    @cached_property
    def ensembles(self) -> dict[str, Ensemble]:
        """The ensembles among the models, by name."""
        rows = {manifest.key["model"]: manifest.parts[0].ingredients for manifest in self.table("models")}
        return {
            name: Ensemble(name, json.loads(str(stored["recipe"])))
            for name, stored in rows.items()
            if "ensemble_of" in stored
        }

    def names(self, kind: str) -> set[str]:
        """All names of a kind that anything in the lake bears."""
        found = {value for manifest, part in self.parts() for value in named(kind, manifest, part)}
        if kind == "benchmark":
            found |= {name for manifest in self.table("datasets") for name in benchmarks_of(manifest)}
        return found

    def check(self, kind: str, name: str) -> None:
        """Raise if the lake knows no such name.

        Raises:
            MissingError: It does not; the message names the nearest.
        """
        pick(kind, name, self.names(kind))


@dataclass(frozen=True, slots=True)
class Ensemble:
    """What the row of an ensemble says of it.

    Attributes:
        name: Its name among the models.
        recipe: Members as `MODEL/DETECTOR`, how they are combined, and what weights were tuned on.
    """

    name: str
    recipe: Mapping[str, Any]

    @property
    def members(self) -> list[tuple[str, str]]:
        """Models and detectors."""
        return [(model, detector) for model, _, detector in (str(m).partition("/") for m in self.recipe["ensemble_of"])]

    def comes_from(self, kind: str, names: Collection[str]) -> bool:
        """Whether it is made from models, detectors or datasets of those names."""
        models, detectors = zip(*self.members, strict=True)
        own = {"model": models, "detector": detectors, "dataset": (self.tuned_on,)}.get(kind, ())
        return any(name in names for name in own)

    @property
    def tuned_on(self) -> str | None:
        """The dataset that chose its weights; None where nothing was tuned."""
        found = self.recipe.get("tuned_on")
        return None if found is None else str(found)


def read_inventory(storage: Storage) -> Inventory:
    """Read what a lake holds now."""
    found = [manifest for table in TABLES.values() for manifest in snapshot.current(storage, table)]
    return Inventory(storage, {(manifest.table, *manifest.key.values()): manifest for manifest in found})


def named(kind: str, manifest: Manifest, part: Part) -> Iterator[str]:
    """The names of a kind in the path of a part."""
    key = {**manifest.key, **part.key}
    return (key[column] for column in KINDS[kind] if column in key)


def texts(value: Ingredient) -> Iterator[str]:
    """All texts in an ingredient."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def benchmarks_of(dataset: Manifest) -> list[str]:
    """The benchmarks that a dataset takes part in, by its row's ingredients."""
    return list(texts(dataset.parts[0].ingredients.get("benchmarks", [])))


def is_view_of(model: str, base: str) -> bool:
    """Whether a model is a layer of another one.

    >>> is_view_of("vit-b@blocks.6", "vit-b")
    True
    """
    return model.startswith(f"{base}@")


def rank(table: str) -> int:
    """The place of a table when parts go: before those that it names."""
    return -ORDER.index(table)
