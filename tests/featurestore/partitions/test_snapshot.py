"""Which manifest of a partition counts."""

from __future__ import annotations

import gc
import shutil
import threading
from pathlib import Path

import pytest

from benchmarks.lakes import put
from featurestore import CorruptionError, Lake, MissingError, machine
from featurestore.fragments import opening
from featurestore.layout.manifest import Fragment
from featurestore.layout.tables import TABLES
from featurestore.partitions import snapshot
from featurestore.partitions.writing import Target, drop, write_part
from tests.conftest import alter, random_activations

ACTIVATIONS = TABLES["activations"]
KEY = {"model": "m", "dataset": "d"}
TARGET = Target(ACTIVATIONS, KEY, {"seed": 0}, {})


@pytest.fixture
def filled(lake: Lake) -> Lake:
    write_part(lake.storage, TARGET, random_activations(41), replacing=False)
    return lake


def folder(lake: Lake) -> Path:
    return Path(lake.storage.uri(TARGET.folder))


def rows(lake: Lake) -> int:
    return sum(len(samples) for (samples,) in lake.batches(**KEY, columns=["sample"]))


def test_a_manifest_of_another_key_is_corruption(filled: Lake) -> None:
    """A partition's folder that was renamed says so instead of answering under a wrong name."""
    root = Path(filled.storage.uri("activations/model=m"))
    root.rename(root.with_name("model=other"))
    with pytest.raises(CorruptionError, match=r"activations \(model m, dataset d\): it was moved or altered"):
        filled.partitions("activations")
    with pytest.raises(CorruptionError, match="moved or altered"):
        filled.sql("from activations")


def test_a_manifest_of_another_version_is_corruption(filled: Lake) -> None:
    """A copy under a higher number would be the newest commit, and block the next one."""
    shutil.copy(folder(filled) / "_manifest.1.json", folder(filled) / "_manifest.7.json")
    with pytest.raises(CorruptionError, match=r"_manifest\.7\.json"):
        rows(filled)


def test_a_backup_inside_a_partition_changes_nothing(filled: Lake) -> None:
    """A folder of the user's own below a partition is not that partition."""
    shutil.copytree(folder(filled), folder(filled) / "backup")
    assert rows(filled) == 41
    assert len(filled.partitions("activations")) == 1


def test_the_highest_version_is_the_commit(lake: Lake) -> None:
    """Versions count as numbers: the tenth is newer than the ninth."""
    for seed in range(11):
        put(lake, "accuracy", KEY, {"n": [seed], "top1": [0.0], "top5": [0.0]}, {"seed": seed}, replacing=True)
    assert [m.version for m in lake.partitions("accuracy")] == [11]
    assert lake.read("accuracy", **KEY)["n"].to_pylist() == [10]


def test_a_snapshot_filters_by_key(lake: Lake) -> None:
    """Any subset of the keys selects, and names that begin alike are not confused."""
    for model in ("a", "ab", "b"):
        for dataset in ("x", "y"):
            put(lake, "accuracy", {"model": model, "dataset": dataset}, {"n": [1], "top1": [0.0], "top5": [0.0]})

    def keys(**key: str) -> list[str]:
        return ["".join(m.key.values()) for m in snapshot.current(lake.storage, TABLES["accuracy"], **key)]

    assert keys() == ["ax", "ay", "abx", "aby", "bx", "by"]
    assert keys(model="a") == ["ax", "ay"]
    assert keys(dataset="y") == ["ay", "aby", "by"]
    assert keys(model="b", dataset="y") == ["by"]
    assert keys(model="zzz") == []


def test_many_manifests_are_read_by_threads_where_waiting_is_what_costs(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow store sixteen are under way at once, and all come in order."""
    models = [f"m{number:02}" for number in range(18)]
    for model in models:
        put(lake, "accuracy", {"model": model, "dataset": "d"}, {"n": [1], "top1": [0.0], "top5": [0.0]})
    together, get = threading.Barrier(16), lake.storage.get

    def wait_for_the_others(key: str) -> bytes:
        if models.index(key.split("/")[1].removeprefix("model=")) >= 2:
            together.wait(60)
        return get(key)

    monkeypatch.setattr(lake.storage, "get", wait_for_the_others)
    monkeypatch.setattr(machine, "_WORTH_A_THREAD", 0)
    assert [manifest.key["model"] for manifest in snapshot.current(lake.storage, TABLES["accuracy"])] == models


def test_the_collector_works_again_after_the_manifests_are_read(filled: Lake) -> None:
    """It pauses while they are, whatever comes of it."""
    seen = []
    get = filled.storage.get
    filled.storage.get = lambda key: seen.append(gc.isenabled()) or get(key)  # type: ignore[func-returns-value, method-assign]
    filled.partitions("activations")
    (folder(filled) / "_manifest.1.json").write_text("{")
    with pytest.raises(CorruptionError):
        filled.partitions("activations")
    assert (seen, gc.isenabled()) == ([False, False], True)


def test_a_fragment_is_compared_before_it_counts(filled: Lake) -> None:
    """Its size and its hash; a missing one is said to be missing."""
    (manifest,) = filled.partitions("activations")
    ((path, fragment),) = manifest.files(manifest.parts[0])
    opening.check(filled.storage, [(path, fragment)])
    altered = Fragment(fragment.path, fragment.rows, fragment.bytes + 1, fragment.sha256)
    with pytest.raises(CorruptionError, match=f"it has {fragment.bytes} bytes instead of {altered.bytes}"):
        opening.check(filled.storage, [(path, altered)])
    altered = Fragment(fragment.path, fragment.rows, fragment.bytes, "0" * 64)
    with pytest.raises(CorruptionError, match="its sha256 differs"):
        opening.check(filled.storage, [(path, altered)])
    with pytest.raises(CorruptionError, match="it is missing"):
        opening.check(filled.storage, [(f"{path}-not", fragment)])


def test_a_fragment_of_other_rows_than_its_manifest_says_is_not_read(filled: Lake) -> None:
    """Rows are never missing in silence."""
    alter(folder(filled) / "_manifest.1.json", lambda of: of["parts"][0]["fragments"][0].update(rows=40))
    with pytest.raises(CorruptionError, match="it has 41 rows instead of 40"):
        rows(filled)


def test_a_partition_whose_newest_manifest_has_no_parts_does_not_exist(filled: Lake) -> None:
    """Every way of reading agrees, and the version counts on when it comes back."""
    assert drop(filled.storage, ACTIVATIONS, KEY, lambda _: True)
    assert not drop(filled.storage, ACTIVATIONS, KEY, lambda _: True)
    assert snapshot.latest(filled.storage, ACTIVATIONS, KEY) is None
    assert filled.partitions("activations") == []
    with pytest.raises(MissingError, match="holds no activations of model m, dataset d"):
        filled.part("activations", **KEY)
    assert filled.sql("from activations").fetchall() == []
    assert filled.scan("activations").collect().is_empty()
    assert [manifest.version for manifest in snapshot.current_commits(filled.storage, ACTIVATIONS)] == [2]
    assert write_part(filled.storage, TARGET, random_activations(41), replacing=False)
    assert rows(filled) == 41
    assert filled.partitions("activations")[0].version == 3
