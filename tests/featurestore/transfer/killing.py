"""Transfers in processes of their own, killed at random moments until one is left to end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from featurestore import transfer
from featurestore.storage import open_storage
from tests.featurestore.storage.writer_job import begin

if TYPE_CHECKING:
    from collections.abc import Callable

    from featurestore.storage import Storage
    from tests.featurestore.storage.writer_job import Runnable


@dataclass(frozen=True, slots=True)
class CopyJob:
    """`featurestore copy` of the lake at a location."""

    source: str

    def run(self, storage: Storage) -> None:
        transfer.copy(open_storage(self.source), storage, say=lambda _: None)


@dataclass(frozen=True, slots=True)
class MergeJob:
    """`featurestore merge` of the lake at a location."""

    other: str

    def run(self, storage: Storage) -> None:
        transfer.merge(open_storage(self.other), storage, say=lambda _: None)


_STRETCH = 1.3


def killed_until_done(
    new_target: Callable[[], str], job: Runnable, kills: int, look: Callable[[Storage], int], seed: int = 0
) -> int:
    """Kill a job at `kills` random moments, in as many places as that takes, looking after each; returns the places.

    Each job is begun again in its place until it ends, which the last one does undisturbed. On a machine that slows down or
    recovers meanwhile, moments spread over what the job takes then: they move on where a kill found nothing new.

    Args:
        new_target: Gives a place for a job to begin in.
        job: The job.
        kills: How often.
        look: Looks at what is there; returns how much it is.
        seed: Of the moments.
    """
    span, random = undisturbed(new_target(), job), Random(seed)
    places = count = 0
    while count < kills:
        place, places, held = new_target(), places + 1, -1
        while count < kills and _killed(place, job, random.uniform(0, span)):
            count += 1
            found = look(open_storage(place))
            span, held = span * (_STRETCH if found == held else 1), found
        span /= _STRETCH
        undisturbed(place, job)
        look(open_storage(place))
    return places


def undisturbed(location: str, job: Runnable) -> float:
    """Run a job to its end; return the seconds that it took."""
    process = begin(location, job)
    start = time.perf_counter()
    process.join()
    assert process.exitcode == 0
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
    assert code in (0, -9), f"the job failed by itself, with {code}"
    return code == -9
