"""Planning a removal: what bears a name, what was made from it, and what judged it; what depends goes first."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from featurestore.dataset_format import parent_of, with_parent
from featurestore.edit.inventory import benchmarks_of, is_view_of, named, rank, texts
from featurestore.edit.steps import Copy, Edit, Step, changed_row
from featurestore.layout import basis
from featurestore.layout.judged_scores import JUDGING, SHIFTED, judged_dataset, scores_digest
from featurestore.layout.tables import TABLES
from featurestore.names import check_key
from featurestore.partitions import reading, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from featurestore.edit.inventory import Inventory
    from featurestore.layout.fingerprint import Ingredient
    from featurestore.layout.manifest import Manifest, Part


def removal(inventory: Inventory, kind: str, name: str, statistics: Collection[str] = ()) -> Edit:
    """Plan the removal of a dataset, model, detector or benchmark.

    What was made from it goes too, and so do layers of a model, and ensembles of which it is a member. What judges others stays,
    without what it said of it.

    Args:
        inventory: What the lake holds.
        kind: One of `KINDS`.
        name: Its name.
        statistics: Of a detector: the stored statistics that nothing else needs.

    Raises:
        InputError: The name is not allowed for that kind of thing.
        MissingError: The lake knows no such name.
    """
    check_key(kind, name)
    inventory.check(kind, name)
    names = {name}
    if kind == "model":
        names |= {other for other in inventory.names("model") if is_view_of(other, name)}
    plan = _Plan(inventory, kind, names)
    plan.say_of("its layers go, too", names - {name})
    plan.take_ensembles()
    plan.take(lambda manifest, part: not names.isdisjoint(named(kind, manifest, part)))
    if kind == "detector":
        plan.take(lambda manifest, part: manifest.table == "fits" and part.key["fit"] in {name, *statistics})
    if kind == "dataset":
        rows = {row.key["dataset"]: row for row in inventory.table("datasets") if parent_of(_format(row)) == name}
        plan.say_of("parts of it stay", set(rows))
        return plan.edit(
            [changed_row(inventory.storage, row, {"format": with_parent(_format(row), None)}) for row in rows.values()]
        )
    return plan.edit(_without_benchmark(inventory, name) if kind == "benchmark" else ())


def row_change(inventory: Inventory, dataset: str, columns: Mapping[str, Ingredient]) -> Edit:
    """Plan a change of what the row of a dataset says of its role, group and benchmarks.

    Its scores go in the benchmarks that it leaves, and with them what was made from its activations there, as the scores of
    a detector that learned from it. In another role it leaves them all, and comes back; and its geometry goes.

    Args:
        inventory: What the lake holds.
        dataset: Its name; the lake has a row of it.
        columns: What the row is to say, and says otherwise now.
    """
    manifest = inventory.manifests["datasets", dataset]
    held = set(benchmarks_of(manifest))
    other_role = "role" in columns
    left = held if other_role else held - set(texts(columns.get("benchmarks", [*held])))
    plan = _Plan(inventory, "dataset", {dataset}, left)
    own = {
        part.fingerprint
        for manifest, part in inventory.parts()
        if manifest.table == "activations" and manifest.key["dataset"] == dataset
    }

    def leaves(manifest: Manifest, part: Part) -> bool:
        if manifest.table == "geometry":
            return other_role and dataset in named("dataset", manifest, part)
        if manifest.table != "scores" or manifest.key["benchmark"] not in left:
            return False
        return manifest.key["dataset"] == dataset or _names(part, own)

    plan.take(leaves)
    return plan.edit([changed_row(inventory.storage, manifest, columns)] if columns else ())


@dataclass(slots=True)
class _Plan:
    """What goes, as it grows.

    Attributes:
        inventory: What the lake holds.
        kind: What is removed.
        names: Its names.
        benchmarks: Where it goes; None for everywhere.
        gone: Fingerprints of the parts that go.
        notes: Lines for the user.
    """

    inventory: Inventory
    kind: str
    names: Collection[str]
    benchmarks: Collection[str] | None = None
    gone: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def say_of(self, what: str, names: Collection[str]) -> None:
        """Note what goes along."""
        if names:
            self.notes.append(f"{what}: {', '.join(sorted(names))}")

    def take(self, chosen: Callable[[Manifest, Part], bool]) -> None:
        """Let parts go, and with them what was made from them, but for what judges scores."""
        fresh = {part.fingerprint for manifest, part in self.inventory.parts() if chosen(manifest, part)}
        while fresh:
            self.gone |= fresh
            fresh = {
                part.fingerprint
                for manifest, part in self.inventory.parts()
                if manifest.table not in JUDGING and part.fingerprint not in self.gone and _names(part, fresh)
            }

    def take_ensembles(self) -> None:
        """Let ensembles go whose members or weights come from what goes."""
        found = {
            name for name, ensemble in self.inventory.ensembles.items() if ensemble.comes_from(self.kind, self.names)
        }
        self.say_of("ensembles that are made from it go, too", found - set(self.names))
        self.take(lambda manifest, _: manifest.key.get("model") in found)

    def edit(self, rows: Iterable[Step] = ()) -> Edit:
        """The steps in order, among them rows of tables to write anew."""
        steps: list[Step | Copy] = [*rows]
        for manifest in self.inventory.manifests.values():
            gone = tuple(part for part in manifest.parts if part.fingerprint in self.gone)
            if gone:
                steps.append(Step(manifest, gone))
            elif manifest.table in JUDGING:
                steps += self._judging(manifest)
        return Edit(sorted(steps, key=self._place), self.notes)

    def _place(self, step: Step | Copy) -> tuple[int, bool]:
        """Tables in their order; in it ensembles before their members, and layers before their model."""
        model = step.manifest.key.get("model", "")
        return rank(step.manifest.table), not (model in self.inventory.ensembles or "@" in model)

    def _judging(self, manifest: Manifest) -> Iterator[Step]:
        """What judges scores, without what it says of those that go; it goes whole where nothing is left, or it is stale."""
        (part,) = manifest.parts
        benchmark, id_dataset = manifest.key["benchmark"], part.ingredients.get("id_dataset")
        left: dict[str, dict[str, str]] = {}
        ingredients: dict[str, Ingredient] = dict(part.ingredients)
        everywhere = self.benchmarks is None or benchmark in self.benchmarks
        leaving = self.names if everywhere and self.kind == "dataset" else ()
        touched = stale = False
        for name, value in part.ingredients.items():
            dataset = judged_dataset(name)
            if dataset is None:
                continue
            scores = self.inventory.manifests.get(("scores", benchmark, manifest.key["model"], dataset))
            held = {one.key["detector"]: one.fingerprint for one in scores.parts} if scores else {}
            left[dataset] = {detector: one for detector, one in held.items() if one not in self.gone}
            touched |= len(left[dataset]) < len(held) or dataset in leaving
            ingredients[name] = scores_digest(left[dataset])
            stale |= value not in {scores_digest(held), ingredients[name]}
            if not left[dataset]:
                del ingredients[name]
        shifted = part.ingredients.get(SHIFTED)
        pooled = [str(name) for name in shifted] if isinstance(shifted, list) else []
        stayed = [name for name in pooled if left.get(name)]
        if len(stayed) < len(pooled):
            # What the others pool to is another spectrum, which `score` computes.
            stale |= bool(stayed)
            del ingredients[SHIFTED]
        if ingredients == part.ingredients:
            return  # a removal that was killed came so far
        if not touched and not (stale and everywhere and self._are_named_in(manifest)):
            return
        if stale or not left.get(str(id_dataset)):
            if stale and left.get(str(id_dataset)):
                self.notes.append(f"stale {manifest.title} go whole: run `featurestore score`")
            yield Step(manifest, (part,))
            return
        target = writing.Target(TABLES[manifest.table], manifest.key, ingredients, {})
        part = replace(part, details=self._details(part))
        yield Step(manifest, (part,), target, partial(self._rows, manifest, left, [str(id_dataset), *pooled]))

    def _details(self, judging: Part) -> Mapping[str, Any]:
        """The details of what judges scores, of which the note of what they rest on is without datasets that go."""
        note = basis.noted(judging)
        if note is None or self.kind != "dataset":
            return judging.details
        gone = {basis.short(fingerprint) for fingerprint in self.gone}
        left = basis.Basis(
            samples={name: digest for name, digest in note["samples"].items() if name not in self.names},
            rows={name: count for name, count in note["rows"].items() if name not in self.names},
            networks=note["networks"],
            activations=[one for one in note["activations"] if one not in gone],
        )
        return {**judging.details, basis.NAME: left}

    def _are_named_in(self, judging: Manifest) -> bool:
        """Whether rows of what judges scores, which is stale, are about what goes."""
        columns = {"dataset": ("id_dataset", "ood_dataset"), "detector": ("detector",)}.get(self.kind, ())
        rows = reading.read(self.inventory.storage, judging, judging.parts[0], columns) if columns else None
        return rows is not None and any(not set(self.names).isdisjoint(rows[name].to_pylist()) for name in columns)

    def _rows(self, manifest: Manifest, left: dict[str, dict[str, str]], ids: Sequence[str]) -> pa.Table:
        """The rows on scores that stay, in their order; in the full spectrum they rest on all of the ID datasets."""
        rows = reading.read(self.inventory.storage, manifest, manifest.parts[0])
        spectra = rows["spectrum"].to_pylist() if "spectrum" in rows.column_names else [None] * len(rows)
        cells = zip(spectra, rows["detector"].to_pylist(), rows["ood_dataset"].to_pylist(), strict=True)
        return rows.filter(
            [
                all(d in left.get(name, ()) for name in (*(ids if spectrum == "full" else ids[:1]), ood) if name)
                for spectrum, d, ood in cells
            ]
        )


def _names(part: Part, fingerprints: Collection[str]) -> bool:
    """Whether a part was made from one of those."""
    return any(text in fingerprints for value in part.ingredients.values() for text in texts(value))


def _format(dataset: Manifest) -> str:
    return str(dataset.parts[0].ingredients.get("format", ""))


def _without_benchmark(inventory: Inventory, benchmark: str) -> Iterator[Step]:
    """The rows of a benchmark's datasets, without it."""
    for manifest in inventory.table("datasets"):
        held = benchmarks_of(manifest)
        if benchmark in held:
            left: list[Ingredient] = [name for name in held if name != benchmark]
            yield changed_row(inventory.storage, manifest, {"benchmarks": left})
