"""Whatever jobs do to a lake, in any order and ended at any of their calls on the storage, it holds what a dict of the same holds."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from benchmarks.lakes import activations
from featurestore.care.garbage import collect
from featurestore.errors import ConflictError, StorageError
from featurestore.layout.tables import TABLES
from featurestore.partitions import reading, snapshot
from featurestore.partitions.writing import Target, commit, drop, find, resume, write_fragment
from featurestore.storage import LocalStorage
from tests.faults.fuzzing import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from featurestore.layout.manifest import Manifest

TABLE = TABLES["activations"]
DATASETS = st.sampled_from(["d", "e"])
SEEDS = st.integers(0, 2)
FRAGMENTS, ROWS = 3, 2
CALLS = st.integers(0, 24)
_NOTHING = timedelta(0)
_VERBS = ("get", "put", "create", "copy", "size", "find", "list", "names", "delete", "leftovers")


class Ended(BaseException):
    """The process was ended."""


class Mortal(LocalStorage):
    """A folder in which the process is ended at one of the calls: before it, or right after it."""

    def __init__(self, root: Path, call: int, *, after: bool) -> None:
        super().__init__(root)
        self._left, self._after, self.ended = call, after, False
        for name in _VERBS:
            setattr(self, name, self._mortal(getattr(super(), name)))

    def _mortal(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.ended:  # other threads of a process that was ended do nothing more
                raise Ended
            self._left -= 1
            self.ended = self._left < 0
            if self.ended and not self._after:
                raise Ended
            found = verb(*arguments, **options)
            if self.ended:
                if hasattr(found, "__next__"):
                    list(found)
                raise Ended
            return found

        return call


def rows(seed: int, number: int) -> pa.Table:
    """What fragments hold: other rows for other seeds."""
    samples = np.arange(number * ROWS, (number + 1) * ROWS)
    return activations(samples, samples % 2, np.full((ROWS, 2), float(seed)), np.full((ROWS, 2), float(number)))


def target(dataset: str, seed: int) -> Target:
    return Target(TABLE, {"model": "m", "dataset": dataset}, {"seed": seed}, {})


def write(storage: LocalStorage, dataset: str, seed: int, *, replacing: bool) -> int:
    """What a job does: resume, write what is missing, commit; returns how many fragments it wrote."""
    wanted = target(dataset, seed)
    if find(storage, wanted, replacing=replacing):
        return 0
    kept = {number: fragment for number, (fragment, _) in resume(storage, wanted).items()}
    missing = [number for number in range(FRAGMENTS) if number not in kept]
    made = kept | {n: write_fragment(storage, wanted, n, rows(seed, n)) for n in missing}
    commit(storage, TABLE, wanted.key, [wanted.part([made[n] for n in range(FRAGMENTS)])], replacing=replacing)
    return len(missing)


def remove(storage: LocalStorage, dataset: str) -> bool:
    return drop(storage, TABLE, {"model": "m", "dataset": dataset}, lambda _: True)


def collected(storage: LocalStorage) -> None:
    """All garbage, however young."""
    collect(storage, _NOTHING, unfinished_for=_NOTHING)


class LakeMachine(RuleBasedStateMachine):
    """A lake of two datasets, beside a dict of which seed each was written with."""

    @initialize()
    def empty(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.storage = LocalStorage(self.folder / "lake")
        self.model: dict[str, int] = {}
        self.readers: list[tuple[Iterator[Any], int, int]] = []
        self.collections = 0

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(dataset=DATASETS, seed=SEEDS)
    def write(self, dataset: str, seed: int) -> None:
        """It counts at once, or is refused where another one is."""
        left = len(resume(self.storage, target(dataset, seed))) if self.storage.exists() else 0
        held = self.model.get(dataset)
        try:
            made = write(self.storage, dataset, seed, replacing=False)
        except ConflictError:
            assert held not in {None, seed}
        else:
            assert held in {None, seed}
            assert made == (0 if held == seed else FRAGMENTS - left), (
                "what an ended job had written is not written again"
            )
            self.model[dataset] = seed

    @rule(dataset=DATASETS, seed=SEEDS)
    def replace(self, dataset: str, seed: int) -> None:
        write(self.storage, dataset, seed, replacing=True)
        self.model[dataset] = seed

    @rule(dataset=DATASETS)
    def remove(self, dataset: str) -> None:
        assert remove(self.storage, dataset) == (dataset in self.model)
        self.model.pop(dataset, None)

    @rule(dataset=DATASETS, seed=SEEDS, call=CALLS, after=st.booleans())
    def a_replacing_job_ends(self, dataset: str, seed: int, call: int, *, after: bool) -> None:
        """Either nothing has changed or all of it."""
        self._ends(
            call, after, lambda storage: write(storage, dataset, seed, replacing=True), {**self.model, dataset: seed}
        )

    @rule(dataset=DATASETS, call=CALLS, after=st.booleans())
    def a_removal_ends(self, dataset: str, call: int, *, after: bool) -> None:
        left = {name: seed for name, seed in self.model.items() if name != dataset}
        self._ends(call, after, lambda storage: remove(storage, dataset), left)

    @rule(call=CALLS, after=st.booleans())
    def a_collection_ends(self, call: int, *, after: bool) -> None:
        self.collections += 1
        self._ends(call, after, collected, self.model)

    @rule()
    def collect(self) -> None:
        """What is left is what is named, and what says that something is gone."""
        collected(self.storage)
        self.collections += 1
        stored = {key for key in self.storage.names("") if key.endswith(".parquet")}
        named = {path for manifest in self._manifests() for part in manifest.parts for path, _ in manifest.files(part)}
        if self._manifests():  # a lake without a partition may be none, and is left alone
            assert stored == named
            assert not list(self.storage.leftovers(""))

    @rule(dataset=DATASETS)
    def a_reader_begins(self, dataset: str) -> None:
        """It has read the manifest, and no rows yet."""
        manifest = snapshot.latest(self.storage, TABLE, {"model": "m", "dataset": dataset})
        if manifest and len(self.readers) < 3:
            blocks = reading.batches(self.storage, manifest, manifest.parts[0], ("sample", "feature"), 1)
            self.readers.append((blocks, self.model[dataset], self.collections))

    @rule()
    def a_reader_ends(self) -> None:
        """It sees the rows that were there when it began, or a sentence, if all grace was refused to it."""
        if not self.readers:
            return
        blocks, seed, collections = self.readers.pop()
        try:
            seen = [(int(sample[0]), float(feature[0, 0])) for sample, feature in blocks]
        except StorageError:
            assert collections < self.collections
        else:
            assert seen == [(sample, float(seed)) for sample in range(FRAGMENTS * ROWS)]

    @invariant()
    def the_lake_holds_what_the_dict_holds(self) -> None:
        if hasattr(self, "storage"):
            assert self._seen() == self.model

    def _ends(self, call: int, after: bool, job: Callable[[LocalStorage], object], done: dict[str, int]) -> None:
        try:
            job(Mortal(self.folder / "lake", call, after=after))
        except Ended:
            seen = self._seen()
            assert seen in (self.model, done)
            self.model = seen
        else:
            self.model = done

    def _manifests(self) -> list[Manifest]:
        return snapshot.current(self.storage, TABLE) if self.storage.exists() else []

    def _seen(self) -> dict[str, int]:
        """The seed of each dataset, if all of its rows are there."""
        found = {}
        for manifest in self._manifests():
            (part,) = manifest.parts
            table = reading.read(self.storage, manifest, part)
            seed = part.ingredients["seed"]
            assert table.equals(pa.concat_tables(rows(seed, number) for number in range(FRAGMENTS)))
            found[manifest.key["dataset"]] = seed
        return found


LakeMachine.TestCase.settings = settings(
    max_examples=examples(12),
    stateful_step_count=20,
    deadline=None,
    derandomize=examples(1) == 1,
    suppress_health_check=list(HealthCheck),
)
TestLake = LakeMachine.TestCase
