from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from featurestore.errors import ConflictError, StorageError
from featurestore.layout.manifest import from_json
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.partitions.writing import Target, commit, find, find_all, resume, write_fragment, write_part

if TYPE_CHECKING:
    from featurestore import Lake

SCORES = TABLES["scores"]
KEY = {"benchmark": "main", "model": "m", "dataset": "d"}


def target(detector: str = "msp", **ingredients: Any) -> Target:
    return Target(SCORES, KEY, ingredients or {"seed": 0}, {"detector": detector})


def rows(*scores: float, first: int = 0) -> pa.Table:
    return pa.table(
        {"sample": list(range(first, first + len(scores))), "score": list(scores), "id_rank": [0.5] * len(scores)},
        SCORES.columns,
    )


def files(lake: Lake) -> dict[str, bytes]:
    root = lake.storage.folder
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def scores(lake: Lake, detector: str = "msp") -> list[float]:
    return lake.read("scores", **KEY, detector=detector)["score"].to_pylist()


def test_a_partition_without_a_manifest_does_not_exist(lake: Lake) -> None:
    """Fragments alone are nothing to any reader."""
    write_fragment(lake.storage, target(), 0, rows(1.0))
    assert (lake.partitions("scores"), find(lake.storage, target(), replacing=False)) == ([], None)
    assert lake.scan("scores").collect().is_empty()
    assert lake.sql("from scores").fetchall() == []


def test_a_cache_hit_writes_nothing(lake: Lake) -> None:
    assert write_part(lake.storage, target(), rows(1.0), replacing=False)
    before = files(lake)
    assert not write_part(lake.storage, target(), rows(2.0), replacing=False)
    assert not write_part(lake.storage, target(), rows(2.0), replacing=True)
    assert files(lake) == before
    assert len(before) == 2


def test_other_ingredients_are_a_conflict(lake: Lake) -> None:
    """The error names the ingredient, with what is there and what is wanted, and nothing is written."""
    write_part(lake.storage, target(weights="a", seed=0), rows(1.0), replacing=False)
    before = files(lake)
    said = r"model m, dataset d, detector msp.*another weights \(in the lake: a, now: b\):.*--replace"
    with pytest.raises(ConflictError, match=said):
        write_part(lake.storage, target(weights="b", seed=0), rows(2.0), replacing=False)
    assert files(lake) == before


def test_replacing_swaps_what_readers_see(lake: Lake) -> None:
    """Readers see the new rows alone; the old fragment stays on disk until it is collected."""
    write_part(lake.storage, target(seed=0), rows(1.0), replacing=False)
    write_part(lake.storage, target(seed=1), rows(2.0, 3.0), replacing=True)
    assert scores(lake) == [2.0, 3.0]
    assert lake.scan("scores").collect()["score"].to_list() == [2.0, 3.0]
    assert sorted(lake.sql("select score from scores").fetchall()) == [(2.0,), (3.0,)]
    assert sum(name.endswith(".parquet") for name in files(lake)) == 2
    assert [m.version for m in lake.partitions("scores")] == [2]


def test_parts_stand_side_by_side(lake: Lake) -> None:
    """A new detector leaves the others alone, and has its own path."""
    write_part(lake.storage, target("msp"), rows(1.0), replacing=False)
    write_part(lake.storage, target("gen"), rows(2.0), replacing=False)
    assert (scores(lake, "msp"), scores(lake, "gen")) == ([1.0], [2.0])
    assert sorted(lake.sql("select detector, score from scores").fetchall()) == [("gen", 2.0), ("msp", 1.0)]
    assert any("/detector=gen/" in name for name in files(lake))


def test_every_version_stays_readable(lake: Lake) -> None:
    """A commit never changes an older manifest: who began with it can end with it."""
    for detector in ("a", "b"):
        write_part(lake.storage, target(detector), rows(1.0), replacing=False)
    stored = {name: data for name, data in files(lake).items() if name.endswith(".json")}
    assert [len(from_json(data, name).parts) for name, data in sorted(stored.items())] == [1, 2]


def test_resume_finds_what_a_killed_job_left(lake: Lake) -> None:
    """Fragments come back with the notes of the job that wrote them, equal to what it would have committed."""
    written = [write_fragment(lake.storage, target(), n, rows(float(n)), {"failed": [n, "ü"]}) for n in (0, 3)]
    found = resume(lake.storage, target())
    assert found == {0: (written[0], {"failed": [0, "ü"]}), 3: (written[1], {"failed": [3, "ü"]})}
    assert resume(lake.storage, target("gen")) == {}


def test_resume_leaves_out_what_is_not_its_own(lake: Lake) -> None:
    """Fragments of other ingredients, other files, and files that are not whole do not count."""
    mine = write_fragment(lake.storage, target(), 1, rows(1.0))
    write_fragment(lake.storage, target(seed=1), 2, rows(2.0))
    folder = f"{target().folder}/detector=msp"
    prefix = target().fingerprint[:12]
    whole = lake.storage.get(f"{target().folder}/{mine.path}")
    for name, data in {
        f"{prefix}-00004.parquet": whole[:-20],
        f"{prefix}-00005.parquet": b"",
        f"{prefix}-6.parquet": whole,
        f"{prefix}-00007.parquet.tmp": whole,
        f"old/{prefix}-00008.parquet": whole,
        "notes.txt": b"x",
    }.items():
        lake.storage.put(f"{folder}/{name}", data)
    assert resume(lake.storage, target()) == {1: (mine, {})}


def test_fragments_read_in_the_order_of_the_part(lake: Lake) -> None:
    """A part's rows are its fragments' rows, in the order that the job gave."""
    fragments = [write_fragment(lake.storage, target(), n, rows(n + 0.25, n + 0.5, first=10 - 2 * n)) for n in range(3)]
    commit(lake.storage, SCORES, KEY, [target().part(fragments, {"seconds": 1})], replacing=False)
    assert scores(lake) == [0.25, 0.5, 1.25, 1.5, 2.25, 2.5]
    manifest = snapshot.latest(lake.storage, SCORES, KEY)
    assert manifest is not None
    assert (manifest.parts[0].rows, manifest.parts[0].details) == (6, {"seconds": 1})


def test_what_is_held_of_many_targets_is_found_at_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of another fingerprint count as missing, and each partition's manifest is read once."""
    for detector in ("msp", "gen"):
        write_part(lake.storage, target(detector), rows(1.0), replacing=False)
    read: list[str] = []
    get = lake.storage.get
    monkeypatch.setattr(lake.storage, "get", lambda key: read.append(key) or get(key))
    elsewhere = Target(SCORES, {**KEY, "model": "n"}, {"seed": 0}, {"detector": "msp"})
    wanted = [target("msp"), target("gen", seed=1), target("gen"), target("knn"), elsewhere]
    found = find_all(lake.storage, wanted)
    assert [part and part.key["detector"] for part in found] == ["msp", None, "gen", None, None]
    assert len(read) == 1


def test_a_fragment_that_vanished_is_not_committed(lake: Lake) -> None:
    """Garbage collection may have taken what an earlier attempt left: nothing becomes visible."""
    fragments = [write_fragment(lake.storage, target(), number, rows(1.0)) for number in range(2)]
    lake.storage.delete([f"{target().folder}/{fragments[1].path}"])
    with pytest.raises(StorageError, match=r"00001\.parquet vanished before it was committed: run the job again"):
        commit(lake.storage, SCORES, KEY, [target().part(fragments)], replacing=False)
    assert lake.partitions("scores") == []


def test_a_commit_that_always_loses_gives_up(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other writers cannot keep a job busy for ever."""
    part = target().part([write_fragment(lake.storage, target(), 0, rows(1.0))])
    tries: list[str] = []
    monkeypatch.setattr(lake.storage, "create", lambda key, _: bool(tries.append(key)))
    with pytest.raises(StorageError, match=r"other jobs kept changing it\. Try again"):
        commit(lake.storage, SCORES, KEY, [part], replacing=False)
    assert len(tries) == 100
