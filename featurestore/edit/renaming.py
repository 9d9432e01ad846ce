"""Renaming: all that bears a name is written under the new one, then what refers to it is changed, then the old one is removed.

The lake is valid in between: it holds the old one whole, or both. A dataset under its new name is in no benchmark until the old
one is in none any more, so that a benchmark never has two fit sets, and no image is judged twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from featurestore.edit.inventory import benchmarks_of, rank, read_inventory
from featurestore.edit.removal import removal
from featurestore.edit.steps import Copy, Edit, Step, carry_out, changed_row
from featurestore.edit.substitution import Substitution
from featurestore.errors import ConflictError, InputError
from featurestore.names import check_slug

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from featurestore.edit.inventory import Inventory
    from featurestore.layout.fingerprint import Ingredient
    from featurestore.layout.manifest import Manifest, Part
    from featurestore.partitions import writing
    from featurestore.progress import Bar
    from featurestore.storage import Storage

    Pairs: TypeAlias = Sequence[tuple[Manifest, Manifest]]
    Learned: TypeAlias = Callable[[Pairs, Collection[str]], dict[str, str]]
    """From partitions of datasets and activations, before and after, and the names of the detectors that there are scores of: old
    and new fingerprints that scores name, of what is not stored."""

_JOINS = "joins"
"""The detail of a renamed dataset's row: benchmarks that it will take part in."""


def rename(storage: Storage, kind: str, old: str, new: str, *, learned: Learned, bar: Bar | None = None) -> None:
    """Rename a dataset, model, detector or benchmark; begun again after a kill, it goes on.

    Args:
        storage: The lake's storage.
        kind: One of `KINDS`.
        old: Its name.
        new: Its new one.
        learned: How what detectors learned is called, where it is called otherwise.
        bar: Is told how many commits there are, and gives a context with a function to call with the number just done.

    Raises:
        MissingError: The lake knows no such name.
        InputError: The new name is not allowed for that kind of thing, or the old one is that of a layer.
        ConflictError: The lake holds something else under the new name.
    """
    carry_out(storage, renaming(read_inventory(storage), kind, old, new, learned), bar)
    if kind == "dataset":
        for name in (old, new):
            carry_out(storage, Edit(list(_handing_over(read_inventory(storage), name, old, new))))
    carry_out(storage, removal(read_inventory(storage), kind, old), bar)


def renaming(inventory: Inventory, kind: str, old: str, new: str, learned: Learned) -> Edit:
    """Plan to write all under the new name too, and to change what refers to it; arguments as of `rename`."""
    if kind == "model" and "@" in old + new:
        raise InputError(f"{old} is a layer, which is called after its model: rename that.")
    check_slug(kind, new)
    inventory.check(kind, old)
    if old == new:
        raise InputError(f"{old} has that name already.")
    if kind == "detector" and any(
        "ensemble_of" in part.ingredients and part.key.get("detector") == old for _, part in inventory.parts()
    ):
        raise InputError(f"{old} is how ensembles are combined, which has no other name.")
    return _Renaming(Substitution(inventory, kind, old, new), learned).edit()


@dataclass(frozen=True, slots=True)
class _Becoming:
    """A part, and what it becomes."""

    manifest: Manifest
    part: Part
    target: writing.Target

    @property
    def moves(self) -> bool:
        """Whether it is written beside what it was, rather than in its place."""
        return {**self.target.key, **self.target.part_key} != {**self.manifest.key, **self.part.key}

    @property
    def place(self) -> tuple[str, ...]:
        """The partition that it is written to."""
        return (self.target.table.name, *self.target.key.values())


@dataclass(frozen=True, slots=True)
class _Renaming:
    """The planning: fingerprints first, from what comes from nothing to what comes from it."""

    names: Substitution
    learned: Learned

    def edit(self) -> Edit:
        """The steps: new keys from what is named to what names it, then changes in place the other way round."""
        found = list(self._all())
        moving = [one for one in found if one.moves]
        missing = [one for one in moving if not self._is_there(one)]
        self._check_free(moving, missing)
        in_place = [one for one in found if not one.moves and one.target.fingerprint != one.part.fingerprint]
        return Edit([*sorted(self._steps(missing), key=_down), *sorted(self._steps(in_place), key=self._up)])

    def _all(self) -> Iterator[_Becoming]:
        """What each part becomes, those first that others name."""
        names, inventory = self.names, self.names.inventory
        held = sorted(
            inventory.manifests.values(),
            key=lambda one: (-rank(one.table), one.key.get("model") in inventory.ensembles),
        )
        pairs: list[tuple[Manifest, Manifest]] = []
        known = False
        for manifest in held:
            if manifest.table == "scores" and not known:
                scored = {part.key["detector"] for of in held if of.table == "scores" for part in of.parts}
                names.prints |= self.learned(pairs, scored)
                known = True
            found = [self._becoming(manifest, part) for part in manifest.parts if not names.is_new(manifest, part)]
            for one in found:
                names.follow(one.part, one.target)
            if found and manifest.table in {"datasets", "activations"}:
                pairs.append(_pair(manifest, found, self._joins(manifest)))
            yield from found

    def _becoming(self, manifest: Manifest, part: Part) -> _Becoming:
        target, joins = self.names.target(manifest, part), self._joins(manifest)
        part = replace(part, details=self.names.details(part))
        if joins is not None:
            target = replace(target, ingredients={**target.ingredients, "benchmarks": []})
            part = replace(part, details={**part.details, _JOINS: joins})
        return _Becoming(manifest, part, target)

    def _joins(self, manifest: Manifest) -> list[str] | None:
        """The benchmarks that a renamed dataset will take part in; None if it is none."""
        names = self.names
        if manifest.table != "datasets" or names.kind != "dataset" or manifest.key["dataset"] != names.old:
            return None
        return _memberships(names.inventory, names.old, names.new)

    def _is_there(self, one: _Becoming) -> bool:
        """Whether the lake holds what is to be written under the new name.

        Raises:
            ConflictError: It holds something else there.
        """
        manifest = self.names.inventory.manifests.get(one.place)
        part = manifest.part(one.target.part_key) if manifest else None
        if part is None:
            return False
        apart = {"benchmarks": None} if one.target.table.name == "datasets" else {}
        if {**part.ingredients, **apart} != {**one.target.ingredients, **apart}:
            raise self._taken()
        # Detectors that learn nothing have equal ingredients, and other scores.
        if self.names.kind == "detector" and _digests(part) != _digests(one.part):
            raise self._taken()
        return True

    def _check_free(self, moving: Sequence[_Becoming], missing: Sequence[_Becoming]) -> None:
        """Raise if something bears the new name that no earlier attempt put there."""
        names, inventory = self.names, self.names.inventory
        made = {(*one.place, *one.target.part_key.values()) for one in moving}
        others = any(
            names.is_new(manifest, part) and (manifest.table, *manifest.key.values(), *part.key.values()) not in made
            for manifest, part in inventory.parts()
        )
        held = [benchmarks_of(row) for row in inventory.table("datasets")] if names.kind == "benchmark" else []
        old_alone = any(names.old in held and names.new not in held for held in held)
        new_alone = any(names.new in held and names.old not in held for held in held)
        if (missing and others) or (old_alone and new_alone):
            raise self._taken()

    def _taken(self) -> ConflictError:
        kind, new = self.names.kind, self.names.new
        return ConflictError(
            f"The lake already holds another {kind} {new}: give another name, or remove that one first."
        )

    def _steps(self, found: Sequence[_Becoming]) -> Iterator[Step | Copy]:
        """One commit for the parts of a partition whose rows stay; one for each part whose rows change."""
        copied: dict[tuple[str, ...], list[_Becoming]] = {}
        for one in found:
            rows = self.names.rows(one.manifest, one.part, one.target)
            if rows:
                yield Step(one.manifest, (one.part,), one.target, rows)
            else:
                copied.setdefault(one.place, []).append(one)
        for place in copied.values():
            yield Copy(place[0].manifest, tuple((one.part, one.target) for one in place))

    def _up(self, step: Step | Copy) -> tuple[int, bool]:
        """What names others first, as in a removal."""
        return rank(step.manifest.table), step.manifest.key.get("model") not in self.names.inventory.ensembles


def _digests(part: Part) -> list[str]:
    return [fragment.sha256 for fragment in part.fragments]


def _down(step: Step | Copy) -> int:
    """What others name first, as a job writes it."""
    return -rank(step.manifest.table)


def _pair(manifest: Manifest, found: Sequence[_Becoming], joins: list[str] | None) -> tuple[Manifest, Manifest]:
    """A partition before and after; a dataset is in its benchmarks, however far an earlier attempt came."""
    before = [one.part for one in found]
    after = [one.target.part(one.part.fragments) for one in found]
    if joins is not None:
        told: dict[str, Ingredient] = {"benchmarks": [*joins]}
        before, after = (
            [replace(p, ingredients={**p.ingredients, **told}) for p in parts] for parts in (before, after)
        )
    key = dict(found[0].target.key)
    return replace(manifest, parts=tuple(before)), replace(manifest, key=key, parts=tuple(after))


def _memberships(inventory: Inventory, old: str, new: str) -> list[str]:
    """The benchmarks of a dataset that is being renamed: of both of its rows, and those that the new one waits for."""
    rows = [inventory.manifests.get(("datasets", name)) for name in (old, new)]
    held = {name for row in rows if row for name in benchmarks_of(row)}
    waited = {str(name) for row in rows if row for name in row.parts[0].details.get(_JOINS, ())}
    return sorted(held | waited)


def _handing_over(inventory: Inventory, name: str, old: str, new: str) -> Iterator[Step]:
    """The row of the old name lets go of its benchmarks, that of the new one takes them."""
    row = inventory.manifests.get(("datasets", name))
    wanted: list[Ingredient] = [] if name == old else list(_memberships(inventory, old, new))
    if row and wanted != benchmarks_of(row):
        yield changed_row(inventory.storage, row, {"benchmarks": wanted})
