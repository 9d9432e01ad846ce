"""Jobs in processes of their own, killed at random moments and begun again until they end, and what is seen of their lakes."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from featurestore.storage import open_storage
from tests.featurestore.storage.writer_job import Runnable, begin

if TYPE_CHECKING:
    from featurestore.storage import Storage

_STRETCH = 1.3


class Killable(Runnable, Protocol):
    """A job that can be killed, and what must hold of its lake."""

    def prepare(self, location: str, /) -> None:
        """Make the lake in which it begins."""

    def state(self, storage: Storage, /) -> Any:
        """All that counts of the lake."""

    def problems(self, storage: Storage, whole: Any, /) -> list[str]:
        """What is wrong with the lake after a kill; `whole` is the state in which the job leaves it."""

    def progress(self, storage: Storage, /) -> int:
        """A number that changes as the job goes on."""


@dataclass(slots=True)
class Tally:
    """What came of the kills.

    Attributes:
        kills: How many there were.
        lakes: In how many lakes.
        differences: How many of these were in the end other than one that was left in peace.
        problems: What was wrong after a kill.
        moments: How often a kill left which progress.
    """

    kills: int = 0
    lakes: int = 0
    differences: int = 0
    problems: list[str] = field(default_factory=list)
    moments: Counter[int] = field(default_factory=Counter)


def kill_many(location: str, job: Killable, kills: int, seed: int = 0) -> Tally:
    """Kill a job at `kills` random moments, in as many new lakes below `location` as that takes.

    Each job is begun again in its lake until it ends, which the last one does undisturbed. On a machine that slows down or
    recovers meanwhile, moments spread over what the job takes then: they move on where a kill found nothing new.
    """
    peace = f"{location}/peace"
    job.prepare(peace)
    span, random, tally = _undisturbed(peace, job), Random(seed), Tally()
    whole = job.state(open_storage(peace))
    while tally.kills < kills:
        tally.lakes += 1
        place, held = f"{location}/killed-{tally.lakes}", -1
        job.prepare(place)
        storage = open_storage(place)
        while tally.kills < kills and _killed(place, job, random.uniform(0, span)):
            tally.kills += 1
            tally.problems += job.problems(storage, whole)
            found = job.progress(storage)
            tally.moments[found] += 1
            span, held = span * (_STRETCH if found == held else 1), found
        span /= _STRETCH
        _undisturbed(place, job)
        tally.differences += job.state(storage) != whole
    return tally


def _undisturbed(location: str, job: Runnable) -> float:
    """Run a job to its end; return the seconds that it took."""
    process = begin(location, job)
    start = time.perf_counter()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the job that nobody killed ended with {process.exitcode}")
    process.close()
    return time.perf_counter() - start


def _killed(location: str, job: Runnable, delay: float) -> bool:
    """Start a job and kill it after a delay; False if it had ended by then."""
    process = begin(location, job)
    process.join(delay)
    process.kill()
    process.join()
    code = process.exitcode
    process.close()
    if code not in (0, -9):
        raise RuntimeError(f"the job failed by itself, with {code}")
    return code == -9
