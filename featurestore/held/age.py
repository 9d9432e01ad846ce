"""The age of answers: whether what they read is of the samples and networks that the lake holds now. From manifests alone.

What parts note of what they rest on is compared with the manifests of datasets and models, which are few. Only where these
differ, and for parts from before there were such notes, are the manifests of activations read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from featurestore.held.gathering import gathered
from featurestore.layout.basis import Basis, basis_of, network, noted, same_network, short
from featurestore.layout.judged_scores import JUDGING
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from featurestore.held.gathering import GatheredTable
    from featurestore.layout.manifest import Manifest, Part
    from featurestore.storage import Storage

AGEING = ("scores", *JUDGING, "geometry", "accuracy", "calibration")
"""The tables whose rows are made of activations, and whose age is told."""
OF_SAMPLES = frozenset({"scores", "activations"})
"""The tables whose rows are of one sample each: joined by its number with rows of other samples, they say nonsense."""
ALL = OF_SAMPLES.union(AGEING)
"""The tables of which a reader may leave out what is stale."""


class Fault(NamedTuple):
    """Why a part is stale; without a dataset, because the activations are others.

    Attributes:
        dataset: The dataset whose samples are others now, or which is the ID test dataset now.
        judged: Whether it is another ID test dataset that the part was judged against.
        extract: Whether the activations are to be made again first.
    """

    dataset: str = ""
    judged: bool = False
    extract: bool = False


class Age(NamedTuple):
    """The age of a partition's parts.

    Attributes:
        stale: Why parts are; nothing where none is known to be.
        faults: Of each part, why it is, or None; nothing where none is stale.
        fewer: How many samples parts rest on, by dataset, where it has more.
    """

    stale: frozenset[Fault]
    faults: tuple[Fault | None, ...]
    fewer: Mapping[str, int]


@dataclass(frozen=True)
class Held:
    """What a lake holds; the manifests of each table are read once."""

    storage: Storage
    _tables: dict[str, list[Manifest]] = field(default_factory=dict, init=False, repr=False)
    _gathered: dict[str, GatheredTable | None] = field(default_factory=dict, init=False, repr=False)
    _activations: dict[str, dict[str, Part]] = field(default_factory=dict, init=False, repr=False)
    _single: dict[tuple[str, str], Part | None] = field(default_factory=dict, init=False, repr=False)
    _ages: dict[int, tuple[Manifest, Age]] = field(default_factory=dict, init=False, repr=False)

    def of(self, table: str) -> list[Manifest]:
        """The manifests of a table's partitions."""
        if table not in self._tables:
            whole = self.gathered(table)
            self._tables[table] = snapshot.current(self.storage, TABLES[table]) if whole is None else whole.manifests
        return self._tables[table]

    def gathered(self, table: str) -> GatheredTable | None:
        """A table of which `of` gives the manifests, where it is gathered."""
        if table not in self._gathered:
            self._gathered[table] = gathered(self.storage, table)
        return self._gathered[table]

    @property
    def readable(self) -> list[str]:
        """The places in which whoever reads the lake reads."""
        return [*self.storage.readable, *sorted({whole.folder for whole in self._gathered.values() if whole})]

    def read(self, tables: Collection[str]) -> None:
        """Read the manifests of tables that lie elsewhere, and what their age is told by, side by side before they are asked for."""
        if self.storage.folder is None:
            more = ("datasets", "models") if not ALL.isdisjoint(tables) else ()
            wanted = {*tables, *more} - self._tables.keys()
            with ThreadPoolExecutor(max(1, len(wanted))) as pool:
                list(pool.map(self.of, wanted))

    @cached_property
    def samples(self) -> dict[str, int]:
        """How many samples each dataset has."""
        return {name: count for name, count in self._of_datasets("samples") if isinstance(count, int)}

    def age(self, manifest: Manifest) -> Age:
        """The age of a partition's parts, as far as these manifests tell; looked at once."""
        known = self._ages.get(id(manifest))
        if known is None:
            # Kept with its manifest, so that no other one gets its identity.
            known = self._ages[id(manifest)] = manifest, self._age(manifest)
        return known[1]

    def _age(self, manifest: Manifest) -> Age:
        noting = manifest.noting or range(len(manifest.parts))
        faults: dict[int, Fault | None] = {}
        fewer: dict[str, int] = {}
        for number in set(noting):
            part = manifest.parts[number]
            basis = noted(part)
            known = self._against(basis) if basis else self._without_note(manifest, part)
            faults[number] = self._of_other_id_set(manifest, part, basis) or known
            counted = basis["rows"].items() if basis else ()
            fewer |= {dataset: rows for dataset, rows in counted if rows < self.samples.get(dataset, 0)}
        stale = frozenset(filter(None, faults.values()))
        return Age(stale, tuple(map(faults.__getitem__, noting)) if stale else (), fewer)

    def current_parts(self, manifest: Manifest, without: Collection[str]) -> list[Part]:
        """The parts that an answer may read; never what judges against another ID test dataset than the benchmark's others.

        Args:
            manifest: The partition.
            without: The tables of which stale parts are left out.
        """
        parts = list(manifest.parts)
        if manifest.table in without:
            age = self.age(manifest)
            parts = [part for part, fault in zip(parts, age.faults, strict=True) if not fault] if age.stale else parts
        if manifest.table not in JUDGING:
            return parts
        kept = self.id_sets.get(manifest.key["benchmark"])
        return [part for part in parts if kept is None or _judged(part) in {None, kept}]

    @cached_property
    def id_sets(self) -> dict[str, str]:
        """The ID test dataset that the metrics of each benchmark are judged against: the benchmark's, else the most models'."""
        judged: dict[str, Counter[str]] = defaultdict(Counter)
        for manifest in self.of("metrics"):
            name = _judged(manifest.parts[0])
            if name:
                judged[manifest.key["benchmark"]][name] += 1
        most = {benchmark: min(found, key=lambda name: (-found[name], name)) for benchmark, found in judged.items()}
        now = {benchmark: name for benchmark, name in self._id_set_of.items() if name in judged.get(benchmark, ())}
        return most | now

    @cached_property
    def _id_set_of(self) -> dict[str, str]:
        """The ID test dataset of each benchmark that has just one."""
        roles = dict(self._of_datasets("role"))
        found: dict[str, list[str]] = defaultdict(list)
        for name, benchmarks in self._of_datasets("benchmarks"):
            for benchmark in benchmarks if roles.get(name) == "id" and isinstance(benchmarks, list) else ():
                found[str(benchmark)].append(name)
        return {benchmark: names[0] for benchmark, names in found.items() if len(names) == 1}

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {name: short(digest) for name, digest in self._of_datasets("digest") if isinstance(digest, str)}

    @cached_property
    def _networks(self) -> dict[str, str]:
        """What makes each model's activations, in short, where its row says so."""
        found = {model: network(part.ingredients) for model, part in self._rows.items()}
        return {model: made for model, made in found.items() if made}

    @cached_property
    def _rows(self) -> dict[str, Part]:
        return {manifest.key["model"]: manifest.parts[0] for manifest in self.of("models")}

    @cached_property
    def _scores(self) -> dict[tuple[str, str], list[Manifest]]:
        found: dict[tuple[str, str], list[Manifest]] = defaultdict(list)
        for manifest in self.of("scores"):
            found[manifest.key["benchmark"], manifest.key["model"]].append(manifest)
        return found

    def _of_datasets(self, ingredient: str) -> list[tuple[str, object]]:
        return [(m.key["dataset"], m.parts[0].ingredients.get(ingredient)) for m in self.of("datasets")]

    @cached_property
    def _read_activations(self) -> dict[tuple[str, str], Part]:
        return {(m.key["model"], m.key["dataset"]): m.parts[0] for m in self.of("activations")}

    def _activations_of(self, model: str) -> Mapping[str, Part]:
        """Those of a model, by dataset."""
        if model not in self._activations:
            found = snapshot.current(self.storage, TABLES["activations"], model=model)
            self._activations[model] = {manifest.key["dataset"]: manifest.parts[0] for manifest in found}
        return self._activations[model]

    def _activations_on(self, dataset: str, model: str) -> Part | None:
        """Those of a model on one dataset; the manifests of others, which may be large, are not read for it."""
        if model in self._activations:
            return self._activations[model].get(dataset)
        if "activations" in self._tables:
            return self._read_activations.get((model, dataset))
        if (model, dataset) not in self._single:
            found = snapshot.latest(self.storage, TABLES["activations"], {"model": model, "dataset": dataset})
            self._single[model, dataset] = found.parts[0] if found else None
        return self._single[model, dataset]

    def _of_other_id_set(self, manifest: Manifest, part: Part, basis: Basis | None) -> Fault | None:
        benchmark = manifest.key.get("benchmark", "")
        wanted = self._id_set_of.get(benchmark)
        if wanted is None and manifest.table in JUDGING:
            wanted = self.id_sets.get(benchmark)
        if wanted is None:
            return None
        other = (
            _judged(part) not in {None, wanted}
            if manifest.table in JUDGING
            else bool(basis and wanted not in basis["samples"])
        )
        return Fault(wanted, judged=True) if other else None

    def _against(self, basis: Basis) -> Fault | None:
        """What speaks against a basis, compared with what the lake holds now."""
        for dataset, digest in basis["samples"].items():
            if self._digests.get(dataset, digest) != digest:
                return Fault(dataset, extract=any(self._is_outdated(model, dataset) for model in basis["networks"]))
        for model, made in basis["networks"].items():
            if self._networks.get(model, made) != made and (self._is_mixed(model) or not self._are_there(basis)):
                return Fault(extract=self._is_mixed(model))
        return None

    def _without_note(self, manifest: Manifest, part: Part) -> Fault | None:
        """The same of a part from before there were notes, and of activations: as the activations' manifests tell."""
        model, dataset = manifest.key["model"], manifest.key.get("dataset", "")
        if manifest.table in JUDGING:
            scores = self._scores.get((manifest.key["benchmark"], model), [])
            return next((fault for one in scores for fault in self.age(one).faults if fault), None)
        if manifest.table == "activations":
            row = self._rows.get(model)
            if row and same_network(part.ingredients, row.ingredients) and self._is_of_now(part, dataset):
                return None
            return self._against(basis_of(model, {dataset: part}))
        activations, named = self._activations_on(dataset, model), part.ingredients.get("activations")
        if activations is None or not isinstance(named, str):
            return None
        if activations.fingerprint != named:
            return Fault(extract=self._is_mixed(model))
        return self._against(basis_of(model, {dataset: activations}))

    def _is_outdated(self, model: str, dataset: str) -> bool:
        """Whether a model's activations are not of the samples that a dataset has now."""
        part = self._activations_on(dataset, model)
        return part is None or not self._is_of_now(part, dataset)

    def _is_of_now(self, activations: Part, dataset: str) -> bool:
        """Whether activations are of the samples that a dataset has now."""
        return short(str(activations.ingredients.get("dataset_digest"))) == self._digests.get(dataset)

    def _is_mixed(self, model: str) -> bool:
        """Whether some activations of a model are of another network than its row tells of."""
        row = self._rows[model].ingredients if model in self._rows else {}
        parts = self._activations_of(model).values()
        return any(part.ingredients[n] != row[n] for part in parts for n in part.ingredients.keys() & row.keys())

    def _are_there(self, basis: Basis) -> bool:
        """Whether the activations that numbers come from are those of now."""
        now = {short(part.fingerprint) for model in basis["networks"] for part in self._activations_of(model).values()}
        return now.issuperset(basis["activations"])


def _judged(judging: Part) -> str | None:
    """The ID test dataset that metrics, or selective prediction, are of."""
    name = judging.ingredients.get("id_dataset")
    return name if isinstance(name, str) else None
