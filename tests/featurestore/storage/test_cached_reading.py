"""A lake in a bucket through the cache: the answers are those of the bucket, whatever happens to either."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.lakes import activations, put, put_rows, put_scores
from featurestore import CorruptionError, Lake, StorageError
from featurestore.fragments import opening
from featurestore.storage import ObjectStorage, caches
from tests.conftest import faults
from tests.long import shortened
from tests.s3.server import environment, new_lake, real_lake, use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Run

MODELS, DETECTORS, ROWS = ("a", "b", "c"), ("msp", "vim"), 40
OF_A = {"benchmark": "main", "model": "a", "dataset": "far"}


def scores(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    generator = np.random.default_rng(seed)
    return {detector: (generator.normal(size=ROWS), generator.random(ROWS)) for detector in DETECTORS}


@pytest.fixture(params=["moto", pytest.param("rgw", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A new lake's URL, beside a cache with nothing in it."""
    if request.param == "rgw":
        location = real_lake(monkeypatch)
    else:
        endpoint = request.getfixturevalue("endpoint")
        use(monkeypatch, environment(endpoint))
        location = new_lake(endpoint)
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "cache"))
    return location


@pytest.fixture
def filled(place: str, tmp_path: Path) -> str:
    """Scores of three models by two detectors, and activations of one, which somebody else wrote: nothing is kept here."""
    lake = Lake(place)
    for seed, model in enumerate(MODELS):
        put_rows(lake, "models", {"model": model}, {"params": seed})
        put_scores(lake, model, "far", scores(seed))
    vectors = np.random.default_rng(0).normal(size=(2, ROWS, 3)).astype(np.float32)
    rows = activations(np.arange(ROWS), [None] * ROWS, vectors[0], vectors[1])
    put(lake, "activations", {"model": "a", "dataset": "far"}, rows)
    caches.clear(tmp_path / "cache")
    return place


def test_what_this_machine_wrote_is_read_here(place: str) -> None:
    """Scores that are judged next, and statistics that scores come from, need not come back from the bucket."""
    lake = Lake(place)
    put_scores(lake, "a", "far", scores(0))
    without_fragments(lake)
    assert READS["sql"](Lake(place)) == pytest.approx(total(0))


def total(seed: int) -> float:
    return sum(float(score.sum()) for score, _ in scores(seed).values())


READS: dict[str, Callable[[Lake], float]] = {
    "read": lambda lake: sum(
        float(np.sum(lake.read("scores", detector=detector, **{**OF_A, "model": model})["score"].to_numpy()))
        for model in MODELS
        for detector in DETECTORS
    ),
    "batches": lambda lake: sum(
        float(block.score.sum())
        for model in MODELS
        for detector in DETECTORS
        for block in lake.batches("scores", columns=["score"], detector=detector, **{**OF_A, "model": model})
    ),
    "scan": lambda lake: lake.scan("scores").collect()["score"].sum(),
    "sql": lambda lake: lake.sql("select sum(score) from scores").fetchall()[0][0],
    "connect": lambda lake: lake.connect().execute("select sum(score) from scores").fetchall()[0][0],
}


def kept(tmp_path: Path, suffix: str = ".parquet") -> list[Path]:
    return sorted((tmp_path / "cache").rglob(f"*{suffix}"))


def without_fragments(lake: Lake) -> None:
    """Take the fragments out of the bucket, so that whoever answers has them from elsewhere."""
    lake.storage.delete([found.key for found in lake.storage.list("") if found.key.endswith(".parquet")])


@pytest.mark.parametrize("read", READS)
def test_what_was_read_once_is_read_here(filled: str, tmp_path: Path, read: str) -> None:
    """By every way of reading; and what one way brought serves all others."""
    right = pytest.approx(sum(map(total, range(3))))
    assert READS[read](Lake(filled)) == right
    assert len([file for file in kept(tmp_path) if "/scores/" in str(file)]) == len(MODELS) * len(DETECTORS)
    without_fragments(Lake(filled))
    assert {name: READS[name](Lake(filled)) for name in READS if name != "connect" or read == name} == dict.fromkeys(
        [name for name in READS if name != "connect" or read == name], right
    )


def test_verify_looks_at_the_bucket(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept here says nothing of what lies there, unless the listing has its MD5: neither fragments nor manifests."""
    lake = Lake(filled)
    assert faults(lake) == faults(lake, deep=False)
    with monkeypatch.context() as patch:
        patch.setattr(ObjectStorage, "get", lambda _, key: pytest.fail(f"{key} was read again"))
        faults(lake, deep=False)
        assert len(kept(tmp_path)) == len(MODELS) * (len(DETECTORS) + 1) + 1
    sound = len(faults(lake, deep=False))
    READS["sql"](lake)
    key = next(found.key for found in lake.storage.list("scores") if found.key.endswith(".parquet"))
    whole = lake.storage.get(key)
    lake.storage.put(key, whole[:8] + b"x" + whole[9:])
    assert sum("its sha256 differs" in fault for fault in faults(lake, deep=False)) == 1
    assert len(faults(lake, deep=True)) > sound
    lake.storage.put(key, whole)
    without_fragments(lake)
    assert len(faults(lake, deep=False)) > sound + len(MODELS) * len(DETECTORS)


@pytest.mark.parametrize("read", READS)
def test_what_another_writer_replaces_is_seen_at_once(filled: str, read: str) -> None:
    """A part swapped for another, in a new version; and a partition that is made again under the same names after all was deleted."""
    reader, writer = Lake(filled), Lake(filled)
    assert READS[read](reader) == pytest.approx(sum(map(total, range(3))))
    for detector, (score, rank) in scores(7).items():
        columns = {"sample": np.arange(ROWS), "score": score, "id_rank": rank}
        put(writer, "scores", {**OF_A, "detector": detector}, columns, {"seed": 7}, replacing=True)
    assert READS[read](reader) == pytest.approx(total(7) + total(1) + total(2))
    folder = "scores/benchmark=main/model=a/dataset=far"
    writer.storage.delete([found.key for found in writer.storage.list(folder)])
    put_scores(writer, "a", "far", scores(8))  # under the names of the first fragments
    assert [manifest.version for manifest in reader.partitions("scores", model="a")] == [1]
    assert READS[read](reader) == pytest.approx(total(8) + total(1) + total(2))


@pytest.mark.parametrize("read", ["read", "batches", "sql"])
def test_a_spoilt_file_is_fetched_again(filled: str, tmp_path: Path, read: str) -> None:
    """A fragment or a manifest that a crash left in the cache: empty, short, or zeros."""
    right = pytest.approx(READS[read](Lake(filled)))
    whole = {file: file.read_bytes() for file in kept(tmp_path)}
    for spoil in (lambda _: b"", lambda data: data[:-1], lambda data: bytes(len(data))):
        for file in [*whole, *kept(tmp_path, ".json")]:
            file.write_bytes(spoil(file.read_bytes()))
        assert READS[read](Lake(filled)) == right
        assert {file: file.read_bytes() for file in whole} == whole
    without_fragments(Lake(filled))
    assert READS[read](Lake(filled)) == right


@pytest.mark.parametrize("large", [False, True])
def test_what_is_altered_in_the_bucket_is_an_error_and_not_kept(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, large: bool
) -> None:
    """However it is fetched, in one go or in pieces."""
    monkeypatch.setattr(opening, "HASHED_BYTES", 0 if large else opening.HASHED_BYTES)
    lake = Lake(filled)
    (path, fragment) = next(iter((m := lake.partitions("scores", model="a")[0]).files(m.parts[0])))
    data = lake.storage.get(path)
    for read in READS.values():
        caches.clear(tmp_path / "cache")
        for altered in (data[:-1], data[:100] + bytes([data[100] ^ 1]) + data[101:]):
            lake.storage.put(path, altered)
            with pytest.raises(CorruptionError, match="is not what its manifest says"):
                read(Lake(filled))
            assert not (lake.storage.cache and lake.storage.cache.holds(path, fragment.sha256, fragment.bytes))
        lake.storage.put(path, data)
        assert read(Lake(filled)) == pytest.approx(sum(map(total, range(3))))


@pytest.mark.parametrize("size", shortened(["0B", "900B", "6kB"]))
def test_without_room_the_answers_are_the_same(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    """No cache, one that holds hardly a file, and one that holds some: never more than it may."""
    monkeypatch.setenv("FEATURESTORE_CACHE_SIZE", size)
    limit = {"0B": 0, "900B": 900, "6kB": 6000}[size]
    for read in READS.values():
        caches.clear(tmp_path / "cache")
        for _ in range(2):
            assert read(Lake(filled)) == pytest.approx(sum(map(total, range(3))))
        assert sum(lake.bytes for lake in caches.cached_lakes(tmp_path / "cache")) <= limit


@pytest.mark.filterwarnings("ignore:The cache at")
@pytest.mark.long
def test_a_cache_that_cannot_be_written_changes_no_answer(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "file"))
    for read in READS.values():
        assert read(Lake(filled)) == pytest.approx(sum(map(total, range(3))))


def test_what_is_cleared_while_a_query_waits_is_no_wrong_answer(filled: str, tmp_path: Path) -> None:
    """What a connection has not read yet, or reads again, is brought again."""
    lake, query = Lake(filled), "select sum(score) from scores"
    waiting = lake.connect()
    for _ in range(2):
        caches.clear(tmp_path / "cache")
        assert waiting.execute(query).fetchall()[0][0] == pytest.approx(sum(map(total, range(3))))


def test_large_activations_are_kept_only_where_that_is_asked_for(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_SMALL", 0)
    features = "select sum(feature[1]) from activations"

    def answers(lake: Lake) -> list[Any]:
        return [
            lake.sql(features).fetchall()[0][0],
            float(lake.scan("activations", model="a", dataset="far").collect()["feature"].arr.first().sum()),
            sum(float(block.feature[:, 0].sum()) for block in lake.batches(model="a", dataset="far")),
        ]

    expected = answers(Lake(filled))
    assert expected == pytest.approx(expected[:1] * 3, rel=1e-4)
    assert [file for file in kept(tmp_path) if "/activations/" in str(file)] == []
    monkeypatch.setenv("FEATURESTORE_CACHE_ACTIVATIONS", "true")
    assert answers(Lake(filled)) == pytest.approx(expected)
    assert len([file for file in kept(tmp_path) if "/activations/" in str(file)]) == 1
    without_fragments(Lake(filled))
    assert answers(Lake(filled)) == pytest.approx(expected)


def command(location: str) -> subprocess.Popen[str]:
    query = ["sql", "select sum(score) from scores", "--format", "csv", "--lake", location]
    return subprocess.Popen(
        [sys.executable, "-m", "featurestore", *query], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_processes_share_a_cache_and_may_be_killed(filled: str, tmp_path: Path) -> None:
    """Four at once from an empty cache answer alike; killed ones leave nothing that anybody reads."""
    right = pytest.approx(sum(map(total, range(3))))
    for count in range(0, 6, 2):
        running = command(filled)
        while running.poll() is None and len(kept(tmp_path)) < count:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.01)
        running.kill()
        running.communicate()
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: command(filled).communicate()[0], range(4)))
    assert [float(text.split()[1]) for text in said] == [right] * 4
    without_fragments(Lake(filled))
    assert READS["sql"](Lake(filled)) == right


def test_a_question_cannot_read_what_is_kept_of_other_lakes(filled: str, tmp_path: Path) -> None:
    """Nor any other file."""
    READS["sql"](Lake(filled))
    (file,) = [file for file in kept(tmp_path) if "/scores/" in str(file)][:1]
    other = tmp_path / "cache" / "0123456789abcdef"
    other.mkdir()
    (other / "stolen.parquet").write_bytes(file.read_bytes())
    for name, path in (("other", other / "stolen.parquet"), ("own", file)):
        lines = [
            f"-- title: {name}",
            f"-- question: {name}?",
            "-- column score: a score",
            f"select score from read_parquet('{path}')",
        ]
        Lake(filled).storage.put(f"questions/{name}.sql", "\n".join(lines).encode())
    with pytest.raises((StorageError, ValueError), match=r"[Pp]ermission"):
        Lake(filled).ask("other").fetchall()


def test_a_cache_below_a_folder_that_is_a_column_is_refused(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEATURESTORE_CACHE", str(tmp_path / "model=x"))
    with pytest.raises(
        ValueError, match=r"The cache cannot lie at .*model=x: its folder 'model=x' would be read as the column"
    ):
        Lake(place)


def test_the_command_shows_and_clears_what_is_kept(filled: str, tmp_path: Path, run: Run) -> None:
    READS["sql"](Lake(filled))
    code, said, _ = run("cache")
    assert code == 0
    assert said.startswith(filled)
    assert said.splitlines()[-1].startswith(f"{tmp_path / 'cache'}: ")
    assert said.splitlines()[-1].endswith(" kB of at most 20.0 GB")
    assert run("cache", "--clear")[:2] == (0, said.splitlines()[-1].replace(" of at most 20.0 GB", " deleted") + "\n")
    assert kept(tmp_path) == []
    assert run("cache")[1] == f"{tmp_path / 'cache'}: 0 B of at most 20.0 GB\n"
