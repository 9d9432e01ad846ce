"""A writing job as extraction runs it, small: resume, the missing fragments, commit. Tests run it in processes of its own."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from benchmarks.lakes import activations
from featurestore.errors import LakeError
from featurestore.layout.tables import TABLES
from featurestore.partitions.writing import Target, commit, find, resume, write_fragment
from featurestore.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess
    from threading import Barrier

    from featurestore.storage import Storage

KEY = {"model": "m", "dataset": "d"}
FRAGMENTS, ROWS = 12, 40
WIDTHS = (8, 3)

# Children are forked from a server that has imported these modules and done nothing else: each begins within milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "tests.featurestore.transfer.verb_jobs", "tests.s3.server"])


@dataclass(frozen=True, slots=True)
class Job:
    """What one process writes: `seed` is the ingredient; `noise`, as another GPU might add to the features, is none."""

    seed: int = 0
    noise: float = 0.0
    fragments: int = FRAGMENTS
    rows: int = ROWS
    replacing: bool = False

    @property
    def target(self) -> Target:
        return Target(TABLES["activations"], KEY, {"seed": self.seed}, {})

    def fragment(self, number: int) -> pa.Table:
        """Rows that depend on the seed and the number alone, but for the noise."""
        generator = np.random.default_rng([self.seed, number])
        samples = np.arange(number * self.rows, (number + 1) * self.rows)
        vectors = (generator.normal(size=(self.rows, width)) + self.noise for width in WIDTHS)
        return activations(samples, samples % 7, *vectors, "float16")

    def run(self, storage: Storage, before_commit: Callable[[], object] = lambda: None) -> int:
        """Write what is missing and commit; return the number of fragments written."""
        target = self.target
        if find(storage, target, replacing=self.replacing):
            return 0
        kept = {number: fragment for number, (fragment, _) in resume(storage, target).items()}
        made = {
            number: write_fragment(storage, target, number, self.fragment(number))
            for number in range(self.fragments)
            if number not in kept
        }
        fragments = [(kept | made)[number] for number in range(self.fragments)]
        before_commit()
        commit(storage, target.table, KEY, [target.part(fragments)], replacing=self.replacing)
        return len(made)

    def prepare(self, location: str) -> None:
        """It begins where nothing is."""

    def state(self, storage: Storage) -> Any:
        """What a reader sees, or the error that it gets."""
        try:
            return state(storage)
        except LakeError as error:
            return repr(error)

    def problems(self, storage: Storage, whole: Any) -> list[str]:
        """A partition that is neither away nor whole, and fragments that are not, byte by byte, those of the whole one."""
        seen = self.state(storage)
        sizes = {fragment.path: fragment.bytes for fragment in whole[1][0].fragments}
        broken = [f"{name} is not whole" for name, size in _fragments(storage).items() if sizes.get(name) != size]
        return [*broken, *([f"half-done: {seen}"] if seen not in (None, whole) else [])]

    def progress(self, storage: Storage) -> int:
        """How many fragments there are."""
        return len(_fragments(storage))


@dataclass(frozen=True, slots=True)
class PartJob:
    """What one process adds to a partition of several parts: one detector's scores."""

    detector: str

    @property
    def target(self) -> Target:
        key = {"benchmark": "main", **KEY}
        return Target(TABLES["scores"], key, {"seed": 0}, {"detector": self.detector})

    @property
    def rows(self) -> pa.Table:
        value = float(len(self.detector))
        return pa.table({"sample": [0], "score": [value], "id_rank": [0.5]}, TABLES["scores"].columns)

    def run(self, storage: Storage, before_commit: Callable[[], object] = lambda: None) -> None:
        """Write the scores and commit them."""
        part = self.target.part([write_fragment(storage, self.target, 0, self.rows)])
        before_commit()
        commit(storage, self.target.table, self.target.key, [part], replacing=False)


class Runnable(Protocol):
    """What can be run on a lake."""

    def run(self, storage: Storage, /) -> object:
        """Do all of it."""


def begin(location: str, job: Runnable) -> ForkServerProcess:
    """Start a process that runs the job, and return once it is about to."""
    ready, told = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_work, args=(location, job, _variables(), told))
    process.start()
    told.close()
    ready.recv()
    ready.close()
    return process


def race(location: str, jobs: Sequence[Job | PartJob]) -> list[str]:
    """Run jobs in a process each, all at the commit at once; return what each has to say."""
    with PROCESSES.Manager() as manager, PROCESSES.Pool(len(jobs)) as pool:
        gate = manager.Barrier(len(jobs), None, 120)
        return pool.starmap(_compete, [(location, job, _variables(), gate) for job in jobs], chunksize=1)


def _work(location: str, job: Runnable, variables: Mapping[str, str], told: Connection) -> None:
    _enter(variables)
    told.send("ready")
    told.close()
    job.run(open_storage(location))


def _compete(location: str, job: Job | PartJob, variables: Mapping[str, str], gate: Barrier) -> str:
    _enter(variables)
    try:
        job.run(open_storage(location), gate.wait)
    except LakeError as error:
        return f"{type(error).__name__}: {error}"
    return "committed"


def _variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def _enter(variables: Mapping[str, str]) -> None:
    """Take over the AWS variables of the process that asked: the server may have been started under others."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(variables)


def _fragments(storage: Storage) -> dict[str, int]:
    entries = storage.list("")
    return {entry.key.rpartition("/")[2]: entry.bytes for entry in entries if entry.key.endswith(".parquet")}


def state(storage: Storage) -> Any:
    """All that a reader can tell of the partition: None, or its manifest's fragments and its rows in order."""
    from featurestore.partitions import reading, snapshot

    manifest = snapshot.latest(storage, TABLES["activations"], KEY)
    if manifest is None:
        return None
    rows = reading.read(storage, manifest, manifest.parts[0])
    return manifest.version, manifest.parts, {name: rows[name].to_pylist() for name in rows.column_names}
