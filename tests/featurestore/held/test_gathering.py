"""Large tables, gathered outside of the lake: their rows are those of the fragments, and nothing is out of date, whatever was done to it."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.lakes import put_rows
from featurestore import CorruptionError, Lake
from featurestore.fragments import verdicts
from featurestore.held import Held, gathering
from featurestore.layout.manifest import SEAL_BYTES, sealed

if TYPE_CHECKING:
    from collections.abc import Callable

    from featurestore.layout.manifest import Manifest, Part

MODELS = 6
TABLES = {
    "accuracy": "model, dataset, top1",
    "geometry": "model, fit_dataset, nc1",
    "metrics": "model, detector, auroc, id_dataset",
}


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake whose tables count as large, in two segments."""
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gathering, "AT_LEAST", 2)
    monkeypatch.setattr(gathering, "_PER_SEGMENT", 3)
    lake = Lake(tmp_path / "lake")
    for number in range(MODELS):
        write(lake, f"m{number}", number)
    settle()
    return lake


def settle() -> None:
    """What changed a moment ago may change again and show the same, and is not kept."""
    time.sleep(verdicts.SETTLED_NS / 1e9 * 1.5)


def write(lake: Lake, model: str, number: int, id_set: str = "val") -> None:
    """A model's rows in each of the tables, in the place of those that are there."""
    put_rows(
        lake, "accuracy", {"model": model, "dataset": "val"}, {"n": 9, "top1": 1 / (2 + number)},
        ingredients={"number": number}, replacing=True,
    )  # fmt: skip
    for fit in ("train", "more"):  # two parts of one partition
        key = {"model": model, "dataset": "val", "fit_dataset": fit}
        put_rows(lake, "geometry", key, {"rows": 9, "nc1": number / 7}, ingredients={"number": number}, replacing=True)
    rows = [
        {"detector": name, "id_dataset": id_set, "ood_dataset": "far", "aggregation": "all", "auroc": 1 / (3 + number)}
        for name in ("knn", "msp")
    ]
    key = {"benchmark": "main", "model": model}
    put_rows(lake, "metrics", key, *rows, ingredients={"id_dataset": id_set, "number": number}, replacing=True)


def read(lake: Lake) -> list[list[Any]]:
    return [sorted(lake.sql(f"select {columns} from {name}").fetchall()) for name, columns in TABLES.items()]


def as_it_lies(lake: Lake) -> list[list[Any]]:
    """The same, with nothing gathered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gathering, "GATHERED", ())
        return read(lake)


def kept(lake: Lake, suffix: str = "parquet") -> set[Path]:
    return set((Path(lake.location).parent / "cache").rglob(f"*.{suffix}"))


def manifest_of(lake: Lake, model: str) -> Path:
    return max(Path(lake.location, "metrics", "benchmark=main", f"model={model}").glob("_manifest.*.json"))


def add_dataset(lake: Lake, model: str, number: int) -> None:
    key = {"model": model, "dataset": f"d{number}"}
    put_rows(lake, "accuracy", key, {"n": 5, "top1": 0.5}, ingredients={"number": number}, replacing=True)


def remove(lake: Lake, model: str, _: int) -> None:
    for table in TABLES:
        for folder in Path(lake.location, table).rglob(f"model={model}"):
            shutil.rmtree(folder)


def undo(lake: Lake, model: str, _: int) -> None:
    """The newest manifest goes: the one before counts again, if its fragments are there."""
    newest = manifest_of(lake, model)
    if newest.name != "_manifest.1.json":
        newest.unlink()


def restamp(lake: Lake, model: str, number: int) -> None:
    """A manifest is written anew under its own name, by hand, and says another thing of as many bytes."""
    manifest = manifest_of(lake, model)
    text = manifest.read_bytes()[:-SEAL_BYTES].replace(b"featurestore 0", b"featurestorX %d" % (number % 10))
    manifest.write_bytes(sealed(text + b"}"))


def judge_by_another_set(lake: Lake, model: str, number: int) -> None:
    """Its metrics are left out then, as they are not those of the benchmark's others."""
    write(lake, model, number, "other")


EDITS: list[Callable[[Lake, str, int], None]] = [write, add_dataset, remove, undo, restamp, judge_by_another_set]


@pytest.mark.filterwarnings("ignore::featurestore.StaleWarning")
def test_whatever_is_done_to_a_lake_is_seen_at_once(large: Lake) -> None:
    """As it is without: after each of some edits in a row, some of which follow at once and some later."""
    generator = random.Random(0)
    for step, edit in enumerate(generator.sample(2 * EDITS, 2 * len(EDITS))):
        models = sorted(Path(large.location, "metrics", "benchmark=main").iterdir())
        edit(large, generator.choice(models).name.removeprefix("model="), 10 + step)
        if step % 2:
            settle()
        assert read(large) == as_it_lies(large), (step, edit)
    write(large, "m9", 9)
    assert read(large) == as_it_lies(large)
    assert kept(large)


def test_segments_are_made_again_alone_and_of_what_they_held(large: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fragments whose rows are kept are opened no more, and manifests that did not change are not read."""
    read(large)
    before = kept(large)
    assert len(before) == 2 * len(TABLES)
    opened: list[str] = []
    get = type(large.storage).get
    monkeypatch.setattr(type(large.storage), "get", lambda self, key: opened.append(key) or get(self, key))
    assert read(large) == read(Lake(large.location))
    assert kept(large) == before
    assert opened == []
    add_dataset(large, "m0", 1)
    opened.clear()
    assert large.sql("select count(distinct (model, dataset)) from accuracy").fetchall() == [(MODELS + 1,)]
    assert {key.rpartition("/dataset=")[0] for key in opened} == {"accuracy/model=m0"}
    assert len(kept(large) - before) == 1
    for fragment in Path(large.location, "accuracy").rglob("*.parquet"):
        fragment.unlink()  # whoever opened them would fail
    add_dataset(large, "m0", 2)
    assert large.sql("select count(distinct (model, dataset)) from accuracy").fetchall() == [(MODELS + 2,)]


def test_what_is_altered_never_becomes_numbers(large: Lake) -> None:
    """A fragment is hashed before its rows are kept; a manifest that was altered is refused, though it was read before."""
    fragment = next(Path(large.location, "metrics", "benchmark=main", "model=m3").glob("*.parquet"))
    whole = fragment.read_bytes()
    fragment.write_bytes(bytes(reversed(whole)))
    with pytest.raises(CorruptionError, match="model=m3"):
        read(large)
    fragment.write_bytes(whole)
    settle()
    rows = read(large)
    manifest = manifest_of(large, "m3")
    said = manifest.read_bytes()
    manifest.write_bytes(said.replace(b"featurestore 0", b"featurestorX 0"))
    with pytest.raises(CorruptionError, match="m3"):
        read(large)
    manifest.write_bytes(said)
    os.truncate(fragment, 9)
    assert read(large) == rows, "what was found whole is what was kept"


@pytest.mark.parametrize("suffix", ["parquet", "json"])
def test_what_was_kept_and_is_damaged_is_made_again(large: Lake, suffix: str) -> None:
    """By a single bit, or cut off."""
    rows = read(large)
    for damage in (halved, flipped):
        for file in kept(large, suffix):
            file.write_bytes(damage(file.read_bytes()))
        assert read(large) == rows


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    place = len(data) // 3
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_parts_that_are_left_out_are(large: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the two of a partition, and both of another."""

    def current(_: Held, manifest: Manifest, __: object) -> list[Part]:
        left = {"fit_dataset": "more"}
        return [part for part in manifest.parts if dict(part.key) != left and manifest.key["model"] != "m1"]

    whole = read(large)
    monkeypatch.setattr(Held, "current_parts", current)
    assert read(large) == as_it_lies(large)
    assert [len(rows) for rows in read(large)] != [len(rows) for rows in whole]
    assert len(large.sql("from geometry").fetchall()) == MODELS - 1


def test_nothing_is_kept_where_there_is_no_room(large: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURESTORE_CACHE_SIZE", "0B")
    assert read(large) == as_it_lies(large)
    assert kept(large) == set()


def test_manifests_are_those_of_the_lake(large: Lake) -> None:
    """In the same order, also when they are read again from what was kept; with those of all their partitions."""
    add_dataset(large, "m2", 1)
    settle()
    for name in TABLES:
        for _ in range(2):
            whole = gathering.gathered(large.storage, name)
            assert whole is not None
            assert whole.manifests == large.partitions(name)
