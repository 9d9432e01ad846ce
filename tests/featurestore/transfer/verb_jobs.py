"""The commands that change whole lakes, as jobs to be killed: remove, rename, copy, merge."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analysis.detectors.registry import detectors
from analysis.lineage.renamed import learned_anew
from benchmarks.lakes import put, put_rows
from featurestore import Lake
from featurestore.edit import carry_out, read_inventory, removal, rename
from featurestore.layout.tables import TABLES
from featurestore.storage import open_storage
from featurestore.transfer import EVERYTHING, Aside, Restriction, copy, merge
from tests.conftest import faults

if TYPE_CHECKING:
    from featurestore.storage import Storage
    from tests.featurestore.storage.killing import Killable

detectors()  # renaming asks for them: so their modules are imported once, and not by each process that is killed

FROZEN = Path(__file__).parents[2] / "compat" / "lake_v1"


def whole_lake(folder: Path) -> Lake:
    """The frozen lake, which has every kind of partition but those that were added since, and these."""
    lake = Lake(shutil.copytree(FROZEN, folder))
    digest = lake.part("samples", dataset="far")[1].ingredients["digest"]
    count = lake.part("samples", dataset="far")[1].rows
    rows = [{"sample": number, "digest": f"{number:032x}"} for number in range(count)]
    put_rows(lake, "contents", {"dataset": "far"}, *rows, ingredients={"dataset_digest": digest, "contents": "c"})
    put_rows(lake, "benchmarks", {"benchmark": "main"}, {"without_overlaps": False})
    put_rows(lake, "detectors", {"detector": "msp"}, {"title": "MSP"})
    path = {"model": "vit-b16", "dataset": "far", "fit_dataset": "train"}
    put_rows(lake, "geometry", path, {"role": "ood", "rows": 1})
    put_rows(lake, "calibration", {"model": "vit-b16", "dataset": "test"}, {"n": 0, "lacking": "no labels"})
    judged = {"benchmark": "main", "model": "vit-b16"}
    own = [{"detector": "msp", "id_dataset": "test", "ood_dataset": ood, "n_id": 1} for ood in (None, "far")]
    put_rows(lake, "selective", judged, *own, ingredients=lake.part("metrics", **judged)[1].ingredients)
    return lake


def change_row(lake: Lake, name: str, **values: Any) -> None:
    """Change what the row of a dataset says."""
    (row,) = lake.read("datasets", dataset=name).to_pylist()
    row |= values
    rows = pa.Table.from_pylist([row], TABLES["datasets"].columns)
    put(lake, "datasets", {"dataset": name}, rows, row, replacing=True)


@dataclass(frozen=True)
class VerbJob(ABC):
    """A command on a lake that begins as another one on this machine, or with nothing."""

    begins_as: str

    @abstractmethod
    def run(self, storage: Storage) -> None:
        """Do all of it; nothing where it was done."""

    def prepare(self, location: str) -> None:
        """Lay the lake there in which it begins."""
        if self.begins_as and "://" in location:
            copy(open_storage(self.begins_as), open_storage(location), say=lambda _: None)
        elif self.begins_as:
            shutil.copytree(self.begins_as, location)

    def state(self, storage: Storage) -> dict[str, list[str]]:
        """The parts of each partition."""
        held = read_inventory(storage).manifests.values()
        return {manifest.folder: sorted(part.fingerprint for part in manifest.parts) for manifest in held}

    def problems(self, storage: Storage, whole: dict[str, list[str]]) -> list[str]:
        """What `verify` finds."""
        del whole
        return faults(Lake(storage.location), deep=False)

    def progress(self, storage: Storage) -> int:
        """How many objects there are: nothing is ever deleted."""
        return sum(1 for _ in storage.names(""))


@dataclass(frozen=True)
class Removal(VerbJob):
    """`featurestore KIND remove NAME`."""

    kind: str
    name: str

    def run(self, storage: Storage) -> None:
        inventory = read_inventory(storage)
        if self.name in inventory.names(self.kind):
            carry_out(storage, removal(inventory, self.kind, self.name))


@dataclass(frozen=True)
class Renaming(VerbJob):
    """`featurestore KIND rename OLD NEW`."""

    kind: str
    old: str
    new: str = "new"

    def run(self, storage: Storage) -> None:
        if self.old in read_inventory(storage).names(self.kind):
            rename(storage, self.kind, self.old, self.new, learned=learned_anew)


@dataclass(frozen=True)
class Copying(VerbJob):
    """`featurestore copy SOURCE LAKE`."""

    source: str

    def run(self, storage: Storage) -> None:
        copy(open_storage(self.source), storage, say=lambda _: None)

    def problems(self, storage: Storage, whole: dict[str, list[str]]) -> list[str]:
        """What comes is there whole, and never without what it names."""
        held = self.state(storage)
        strange = [folder for folder, parts in held.items() if parts != whole.get(folder)]
        return [*super().problems(storage, whole), *strange, *unnamed(held)]


@dataclass(frozen=True)
class Merging(VerbJob):
    """`featurestore merge OTHER [--as SUFFIX]`."""

    other: str
    suffix: str = ""

    def run(self, storage: Storage) -> None:
        aside = Aside(self.suffix, learned_anew) if self.suffix else None
        merge(open_storage(self.other), storage, say=lambda _: None, aside=aside)

    def problems(self, storage: Storage, whole: dict[str, list[str]]) -> list[str]:
        """What was there stays, but for rows of datasets, which tell of more benchmarks."""
        held, before = self.state(storage), self.state(open_storage(self.begins_as))
        kinds = ({folder: before.get(folder, whole.get(folder)) for folder in held}, whole)
        strange = [folder for folder, parts in held.items() if all(parts != of.get(folder) for of in kinds)]
        return [*super().problems(storage, whole), *strange, *(before.keys() - held.keys()), *unnamed(held)]


def unnamed(held: dict[str, list[str]]) -> list[str]:
    """Partitions with a model or a dataset in their key that is not there."""
    found = []
    for folder in held:
        table, *segments = folder.split("/")
        for kind, name in (segment.split("=") for segment in segments):
            wanted = {"dataset": ("samples", "datasets"), "model": ("models",)}.get(kind, ())
            found += [
                f"{folder} without {one}"
                for one in wanted
                if _is_later(table, one) and f"{one}/{kind}={name}" not in held
            ]
    return found


def _is_later(table: str, other: str) -> bool:
    """Whether a table is written after another one that it names."""
    first = {"samples": ("samples",), "datasets": ("samples", "contents", "datasets"), "models": ("models", "heads")}
    return table not in first[other]


def jobs(folder: Path) -> dict[str, list[Killable]]:
    """Jobs by verb, on lakes that are made in a folder of this machine."""
    whole = whole_lake(folder / "whole")
    mine = Lake(folder / "mine")
    copy(whole.storage, mine.storage, Restriction(models=["vit*"]), say=lambda _: None)
    change_row(mine, "far", benchmarks=["hard"])
    other = Lake(folder / "other")
    copy(whole.storage, other.storage, EVERYTHING, say=lambda _: None)
    change_row(other, "far", role="csid")
    put_rows(other, "accuracy", {"model": "vit-b16", "dataset": "test"}, {"n": 3}, ingredients={"n": 3}, replacing=True)
    names = (("dataset", "far"), ("dataset", "train"), ("model", "vit-b16"), ("benchmark", "main"))
    return {
        "remove": [Removal(whole.location, *name) for name in names],
        "rename": [Renaming(whole.location, *name) for name in names],
        "copy": [Copying("", whole.location)],
        "merge": [Merging(mine.location, whole.location), Merging(mine.location, other.location, "new")],
    }
