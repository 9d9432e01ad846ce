"""A lake for a job: tables are listed once for a while, and what matters is asked afresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from analysis.scoring import ScoringSelection, score
from benchmarks.lakes import put, put_scores
from benchmarks.lakes.scored import make_scored_lake
from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.partitions.writing import Target, write_part
from featurestore.storage import LocalStorage, ObjectStorage, Remembering, remembering
from featurestore.transfer import copy
from tests.featurestore.storage.contract import StorageContract
from tests.s3.server import environment, new_lake, use

if TYPE_CHECKING:
    from pathlib import Path

SCORES = TABLES["scores"]


class TestRemembering(StorageContract):
    many = 30

    @pytest.fixture
    def storage(self, tmp_path: Path) -> Remembering:
        return Remembering(LocalStorage(tmp_path / "lake"))


@pytest.fixture
def place(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    use(monkeypatch, environment(endpoint))
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "cache"))
    return new_lake(endpoint)


def of(lake: Lake) -> list[str]:
    return [manifest.key["model"] for manifest in lake.partitions("scores")]


def put_one(lake: Lake, model: str) -> None:
    put_scores(lake, model, "far", {"msp": (np.zeros(3), np.zeros(3))})


def test_a_job_sees_at_once_what_it_writes_and_in_a_while_what_others_write(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so does whoever is not a job, at once: also a lake that is held for long, from which jobs were started."""
    put_one(Lake(place), "a")
    held = Lake(place)
    job = held.for_a_job("scores")
    assert of(job) == ["a"]
    put_one(job, "b")
    assert of(job) == ["a", "b"]
    put_one(Lake(place), "c")
    assert (of(job), of(held)) == (["a", "b"], ["a", "b", "c"])
    asked = "select count(distinct model) from scores"
    assert held.sql(asked).fetchall() == held.connect().execute(asked).fetchall() == [(3,)]
    assert held.scan("scores").collect()["model"].n_unique() == 3
    put_one(Lake(place), "c2")
    assert held.sql(asked).fetchall() == held.connect().execute(asked).fetchall() == [(4,)]
    assert held.scan("scores").collect()["model"].n_unique() == 4
    held.storage.delete([found.key for found in held.storage.list("scores/benchmark=main/model=c2")])
    monkeypatch.setattr(remembering, "_SECONDS", 0.0)
    monkeypatch.setattr(remembering, "_SHARE", 0)
    later = Lake(place).for_a_job("scores")
    assert of(later) == ["a", "b", "c"]
    put_one(Lake(place), "d")
    assert of(later) == ["a", "b", "c", "d"]
    later.storage.delete([found.key for found in later.storage.list("scores/benchmark=main/model=a")])
    assert of(later) == ["b", "c", "d"]


def test_a_job_commits_on_what_is_there_now(place: str) -> None:
    """Parts that another writer added since the listing are kept, and so is its version."""
    put_one(Lake(place), "a")
    job, other = Lake(place).for_a_job("scores"), Lake(place)
    key = {"benchmark": "main", "model": "m", "dataset": "d"}
    assert of(job) == ["a"]
    columns = {"sample": [0], "score": [0.0], "id_rank": [0.0]}
    for lake, detectors in ((other, ("msp", "vim")), (job, ("knn",)), (other, ("energy",)), (job, ("react", "msp"))):
        for detector in detectors:
            put(lake, "scores", {**key, "detector": detector}, columns)
    (manifest,) = other.partitions("scores", model="m")
    assert sorted(part.key["detector"] for part in manifest.parts) == ["energy", "knn", "msp", "react", "vim"]
    assert manifest.version == 5


def test_an_equal_part_of_another_writer_is_a_success(place: str) -> None:
    """What a job takes for missing, since its listing is old, it makes again; and finds it there."""
    put_one(Lake(place), "a")
    job, other = Lake(place).for_a_job("accuracy"), Lake(place)
    assert job.partitions("accuracy") == []
    target = Target(TABLES["accuracy"], {"model": "m", "dataset": "d"}, {"seed": 0}, {})
    rows = TABLES["accuracy"].columns.empty_table()
    assert write_part(other.storage, target, rows, replacing=False)
    write_part(job.storage, target, rows, replacing=False)
    assert [manifest.version for manifest in other.partitions("accuracy")] == [1]


def test_a_lake_on_disk_is_its_own_job(lake: Lake) -> None:
    assert lake.for_a_job("scores") is lake


def test_scoring_with_nothing_to_do_asks_for_each_table_once(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many models there are: the second time, its requests are as many as its tables, and it makes nothing."""
    local = make_scored_lake(tmp_path / "lake", 2)
    copy(local.storage, ObjectStorage(place), say=lambda _: None)
    asked: list[str] = []
    marked, get = ObjectStorage.marked, ObjectStorage.get
    monkeypatch.setattr(ObjectStorage, "marked", lambda self, key: (asked.append(key), marked(self, key))[1])
    monkeypatch.setattr(ObjectStorage, "get", lambda self, key: (asked.append(key), get(self, key))[1])
    for _ in range(2):
        asked.clear()
        summary = score(Lake(place), ScoringSelection(), lambda _: None)
        assert summary.scored == 0
        assert summary.reused > 100
    assert sorted(asked) == sorted(set(asked))
    assert {key for key in asked if "/" in key} == set()


def test_manifests_are_kept_before_they_are_looked_at(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in "abc":
        put_one(Lake(place), model)
    job = Lake(place).for_a_job("scores", "metrics")
    monkeypatch.setattr(ObjectStorage, "get", lambda _, key: pytest.fail(key))
    found = [snapshot.latest(job.storage, SCORES, {"benchmark": "main", "model": m, "dataset": "far"}) for m in "abc"]
    assert [manifest.parts[0].rows if manifest else None for manifest in found] == [3, 3, 3]
