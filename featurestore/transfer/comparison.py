"""Comparing: what one lake has that another lacks, and where the two disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.errors import ConflictError
from featurestore.fragments import opening
from featurestore.layout import manifest as manifests
from featurestore.layout.fingerprint import differences
from featurestore.layout.tables import TABLES
from featurestore.names import base_model
from featurestore.partitions import snapshot
from featurestore.quantities import bytes_text
from featurestore.transfer.carrying import Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from featurestore.layout.manifest import Manifest, Part
    from featurestore.storage import Storage

_LISTED = 20
_DESCRIBING = "detectors"
"""Says what others are, and never disagrees: where it matters, the scores do."""
_OF_THE_DETECTOR = ("detector_version", "hyperparameters")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One part, or file, that both lakes have and that is not the same.

    Attributes:
        what: What it is.
        how: In what the two differ.
        kind: What would need another name for both to be right: a dataset, benchmark, model, detector or question.
        name: Its name in the lake that is merged.
    """

    what: str
    how: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.what}: {self.how}"


@dataclass(frozen=True, slots=True)
class Holding:
    """What a lake holds now: manifests by folder, and the sizes of all objects by key."""

    storage: Storage
    partitions: Mapping[str, Manifest]
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, storage: Storage, tables: Iterable[str]) -> Holding:
        """Look at some tables of a lake, or of a place where none is yet."""
        names = list(tables)
        sizes = {entry.key: entry.bytes for name in names for entry in storage.list(name)}
        found = [manifest for name in names for manifest in snapshot.current(storage, TABLES[name])]
        return cls(storage, {manifest.folder: manifest for manifest in found}, sizes)


@dataclass(frozen=True, slots=True)
class Carried:
    """What came from one lake into another, or would come.

    Attributes:
        partitions: Partitions of which something came.
        fragments: Their files.
        bytes: The size of these.
        there: Partitions of which something was there already.
    """

    partitions: int
    fragments: int
    bytes: int
    there: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Partitions compared with those of another lake.

    Attributes:
        loads: Parts that the other lacks, in the order of the partitions.
        same: Parts of equal fingerprints.
        disagreements: Parts of other fingerprints, in that order.
    """

    loads: tuple[Load, ...]
    same: tuple[Load, ...]
    disagreements: tuple[Disagreement, ...]

    def of(self, table: str) -> list[Load]:
        """The loads of one table."""
        return [load for load in self.loads if load.manifest.table == table]

    @property
    def fragments(self) -> int:
        """How many fragments the loads have."""
        return sum(len(load.files) for load in self.loads)

    @property
    def carried(self) -> Carried:
        """What comes, in numbers."""
        size = sum(fragment.bytes for load in self.loads for _, fragment in load.files)
        return Carried(len(self.loads), self.fragments, size, len(self.same))

    def summary(self, where: str, done: str) -> Iterator[str]:
        """A line for each table of which something is done, and one in all."""
        for table in dict.fromkeys(load.manifest.table for load in self.loads):
            yield f"{table}: {amount(self.of(table))} {done}"
        yield f"{where}: {amount(self.loads)} {done}; {amount(self.same)} there already"


def compare(
    partitions: Sequence[Manifest], other: Holding, *, here: str, there: str, replacing: bool = False
) -> Comparison:
    """Compare partitions with those of the same keys in another lake.

    Args:
        partitions: The partitions.
        other: What the other lake holds.
        here: What messages call the other lake.
        there: What messages call that of the partitions.
        replacing: Whether parts that disagree are loads, too.

    Raises:
        CorruptionError: The other lake names a fragment that is not there, and that these partitions cannot give.
    """
    loads, same, disagreements = [], [], []
    for manifest in partitions:
        held = other.partitions.get(manifest.folder)
        lacking, equal = [], []
        for part in manifest.parts:
            existing = held.part(part.key) if held else None
            if existing and existing.fingerprint != part.fingerprint:
                lacking += [part] if replacing else []
                if manifest.table == _DESCRIBING:
                    continue
                what = manifests.title(manifest.table, {**manifest.key, **part.key})
                how = "; ".join(differences(existing.ingredients, part.ingredients, here=here, there=there))
                subject = _subject(manifest, existing, part)
                disagreements.append(Disagreement(what, how or "the format of the fingerprint", *subject))
            elif existing and _is_whole(other, manifest, existing, part):
                equal.append(part)
            else:
                lacking.append(part)
        loads += [Load(manifest, tuple(lacking))] if lacking else []
        same += [Load(manifest, tuple(equal))] if equal else []
    return Comparison(tuple(loads), tuple(same), tuple(disagreements))


def _subject(manifest: Manifest, ours: Part, theirs: Part) -> tuple[str, str]:
    """What would need another name for two parts to be there side by side: of scores the detector, if that is another one."""
    key = {**manifest.key, **theirs.key}
    if manifest.table == "scores":
        same = all(ours.ingredients.get(name) == theirs.ingredients.get(name) for name in _OF_THE_DETECTOR)
        kind = "benchmark" if same else "detector"
    else:
        kind = next(kind for kind in ("model", "benchmark", "dataset") if kind in key)
    # A layer of a model has another name with it; a variant of a detector stands for itself.
    return kind, base_model(key[kind]) if kind == "model" else key[kind]


def _is_whole(other: Holding, manifest: Manifest, existing: Part, ours: Part) -> bool:
    """Whether all fragments of a part of the other lake are there; False if ours are the same, and can take their place."""
    broken = [(path, f.size_problem(other.sizes.get(path))) for path, f in manifest.files(existing)]
    broken = [(path, problem) for path, problem in broken if problem]
    if broken and existing.fragments != ours.fragments:
        raise opening.corrupt(*broken[0])
    return not broken


def refuse(disagreements: Sequence[Disagreement], how: str, say: Callable[[str], None]) -> None:
    """Raise if there are disagreements, after saying each in a line; of many, only the first and their number are said.

    Args:
        disagreements: What was found.
        how: The error's message, after the number of things.
        say: Is told the lines.

    Raises:
        ConflictError: There are some.
    """
    if disagreements:
        raise ConflictError(f"{listed(disagreements, say)} {how}")


def listed(disagreements: Sequence[Disagreement], say: Callable[[str], None]) -> str:
    """Say each disagreement in a line, of many only the first; return in words how many things disagree."""
    for found in disagreements[:_LISTED]:
        say(str(found))
    if len(disagreements) > _LISTED:
        say(f"and {len(disagreements) - _LISTED:,} more")
    return "1 thing" if len(disagreements) == 1 else f"{len(disagreements):,} things"


def amount(loads: Iterable[Load]) -> str:
    """`3 partitions, 12 fragments, 4.56 MB`."""
    loads = list(loads)
    files = [fragment for load in loads for _, fragment in load.files]
    partitions = "1 partition" if len(loads) == 1 else f"{len(loads):,} partitions"
    fragments = "1 fragment" if len(files) == 1 else f"{len(files):,} fragments"
    return f"{partitions}, {fragments}, {bytes_text(sum(fragment.bytes for fragment in files))}"
