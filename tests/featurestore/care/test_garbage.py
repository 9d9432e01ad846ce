from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from featurestore import CorruptionError, Lake, StorageError
from featurestore.care import garbage, verify
from featurestore.layout.tables import TABLES
from featurestore.partitions import reading, writing
from featurestore.quantities import parse_duration
from featurestore.storage.local import LocalStorage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.conftest import Run

DAY = timedelta(days=1)
NOTHING = timedelta(0)


def target(seed: int, table: str = "accuracy", **part: str) -> writing.Target:
    key = {"benchmark": "main", "model": "m", "dataset": "d"}
    found = TABLES[table]
    return writing.Target(found, {name: key[name] for name in found.keys}, {"seed": seed}, part)


def rows(seed: int, table: str = "accuracy") -> pa.Table:
    columns = (
        {"sample": [0], "score": [seed / 9], "id_rank": [0.5]}
        if table == "scores"
        else {"n": [seed], "top1": [0.5], "top5": [1.0]}
    )
    return pa.table(columns)


def write(lake: Lake, seed: int, table: str = "accuracy", **part: str) -> None:
    writing.write_part(lake.storage, target(seed, table, **part), rows(seed, table), replacing=True)


def orphan(lake: Lake, seed: int, number: int = 0, table: str = "accuracy", **part: str) -> Path:
    fragment = writing.write_fragment(lake.storage, target(seed, table, **part), number, rows(seed, table))
    return root(lake) / target(seed, table, **part).folder / fragment.path


def root(lake: Lake) -> Path:
    return Path(lake.location)


def files(lake: Lake) -> set[str]:
    return {path.relative_to(root(lake)).as_posix() for path in root(lake).rglob("*") if path.is_file()}


def answers(lake: Lake) -> dict[str, Any]:
    """Every row of every current part, as readers see it."""
    return {
        f"{manifest.title} {dict(part.key)} {manifest.version}": reading.read(lake.storage, manifest, part).to_pylist()
        for name in TABLES
        for manifest in lake.partitions(name)
        for part in manifest.parts
    }


def age(path: Path, by: timedelta) -> None:
    moment = path.stat().st_mtime - by.total_seconds()
    os.utime(path, (moment, moment))


def collect(lake: Lake, grace: timedelta = NOTHING, later: timedelta = NOTHING, *, dry_run: bool = False) -> set[str]:
    now = datetime.now(UTC) + later
    found = garbage.collect(lake.storage, grace, dry_run=dry_run, now=now, unfinished_for=NOTHING)
    return {entry.key for entry in found.deleted}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_was_written_readers_see_the_same_after_a_collection(lake: Lake, seed: int) -> None:
    """After any writes, replacements and killed jobs, nothing reachable is lost and nothing else of ours is left."""
    generator = np.random.default_rng(seed)
    write(lake, 0)
    foreign = {
        "questions/mine.sql",
        "accuracy/notes.txt",
        "accuracy/model=m/dataset=d/mine.parquet",
        "README",
        "x/_manifest.1.json",
    }
    for name in foreign:
        (root(lake) / name).parent.mkdir(parents=True, exist_ok=True)
        (root(lake) / name).write_text("mine")
    for _ in range(25):
        value = int(generator.integers(4))
        act = (
            lambda v: write(lake, v),
            lambda v: write(lake, v, "scores", detector=f"d{v % 2}"),
            lambda v: remove(lake, v, "scores", detector=f"d{v % 2}"),
            lambda v: orphan(lake, v, 1),
            lambda v: orphan(lake, v, v, "scores", detector="d9"),
            lambda v: (root(lake) / f"accuracy/.staged-{v:032x}").write_text("half"),
        )[generator.integers(6)]
        act(value)
    before = answers(lake)
    deleted = collect(lake)
    assert answers(lake) == before
    assert foreign <= files(lake)
    assert not deleted & files(lake)
    named = {path for t in TABLES for m in lake.partitions(t) for p in m.parts for path, _ in m.files(p)}
    left = {name for name in files(lake) - foreign if not name.endswith(".json")}
    assert left == named
    assert all(name.startswith("scores/") and name.endswith(".json") for name in collect(lake))
    assert collect(lake) == set()
    assert answers(lake) == before
    assert verify.verify(lake.storage, print, deep=False).faults == 0


def remove(lake: Lake, seed: int, table: str = "accuracy", **part: str) -> None:
    found = target(seed, table, **part)
    writing.drop(lake.storage, found.table, found.key, lambda held: held.key == found.part_key)


def test_a_removed_partition_goes_in_two_collections_its_last_manifest_alone(lake: Lake) -> None:
    """While older manifests go, the one that says so stays: a listing must never end with an older one."""
    write(lake, 1)
    write(lake, 2)
    remove(lake, 2)
    folder = target(1).folder
    assert {name.rpartition("/")[2] for name in collect(lake) if name.endswith(".json")} == {
        "_manifest.1.json",
        "_manifest.2.json",
    }
    assert files(lake) == {f"{folder}/_manifest.3.json"}
    assert answers(lake) == {}
    assert collect(lake, DAY) == set()
    assert collect(lake) == {f"{folder}/_manifest.3.json"}
    assert files(lake) == set()


def test_a_removed_partition_stays_for_readers_until_the_grace_period_is_over(lake: Lake) -> None:
    """It was superseded when it was removed, however old its files are."""
    write(lake, 1)
    for path in root(lake).rglob("*"):
        age(path, 3 * DAY)
    before = files(lake)
    remove(lake, 1)
    assert collect(lake, DAY) == set()
    assert before < files(lake)
    assert before <= collect(lake, DAY, later=2 * DAY)


def test_what_is_written_again_after_a_removal_is_kept(lake: Lake) -> None:
    """The same rows come back under the same name, on the fragments that are still there."""
    write(lake, 1)
    held = answers(lake)
    remove(lake, 1)
    write(lake, 1)
    assert list(answers(lake).values()) == list(held.values())
    collect(lake)
    assert list(answers(lake).values()) == list(held.values())
    assert verify.verify(lake.storage, print, deep=True).faults == 0


def test_a_fragment_of_a_job_under_way_keeps_the_manifest_that_says_removed(lake: Lake) -> None:
    write(lake, 1)
    remove(lake, 1)
    collect(lake)
    orphan(lake, 2)
    assert collect(lake, DAY) == set()
    assert {name.rpartition(".")[2] for name in collect(lake)} == {"parquet"}


def test_a_dry_run_names_the_same_and_deletes_nothing(lake: Lake) -> None:
    write(lake, 1)
    write(lake, 2)
    before = files(lake)
    planned = collect(lake, dry_run=True)
    assert files(lake) == before
    assert planned == collect(lake)
    assert files(lake) == before - planned
    assert len(planned) == 2


def test_garbage_is_kept_for_the_grace_period(lake: Lake) -> None:
    """What a killed job left counts from when it was written."""
    write(lake, 1)
    left = {orphan(lake, 2).relative_to(root(lake)).as_posix(), "accuracy/model=m/dataset=d/.staged-0"}
    (root(lake) / "accuracy/model=m/dataset=d/.staged-0").touch()
    assert collect(lake, DAY, DAY - timedelta(minutes=1)) == set()
    assert collect(lake, DAY, DAY + timedelta(minutes=1)) == left


def test_a_superseded_version_counts_from_when_it_was_superseded(lake: Lake) -> None:
    """A reader that opened an old partition just before it was replaced has the grace period to end."""
    write(lake, 1)
    for path in root(lake).rglob("*.*"):
        age(path, 9 * DAY)
    old = files(lake)
    write(lake, 2)
    assert collect(lake, DAY) == set()
    assert collect(lake, DAY, 2 * DAY) == old


def test_a_job_that_runs_for_days_keeps_its_first_fragments(lake: Lake) -> None:
    """The fragments of an unfinished job are as young as the last of them."""
    write(lake, 1)
    age(orphan(lake, 2, 0), 9 * DAY)
    last = orphan(lake, 2, 1)
    assert collect(lake, DAY) == set()
    age(last, 2 * DAY)
    assert len(collect(lake, DAY)) == 2


def test_what_is_committed_after_the_listing_stays(lake: Lake) -> None:
    """Manifests are read after the lake is listed: a job that ended in between loses nothing."""
    write(lake, 1)
    fragment = writing.write_fragment(lake.storage, target(2), 0, rows(2))
    listed = garbage.stored_partitions(lake.storage, TABLES["accuracy"])
    writing.commit(lake.storage, TABLES["accuracy"], target(2).key, [target(2).part([fragment])], replacing=True)
    ages = dict(garbage._garbage(lake.storage, "accuracy", listed)[0])
    assert f"{target(2).folder}/{fragment.path}" not in {entry.key for entry in ages}
    assert {entry.key for entry in ages} == {
        f"{target(1).folder}/_manifest.1.json",
        f"{target(1).folder}/{target(1).fragment_path(0)}",
    }
    assert min(ages.values()) > datetime.now(UTC) + 1000 * DAY, (
        "superseded while we looked: younger than any grace period"
    )


def test_orphans_of_a_partition_that_never_was_are_collected(lake: Lake) -> None:
    """A first job that was killed left no manifest, and its neighbour stays."""
    write(lake, 1)
    left = orphan(lake, 1, 0, "scores", detector="msp")
    assert collect(lake) == {left.relative_to(root(lake)).as_posix()}


def test_what_a_job_may_be_about_to_commit_is_kept_whatever_the_grace(lake: Lake) -> None:
    """Nobody ever named it, and it is young: what is superseded goes at once, as was asked for."""
    write(lake, 1)
    write(lake, 2)
    left = orphan(lake, 3)
    collected = garbage.collect(lake.storage, NOTHING)
    assert len(collected.deleted) == 2
    assert [entry.key for entry in collected.unfinished] == [left.relative_to(root(lake)).as_posix()]
    assert left.exists()


def test_what_is_committed_while_gc_looks_is_not_deleted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests are read again right before: a fragment that was nobody's at the first look may be named at the second."""
    write(lake, 1)
    orphan(lake, 2)
    looked = garbage._garbage

    def committed_meanwhile(*arguments: Any) -> Any:
        found = looked(*arguments)
        if arguments[1] == "accuracy":
            write(lake, 2)
        return found

    monkeypatch.setattr(garbage, "_garbage", committed_meanwhile)
    garbage.collect(lake.storage, NOTHING, now=datetime.now(UTC) + DAY)
    assert verify.verify(lake.storage, lambda _: None).faults == 0
    assert lake.read("accuracy", model="m", dataset="d").num_rows == 1


def test_a_collection_that_failed_is_finished_by_the_next(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for what it left: a manifest still says that the fragment was once named."""
    write(lake, 1)
    write(lake, 2)
    (manifest,) = lake.partitions("accuracy")
    ((current, _),) = manifest.files(manifest.parts[0])
    (doomed,) = (path for path in files(lake) if path.endswith(".parquet") and path != current)
    delete = LocalStorage.delete

    def refuse(self: LocalStorage, keys: Iterable[str]) -> None:
        wanted = list(keys)
        if doomed in wanted:
            raise StorageError("slow down")
        delete(self, wanted)

    monkeypatch.setattr(LocalStorage, "delete", refuse)
    with pytest.raises(StorageError, match="slow down"):
        garbage.collect(lake.storage, NOTHING)
    monkeypatch.setattr(LocalStorage, "delete", delete)
    assert doomed in {entry.key for entry in garbage.collect(lake.storage, NOTHING).deleted}
    assert files(lake) == {current, f"{manifest.folder}/_manifest.2.json"}


def test_a_lake_without_manifests_is_left_alone(lake: Lake) -> None:
    """It may be another's folder that happens to have our names."""
    orphan(lake, 1)
    before = files(lake)
    assert collect(lake) == set()
    assert files(lake) == before


def test_an_unreadable_manifest_stops_the_collection(lake: Lake) -> None:
    """It may name anything, so nothing in its table is garbage for sure."""
    write(lake, 1)
    write(lake, 2)
    (root(lake) / target(1).folder / "_manifest.2.json").write_text("{")
    before = files(lake)
    with pytest.raises(CorruptionError, match=r"_manifest\.2\.json"):
        collect(lake)
    assert files(lake) == before


def test_a_superseded_manifest_that_cannot_be_read_is_garbage_too(lake: Lake) -> None:
    write(lake, 1)
    write(lake, 2)
    (root(lake) / target(1).folder / "_manifest.1.json").write_text("{")
    assert len(collect(lake)) == 2


def test_the_command_says_what_it_does(lake: Lake, run: Run) -> None:
    """Counts and bytes by table and in all; a bad duration is one sentence."""
    write(lake, 1)
    write(lake, 2)
    left = orphan(lake, 1, 0, "scores", detector="msp")
    assert "may be writing them" in "".join(run("gc", "--lake", lake.location, "--older-than", "0s", "--dry-run")[1:])
    os.utime(left, (time.time() - 3600,) * 2)

    def said(*arguments: str) -> str:
        return "".join(run("gc", "--lake", lake.location, *arguments)[1:])

    assert "0 objects, 0 B deleted; 3 objects" in said()
    planned = said("--older-than", "0s", "--dry-run")
    assert "accuracy: 2 objects" in planned
    assert "scores: 1 object" in planned
    assert "would be deleted" in planned
    assert said("--older-than", "0s") == planned.replace("would be deleted", "deleted")
    assert "Error: '1 day' is no duration" in said("--older-than", "1 day")


def test_a_grace_period_longer_than_the_calendar_keeps_everything(lake: Lake) -> None:
    write(lake, 1)
    orphan(lake, 2)
    assert collect(lake, parse_duration("999999999d")) == set()
