"""Kill a writing job at random moments, start it again until it ends, and compare with a lake that was left in peace.

    python -m tests.featurestore.storage.kill_many --kills 200 [--lake s3://bucket/prefix | --real-s3] [--seed 0]

Prints the numbers of kills, of differences from the undisturbed lake, and of moments at which a reader saw a partition
half-done; exits 1 unless the last two are 0.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from featurestore.errors import LakeError
from featurestore.storage import open_storage
from tests.featurestore.storage.writer_job import FRAGMENTS, Job, begin, state
from tests.s3.server import environment, new_lake

if TYPE_CHECKING:
    from featurestore.storage import Storage

_REHEARSALS = 3


@dataclass(slots=True)
class Tally:
    """What came of the kills: lakes that differed in the end, and what was seen of the lake after each.

    Half-done is a partition of which a reader sees neither nothing nor the whole; a fragment is broken if it is not, byte
    by byte, that of the undisturbed lake; survivors are how often a kill left how many fragments.
    """

    kills: int = 0
    lakes: int = 0
    differences: int = 0
    half_done: int = 0
    broken_fragments: int = 0
    survivors: Counter[int] = field(default_factory=Counter)


def kill_many(location: str, kills: int, seed: int) -> Tally:
    """Kill the job `kills` times, in as many new lakes below `location` as that takes."""
    span = min(_rehearse(f"{location}/peace-{number}") for number in range(_REHEARSALS))
    expected = state(open_storage(f"{location}/peace-0"))
    sums = {fragment.path: fragment.bytes for fragment in expected[1][0].fragments}
    random, tally = Random(seed), Tally()
    while tally.kills < kills:
        tally.lakes += 1
        place = f"{location}/killed-{tally.lakes}"
        storage = open_storage(place)
        while tally.kills < kills and _killed(place, random.uniform(0, span)):
            tally.kills += 1
            tally.half_done += _look(storage) not in (None, expected)
            left = _fragments(storage)
            tally.survivors[len(left)] += 1
            tally.broken_fragments += sum(sums.get(name) != size for name, size in left.items())
        _undisturbed(place)
        tally.differences += _look(storage) != expected
    return tally


def _rehearse(location: str) -> float:
    """The longest that the job may take, in seconds: it writes everything, or finds everything and commits it."""
    writing = _undisturbed(location)
    storage = open_storage(location)
    storage.delete([entry.key for entry in storage.list("") if entry.key.endswith(".json")])
    return max(writing, _undisturbed(location))


def _undisturbed(location: str) -> float:
    """Run the job to its end; return the seconds that it took."""
    process = begin(location, Job())
    start = time.perf_counter()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the job that nobody killed ended with {process.exitcode}")
    process.close()
    return time.perf_counter() - start


def _killed(location: str, delay: float) -> bool:
    """Start the job and kill it after a delay; False if it had ended by then."""
    process = begin(location, Job())
    process.join(delay)
    process.kill()
    process.join()
    code = process.exitcode
    process.close()
    if code not in (0, -9):
        raise RuntimeError(f"the job failed by itself, with {code}")
    return code == -9


def _look(storage: Storage) -> Any:
    try:
        return state(storage)
    except LakeError as error:
        return repr(error)


def _fragments(storage: Storage) -> dict[str, int]:
    entries = storage.list("")
    return {entry.key.rpartition("/")[2]: entry.bytes for entry in entries if entry.key.endswith(".parquet")}


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a writing job at random moments.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--lake", help="where to make the lakes; a temporary folder by default")
    parser.add_argument("--real-s3", action="store_true", help="on the tests' server, at $FEATURESTORE_TEST_S3")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.real_s3:
        os.environ.update(environment(os.environ["FEATURESTORE_TEST_S3"]))
        options.lake = new_lake(os.environ["FEATURESTORE_TEST_S3"])
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        tally = kill_many(options.lake or folder, options.kills, options.seed)
    left = ", ".join(f"{count}: {tally.survivors[count]}" for count in range(FRAGMENTS + 1))
    sys.stdout.write(
        f"{tally.kills} kills in {tally.lakes} lakes, {time.perf_counter() - start:.0f} s: "
        f"{tally.differences} differences, {tally.half_done} partitions half-done, "
        f"{tally.broken_fragments} fragments not whole\nfragments left: kills = {left}\n"
    )
    return 1 if tally.differences or tally.half_done or tally.broken_fragments else 0


if __name__ == "__main__":
    sys.exit(main())
