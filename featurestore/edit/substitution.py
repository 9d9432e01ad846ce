"""A new name in the place of an old one, wherever names and fingerprints stand: in keys, ingredients and rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from featurestore.dataset_format import parent_of, with_parent
from featurestore.edit.inventory import KINDS, is_view_of, texts
from featurestore.layout import basis
from featurestore.layout.judged_scores import JUDGING, SHIFTED, ingredient_name, judged_dataset, scores_digest
from featurestore.layout.tables import TABLES
from featurestore.partitions import reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from featurestore.edit.inventory import Inventory
    from featurestore.layout.fingerprint import Ingredient
    from featurestore.layout.manifest import Manifest, Part

_KIND_OF = {column: kind for kind, columns in KINDS.items() for column in columns}
_IN_ROWS = {
    **{name: {"detector": "detector", "id_dataset": "dataset", "ood_dataset": "dataset"} for name in JUDGING},
    "models": {"base_model": "model"},
}
"""The columns of tables that hold names, besides those of their paths, and of what kind these are."""


@dataclass(slots=True)
class Substitution:
    """One name for another, and the fingerprints that follow, as they become known.

    Attributes:
        inventory: What the lake holds.
        kind: What is renamed.
        old: Its name.
        new: Its new one.
        prints: Old fingerprints of parts, and what they become.
        shorts: The same of their first letters, as notes have them.
    """

    inventory: Inventory
    kind: str
    old: str
    new: str
    prints: dict[str, str] = field(default_factory=dict)
    shorts: dict[str, str] = field(default_factory=dict)

    def name(self, kind: str, value: str) -> str:
        """A name of some kind, as it is afterwards."""
        if kind != self.kind:
            return value
        if kind == "model" and is_view_of(value, self.old):
            return self.new + value.removeprefix(self.old)
        return self.new if value == self.old else value

    def key(self, key: Mapping[str, str]) -> dict[str, str]:
        """The values of a path's columns, as they are afterwards."""
        return {column: self.name(_KIND_OF.get(column, ""), value) for column, value in key.items()}

    def is_new(self, manifest: Manifest, part: Part) -> bool:
        """Whether a part bears the new name already."""
        path = {**manifest.key, **part.key}
        return any(
            path[column] == self.new or (self.kind == "model" and is_view_of(path[column], self.new))
            for column in KINDS[self.kind]
            if column in path
        )

    def target(self, manifest: Manifest, part: Part) -> writing.Target:
        """What a part becomes."""
        ingredients = {name: self._follow(value) for name, value in self._ingredients(manifest, part).items()}
        return writing.Target(TABLES[manifest.table], self.key(manifest.key), ingredients, self.key(part.key))

    def details(self, part: Part) -> Mapping[str, Any]:
        """A part's details, with other names and fingerprints in the note of what it rests on."""
        note = basis.noted(part)
        if note is None:
            return part.details
        changed = basis.Basis(
            samples={self.name("dataset", name): digest for name, digest in note["samples"].items()},
            rows={self.name("dataset", name): count for name, count in note["rows"].items()},
            networks={self.name("model", name): made for name, made in note["networks"].items()},
            activations=sorted(self.shorts.get(one, one) for one in note["activations"]),
        )
        return {**part.details, basis.NAME: changed}

    def follow(self, part: Part, target: writing.Target) -> None:
        """Know from now on what a part becomes."""
        self.prints[part.fingerprint] = target.fingerprint
        self.shorts[basis.short(part.fingerprint)] = basis.short(target.fingerprint)

    def rows(self, manifest: Manifest, part: Part, target: writing.Target) -> Callable[[], pa.Table] | None:
        """What makes a part's rows anew; None where they stay as they are."""
        table = TABLES[manifest.table]
        columns = [column for column, kind in _IN_ROWS.get(table.name, {}).items() if kind == self.kind]
        said = {name: value for name, value in target.ingredients.items() if name in table.columns.names}
        changed = {name: value for name, value in said.items() if value != part.ingredients.get(name)}
        if not columns and not changed:
            return None

        def rows() -> pa.Table:
            found = reading.read(self.inventory.storage, manifest, part).to_pylist()
            for row in found:
                row |= {column: self.name(self.kind, row[column]) for column in columns if row.get(column)}
                row |= {column: value for column, value in changed.items() if column not in columns}
            if table.name in JUDGING:
                found.sort(key=lambda row: (row["ood_dataset"] or "", row["detector"]))  # as they are made
            return pa.Table.from_pylist(found, table.columns)

        return rows

    def _ingredients(self, manifest: Manifest, part: Part) -> Mapping[str, Ingredient]:
        """With other names; fingerprints are as they were."""
        stored = part.ingredients
        if manifest.table in JUDGING:
            return dict(self._judged(manifest, name, value) for name, value in stored.items())
        if manifest.table == "datasets" and self.kind == "benchmark":
            held = set(texts(stored.get("benchmarks", [])))
            joined: list[Ingredient] = [*sorted(held | {self.new})]
            return {**stored, "benchmarks": joined} if self.old in held else stored
        if manifest.table == "datasets" and self.kind == "dataset":
            format_ = str(stored.get("format", ""))
            parent = parent_of(format_)
            return {**stored, "format": with_parent(format_, self.name("dataset", parent))} if parent else stored
        if "ensemble_of" not in stored:
            return stored
        changed: dict[str, Ingredient] = {"ensemble_of": self._members(stored["ensemble_of"])}
        if stored.get("tuned_on") is not None:
            changed["tuned_on"] = self.name("dataset", str(stored["tuned_on"]))
        if "recipe" in stored:
            changed["recipe"] = self._recipe(str(stored["recipe"]))
        return {**stored, **changed}

    def _judged(self, judging: Manifest, name: str, value: Ingredient) -> tuple[str, Ingredient]:
        """An ingredient of what judges scores. Those of scores that are no more there are stale, or done already, and stay."""
        dataset = judged_dataset(name)
        if name == SHIFTED:
            return name, [*sorted(self.name("dataset", one) for one in texts(value))]
        if dataset is None:
            return name, self.name("dataset", str(value)) if name == "id_dataset" else value
        place = ("scores", judging.key["benchmark"], judging.key["model"], dataset)
        scores = self.inventory.manifests.get(place)
        parts = (
            [part for part in scores.parts if self.kind != "detector" or not self.is_new(scores, part)]
            if scores
            else []
        )
        if value == scores_digest({part.key["detector"]: part.fingerprint for part in parts}):
            value = scores_digest(
                {
                    self.name("detector", part.key["detector"]): self.prints.get(part.fingerprint, part.fingerprint)
                    for part in parts
                }
            )
        return ingredient_name(self.name("dataset", dataset)), value

    def _members(self, members: Any) -> list[Ingredient]:
        pairs = (str(member).partition("/") for member in members)
        return [f"{self.name('model', model)}/{self.name('detector', detector)}" for model, _, detector in pairs]

    def _recipe(self, text: str) -> str:
        """An ensemble's recipe, as `score` writes it."""
        recipe = json.loads(text)
        recipe["ensemble_of"] = self._members(recipe["ensemble_of"])
        if recipe.get("tuned_on") is not None:
            recipe["tuned_on"] = self.name("dataset", recipe["tuned_on"])
        recipe["weights"] = {self.name("benchmark", name): of for name, of in recipe.get("weights", {}).items()}
        return json.dumps(recipe, sort_keys=True)

    def _follow(self, value: Ingredient) -> Ingredient:
        if isinstance(value, list):
            return [self._follow(one) for one in value]
        return self.prints.get(value, value) if isinstance(value, str) else value
