"""The commit protocol, on disk and on the real server: one manifest, one truth, whoever else is writing or reading."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from featurestore import Lake
from featurestore.errors import ConflictError, StorageError
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.partitions.writing import Target, commit, resume, write_fragment
from featurestore.storage import Storage, open_storage
from tests.featurestore.storage.killing import kill_many
from tests.featurestore.storage.writer_job import FRAGMENTS, KEY, ROWS, Job, PartJob, race, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from featurestore.layout.manifest import Manifest

WRITERS = 16
SCORES = TABLES["scores"]
SCORES_KEY = {"benchmark": "main", "model": "m", "dataset": "d"}


def manifests(storage: Storage) -> list[str]:
    return sorted(entry.key.rpartition("/")[2] for entry in storage.list("") if entry.key.endswith(".json"))


def scores(*values: float, first: int = 0) -> pa.Table:
    return pa.table(
        {"sample": range(first, first + len(values)), "score": values, "id_rank": [0.5] * len(values)}, SCORES.columns
    )


def scores_target(seed: int, detector: str = "msp") -> Target:
    return Target(SCORES, SCORES_KEY, {"seed": seed}, {"detector": detector})


def test_equal_writers_all_succeed(location: str) -> None:
    """16 processes with one fingerprint, but other bytes, as from other GPUs: one commit, which reads whole."""
    answers = race(location, [Job(noise=writer / 16) for writer in range(WRITERS)])
    storage = open_storage(location)
    assert answers == ["committed"] * WRITERS
    assert manifests(storage) == ["_manifest.1.json"]
    version, (part,), rows = state(storage)
    assert (version, part.rows, rows["sample"]) == (1, FRAGMENTS * ROWS, list(range(FRAGMENTS * ROWS)))


def test_of_different_writers_one_wins(location: str) -> None:
    """16 processes with 16 fingerprints: one commit, and 15 refusals that say what differs."""
    answers = race(location, [Job(seed=seed, fragments=2) for seed in range(WRITERS)])
    storage = open_storage(location)
    winner = answers.index("committed")
    refused = [answer for answer in answers if answer != "committed"]
    assert len(refused) == WRITERS - 1
    for answer in refused:
        assert answer.startswith(
            "ConflictError: The lake already holds activations (model m, dataset d), made with another"
        )
        assert f"seed (in the lake: {winner}, now: " in answer
        assert "\n" not in answer
    assert manifests(storage) == ["_manifest.1.json"]
    assert state(storage)[2]["feature"] == [
        row for n in range(2) for row in Job(seed=winner).fragment(n)["feature"].to_pylist()
    ]


def test_replacing_writers_all_have_their_turn(location: str) -> None:
    """16 processes with --replace: as many commits in some order, and the last one is whole."""
    answers = race(location, [Job(seed=seed, fragments=2, replacing=True) for seed in range(WRITERS)])
    storage = open_storage(location)
    assert answers == ["committed"] * WRITERS
    version, (part,), rows = state(storage)
    assert version == len(manifests(storage)) == WRITERS
    last = Job(seed=part.ingredients["seed"], fragments=2)
    assert part.fingerprint == last.target.fingerprint
    assert rows["feature"] == [row for n in range(2) for row in last.fragment(n)["feature"].to_pylist()]


def test_writers_of_different_parts_are_all_kept(location: str) -> None:
    """16 processes commit to one partition at once: 16 parts, each with its own scores."""
    jobs = [PartJob("d" * (writer + 1)) for writer in range(WRITERS)]
    assert race(location, jobs) == ["committed"] * WRITERS
    lake = Lake(location)
    (manifest,) = lake.partitions("scores")
    assert sorted(part.key["detector"] for part in manifest.parts) == [job.detector for job in jobs]
    assert manifest.version == len(manifests(lake.storage)) == WRITERS
    assert all(lake.read("scores", **SCORES_KEY, detector=job.detector).equals(job.rows) for job in jobs)


def test_a_late_writer_leaves_a_committed_fragment_alone(location: str) -> None:
    """Equal fingerprint, other bytes, after the commit: what the manifest names does not change, and counts as written."""
    storage = open_storage(location)
    job, late = Job(fragments=2), Job(fragments=2, noise=0.5)
    job.run(storage)
    before = state(storage)
    fragments = [write_fragment(storage, late.target, n, late.fragment(n)) for n in range(2)]
    assert tuple(fragments) == before[1][0].fragments
    commit(storage, late.target.table, KEY, [late.target.part(fragments)], replacing=False)
    assert state(storage) == before


def test_a_broken_fragment_is_written_again(location: str) -> None:
    """A file that is not whole stands in nobody's way."""
    storage, job = open_storage(location), Job(fragments=1)
    for broken in (b"", b"PAR1 half"):
        storage.put(f"{job.target.folder}/{job.target.fragment_path(0)}", broken)
        assert resume(storage, job.target) == {}
        assert job.run(storage) == 1
        assert state(storage)[2]["feature"] == job.fragment(0)["feature"].to_pylist()
        storage.delete([entry.key for entry in storage.list("")])


READS: dict[str, Callable[[Lake], list[float]]] = {
    "read": lambda lake: lake.read("scores", **SCORES_KEY, detector="msp")["score"].to_pylist(),
    "batches": lambda lake: [
        value
        for (block,) in lake.batches("scores", columns=["score"], **SCORES_KEY, detector="msp")
        for value in block.tolist()
    ],
    "scan": lambda lake: lake.scan("scores").collect()["score"].to_list(),
    "sql": lambda lake: [score for (score,) in lake.sql("select score from scores").fetchall()],
}


@pytest.mark.parametrize("reader", READS)
def test_a_swap_has_no_moment_in_between(location: str, reader: str) -> None:
    """While --replace swaps, a reader sees one version's rows, all of them, and never an older one than before."""
    swaps = 12
    versions = [[float(seed)] * (100 * (1 + seed % 3)) for seed in range(swaps)]

    def replace(seed: int) -> Manifest:
        storage, target = open_storage(location), scores_target(seed)
        rows = versions[seed]
        fragments = [write_fragment(storage, target, n, scores(*rows[n::2], first=1000 * n)) for n in range(2)]
        return commit(storage, SCORES, SCORES_KEY, [target.part(fragments)], replacing=True)

    replace(0)
    lake, seen = Lake(location), []
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: [replace(seed).version for seed in range(1, swaps)])
        for _ in range(400):
            seen.append(READS[reader](lake))
            if writing.done():
                break
        assert writing.result() == list(range(2, swaps + 1))
    seen.append(READS[reader](lake))
    assert all(rows in versions for rows in seen)
    assert [rows[0] for rows in seen] == sorted(rows[0] for rows in seen)
    assert seen[-1] == versions[-1]


def losing(location: str, fails: Callable[[Storage, str, Any], object]) -> Storage:
    """The storage of a lake whose create of the first manifest fails, once."""
    failed: list[str] = []

    class Losing(type(open_storage(location))):  # type: ignore[misc]
        def create(self, key: str, data: Any) -> bool:
            if failed or not key.endswith("/_manifest.1.json"):
                return bool(super().create(key, data))
            failed.append(key)
            fails(open_storage(location), key, data)
            raise StorageError("The answer was lost.")

    return Losing(open_storage(location).folder or location)


def test_a_lost_answer_is_no_failure(location: str) -> None:
    """The manifest was created and the answer lost: the writer recognises its own commit, and makes no second one."""
    storage = losing(location, lambda real, key, data: real.create(key, data))
    Job(fragments=2).run(storage)
    assert manifests(storage) == ["_manifest.1.json"]
    assert state(storage)[0] == 1


def test_a_lost_request_is_a_failure(location: str) -> None:
    """Nothing was created: the error comes through, nothing is visible, and the next run ends the job."""
    storage = losing(location, lambda *_: None)
    with pytest.raises(StorageError, match="The answer was lost"):
        Job(fragments=2).run(storage)
    assert (state(storage), manifests(storage)) == (None, [])
    assert sorted(resume(storage, Job().target)) == [0, 1]
    assert Job(fragments=2).run(storage) == 0
    assert state(storage)[0] == 1


def test_a_lost_answer_does_not_hide_another_winner(location: str) -> None:
    """Somebody else's manifest is there after the lost answer: it is a conflict, not one's own commit."""
    storage = losing(location, lambda real, *_: Job(seed=1, fragments=2).run(real))
    with pytest.raises(ConflictError, match=r"another seed \(in the lake: 1, now: 0\)"):
        Job(fragments=2).run(storage)
    assert snapshot.latest(storage, TABLES["activations"], KEY).parts[0].ingredients == {"seed": 1}


def test_a_killed_job_ends_as_if_it_had_not_been_killed(location: str) -> None:
    """20 times SIGKILL at random moments, and a new start each time: nothing half-done, and no difference in the end."""
    tally = kill_many(location, Job(), kills=20, seed=1)
    assert (tally.kills, tally.differences, tally.problems) == (20, 0, [])
