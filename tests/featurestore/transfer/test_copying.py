from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from benchmarks.lakes import put_rows, put_scores
from featurestore import ConflictError, InputError, Lake, MissingError
from featurestore.errors import CorruptionError
from featurestore.layout.tables import ORDER, TABLES
from featurestore.partitions.encoding import encode
from featurestore.transfer import EVERYTHING, Restriction, copy
from tests.conftest import faults
from tests.featurestore.transfer.conftest import files, parts
from tests.s3.server import environment, new_lake, real_lake, use

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Run

FAR = {"benchmark": "main", "model": "vit-b16", "dataset": "far"}
SCORES = "scores/benchmark=main/model=vit-b16/dataset=far"


@pytest.fixture
def target(tmp_path: Path) -> Lake:
    """Where nothing is yet; braces in its path are plain characters, in sentences too."""
    return Lake(tmp_path / "{of a} target")


def copied(source: Lake, target: Lake, restriction: Restriction = EVERYTHING, *, dry_run: bool = False) -> list[str]:
    """What was said."""
    said: list[str] = []
    copy(source.storage, target.storage, restriction, say=said.append, dry_run=dry_run)
    return said


def names(lake: Lake, table: str) -> list[tuple[str, ...]]:
    return [tuple(manifest.key.values()) for manifest in lake.partitions(table)]


def test_a_copy_is_the_lake_and_is_made_once(source: Lake, target: Lake) -> None:
    """Every table, byte by byte; the second time nothing is to be done."""
    said = copied(source, target)
    assert parts(target.storage) == parts(source.storage)
    assert {manifest.table for table in TABLES for manifest in target.partitions(table)} == set(TABLES)
    assert faults(target) == faults(source) == []
    assert said[-1].startswith(f"{target.location}: 46 partitions, 6")
    assert said[-1].endswith("; 0 partitions, 0 fragments, 0 B there already")
    before = files(target)
    (line,) = copied(source, target)
    assert "0 partitions, 0 fragments, 0 B copied; 46 partitions" in line
    assert files(target) == before


def test_a_lake_that_grew_is_copied_into_its_copy(source: Lake, target: Lake) -> None:
    """Parts are added beside those that are there."""
    copied(source, target)
    put_scores(source, "vit-b16", "far", {"mine": ([0.5], [0.5])})
    said = copied(source, target)
    assert [line for line in said if line.startswith("scores: 1 partition, 1 fragment")]
    assert parts(target.storage) == parts(source.storage)


def test_what_differs_is_named_by_ingredient_and_nothing_is_written(source: Lake, target: Lake) -> None:
    path = {"benchmark": "main", "model": "vit-b16", "dataset": "far", "detector": "msp"}
    put_rows(target, "scores", path, {"sample": 0, "score": 1.0}, ingredients={"activations": "other"})
    (target.storage.folder / "questions").mkdir()
    (target.storage.folder / "questions" / "mine.sql").write_text("other")
    (source.storage.folder / "questions").mkdir()
    (source.storage.folder / "questions" / "mine.sql").write_text("ours")
    before = files(target)
    said: list[str] = []
    with pytest.raises(
        ConflictError, match=r"^2 things in .*target differ from those of .*source .*nothing was copied"
    ):
        copy(source.storage, target.storage, say=said.append)
    assert said[0].startswith("scores (benchmark main, model vit-b16, dataset far, detector msp): activations (in /")
    assert said[1] == "questions/mine.sql: the two files differ"
    assert files(target) == before


def test_a_fragment_that_was_altered_is_not_copied(source: Lake, target: Lake) -> None:
    """The copy stops there, whole as far as it goes; put right, it ends."""
    manifest, part = source.part("activations", model="vit-b16", dataset="far")
    path = source.storage.folder / next(manifest.files(part))[0]
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(CorruptionError, match=r"activations/model=vit-b16/dataset=far.*its sha256 differs"):
        copied(source, target)
    assert ("vit-b16",) in names(target, "models")
    assert ("vit-b16", "far") not in names(target, "activations")
    assert names(target, "scores") == []
    assert faults(target) == []
    path.write_bytes(data)
    copied(source, target)
    assert parts(target.storage) == parts(source.storage)


@pytest.mark.parametrize("change", ["cut", "flipped", "gone"])
def test_what_lies_half_in_the_target_is_made_whole(source: Lake, target: Lake, change: str) -> None:
    """Whether a manifest of the target names it or none does."""
    copied(source, target)
    manifest, part = target.part("activations", model="vit-b16", dataset="far")
    path = target.storage.folder / next(manifest.files(part))[0]
    data = path.read_bytes()
    for folder in (path.parent, target.storage.folder / SCORES):
        (folder / "_manifest.1.json").unlink()
    if change == "cut":
        path.write_bytes(data[:-100])
    elif change == "flipped":
        path.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    else:
        path.unlink()
    copied(source, target)
    assert path.read_bytes() == data
    assert faults(target) == []


def test_a_fragment_that_a_manifest_names_and_that_is_gone_comes_again(source: Lake, target: Lake) -> None:
    copied(source, target)
    manifest, part = target.part("heads", model="vit-b16")
    path = target.storage.folder / next(manifest.files(part))[0]
    path.unlink()
    assert any(line.startswith("heads: 1 partition, 1 fragment") for line in copied(source, target))
    assert faults(target) == []


def test_equal_rows_in_another_writers_bytes_are_taken(source: Lake, target: Lake) -> None:
    """They may be about to be committed by a job that made them: a fragment never changes."""
    manifest, part = source.part("samples", dataset="far")
    path, fragment = next(manifest.files(part))
    rows = pq.read_table(source.storage.folder / path, partitioning=None)
    theirs = bytes(encode(rows.replace_schema_metadata({"by": "another"})))
    target.storage.create(path, theirs)
    copied(source, target)
    assert target.storage.get(path) == theirs
    held = target.part("samples", dataset="far")[1]
    assert held.fingerprint == part.fingerprint
    assert held.fragments[0].bytes == len(theirs) != fragment.bytes
    assert faults(target) == []
    assert "0 partitions, 0 fragments, 0 B copied" in copied(source, target)[-1]


def test_tables_come_with_those_that_they_name(source: Lake, target: Lake) -> None:
    said = copied(source, target, Restriction(tables=["scores", "metr*"]))
    assert said[0] == "samples, benchmarks, datasets, models, detectors come too: the others name them"
    assert {manifest.table for table in TABLES for manifest in target.partitions(table)} == {
        "samples", "datasets", "benchmarks", "models", "detectors", "scores", "metrics",
    }  # fmt: skip
    assert faults(target) == []
    assert len(target.sql("from results").fetchall()) == len(source.sql("from results").fetchall()) > 0


def test_what_differs_is_replaced_on_request_and_the_rest_stays(source: Lake, target: Lake, run: Run) -> None:
    """In partitions and among files; it is said, and once it is done there is nothing to replace."""
    copied(source, target)
    msp = target.part("scores", **FAR, detector="msp")[1]
    accuracy = {"model": "vit-b16", "dataset": "test"}
    put_rows(source, "accuracy", accuracy, {"n": 3, "top1": 0.5}, ingredients={"seed": 1}, replacing=True)
    put_rows(target, "scores", {**FAR, "detector": "own"}, {"sample": 0, "score": 1.0, "id_rank": 0.5})
    for lake, text in ((source, b"new"), (target, b"old")):
        lake.storage.put("questions/mine.sql", text)
    code, _, err = run("copy", source.location, target.location)
    assert (code, "or give --replace" in err) == (1, True)
    code, out, _ = run("copy", source.location, target.location, "--replace")
    said = out.splitlines()
    assert (code, said[0].partition(": ")[0]) == (0, "accuracy (model vit-b16, dataset test)")
    assert said[1:3] == [
        "questions/mine.sql: the two files differ",
        f"2 things in {target.location} differ from those of {source.location} (listed above) and are replaced",
    ]
    assert target.read("accuracy", **accuracy)["n"].to_pylist() == [3]
    assert target.storage.get("questions/mine.sql") == b"new"
    held = {part.key["detector"]: part for part in target.partitions("scores", **FAR)[0].parts}
    assert "own" in held
    assert held["msp"] == msp
    assert "0 partitions, 0 fragments, 0 B copied" in run("copy", source.location, target.location, "--replace")[1]
    assert faults(target) == []


def test_models_and_datasets_are_chosen_by_patterns(source: Lake, target: Lake) -> None:
    """Metrics that rest on more datasets are left out, and a benchmark without what judges it is told."""
    said = copied(source, target, Restriction(models=["vit*"], datasets=["far", "te?t"]))
    assert names(target, "activations") == [("vit-b16", "far"), ("vit-b16", "test")]
    assert names(target, "models") == [("vit-b16",)]
    assert names(target, "samples") == [("far",), ("test",)]
    assert names(target, "metrics") == []
    assert said[:2] == [
        (
            "metrics and selective: 2 partitions are left out, which rest on more datasets than these; "
            "`featurestore score` makes those of the copy"
        ),
        "benchmark main comes without its fit dataset train",
    ]
    copied(source, target)
    assert parts(target.storage) == parts(source.storage)


@pytest.mark.parametrize("kind", ["model", "dataset", "table"])
def test_a_pattern_that_fits_nothing_is_refused(source: Lake, target: Lake, kind: str) -> None:
    with pytest.raises(MissingError, match=f"There is no {kind} 'nowhere'"):
        copied(source, target, Restriction(**{f"{kind}s": ["nowhere"]}))
    assert not target.storage.exists()


def test_questions_and_settings_come_and_other_files_stay(source: Lake, target: Lake) -> None:
    for key in ("questions/mine.sql", "featurestore.toml", "notes/today.txt"):
        source.storage.put(key, key.encode())
    said = copied(source, target)
    assert said[0].endswith(
        f"1 other files in {source.location} are not the lake's and are left there (first: notes/today.txt)"
    )
    assert said[1:3] == ["questions/mine.sql copied", "featurestore.toml copied"]
    assert target.storage.get("questions/mine.sql") == b"questions/mine.sql"
    assert target.storage.size("notes/today.txt") is None


def test_a_dry_run_says_it_all_and_does_nothing(source: Lake, target: Lake) -> None:
    said = copied(source, target, dry_run=True)
    assert said[-1].startswith(f"{target.location}: 46 partitions")
    assert not target.storage.exists()
    assert [line.replace("would be copied", "copied") for line in said] == copied(source, target)


def test_a_lake_is_not_copied_onto_itself(source: Lake) -> None:
    with pytest.raises(InputError, match="is the lake itself"):
        copied(source, Lake(f"{source.location}/."))


def test_the_command_copies_to_a_bucket_and_back(
    source: Lake, target: Lake, run: Run, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, environment(endpoint))
    assert _there_and_back(run, source, new_lake(endpoint), target) == [parts(source.storage)] * 2


@pytest.mark.s3
def test_the_command_copies_to_a_real_bucket_and_back(
    source: Lake, target: Lake, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _there_and_back(run, source, real_lake(monkeypatch), target) == [parts(source.storage)] * 2


def _there_and_back(run: Run, source: Lake, bucket: str, target: Lake) -> list[dict[str, object]]:
    """What is there then, in the bucket and where it is copied to from there."""
    code, out, err = run("copy", source.location, bucket)
    assert (code, err) == (0, "")
    assert "46 partitions" in out.splitlines()[-1]
    assert faults(Lake(bucket)) == []
    assert run("copy", bucket, target.location)[0] == 0
    assert faults(target) == []
    code, out, err = run("copy", f"{bucket}/nowhere", target.location)
    assert (code, err.count("\n")) == (1, 1)
    assert "There is no lake at" in err
    return [parts(Lake(bucket).storage), parts(target.storage)]


def test_each_table_comes_after_those_that_it_names() -> None:
    assert sorted(ORDER) == sorted(TABLES)
    for table in ORDER[ORDER.index("failures") :]:
        assert Restriction(tables=[table]).chosen_tables[-1] == table
