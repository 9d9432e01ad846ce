"""What disagrees comes under another name, as if it had been made under that one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from analysis.lineage.renamed import learned_anew
from benchmarks.lakes import put, put_rows
from featurestore import ConflictError, Lake
from featurestore.layout.tables import ORDER, TABLES
from featurestore.transfer import Aside, merge
from tests.conftest import faults
from tests.featurestore.edit.conftest import dangling, fingerprints
from tests.featurestore.transfer.conftest import files, parts
from tests.featurestore.transfer.verb_jobs import change_row
from tests.pipeline import Commands
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Run


@pytest.fixture
def other(
    copied: Commands, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Commands:
    """A copy of the same lake, which goes its own way."""
    folder = tmp_path / "other"
    for name in ("lake", "models"):
        shutil.copytree(copied.folder / name, folder / name)
    return Commands(folder, capsys, monkeypatch)


def replaced(commands: Commands, name: str, role: str, classes: dict[str, int]) -> None:
    """Other images under a name."""
    images = write_images(commands.folder / name, classes, seed=9)
    commands.ok("dataset", "add", name, images, "--role", role, "--replace")


def bytes_of(lake: Lake) -> dict[str, tuple[int, bytes]]:
    """All files, with their times."""
    assert lake.storage.folder
    files = [path for path in lake.storage.folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def renamed(other: Commands, names: dict[str, tuple[str, str]]) -> dict[str, str]:
    """The fingerprints that their lake has after renaming, in a copy of it."""
    whole = shutil.copytree(other.location, other.folder / "renamed")
    for old, (kind, new) in names.items():
        other.ok(kind, "rename", old, new, "--lake", whole)
    return fingerprints(Lake(whole))


def test_a_dataset_and_a_model_that_disagree_are_as_made_under_other_names(copied: Commands, other: Commands) -> None:
    """And what agrees is one; the other lake is not touched; a second time nothing comes."""
    replaced(other, "far", "ood", {"dog": 7, "fox": 6})
    assert other.extract({"a": 1, "b": 5}, options=("--replace",)).code == 0
    other.ok("score")
    before, ours = bytes_of(other.lake), fingerprints(copied.lake)
    outcome = copied("merge", other.location, "--as", "anna", "--dry-run")
    assert (outcome.code, fingerprints(copied.lake)) == (0, ours)
    merged = copied("merge", other.location, "--as", "anna")
    assert merged.out == outcome.out.replace("would be merged", "merged")
    said = [line for line in merged.out.splitlines() if " is taken as " in line]
    assert said[0].startswith("dataset far is taken as far-anna (datasets (dataset far): digest (in ")
    assert said[1].startswith("model b is taken as b-anna (models (model b): ")
    assert len(said) == 2
    expected = renamed(other, {"far": ("dataset", "far-anna"), "b": ("model", "b-anna")})
    assert fingerprints(copied.lake) == expected | ours
    assert bytes_of(other.lake) == before
    again = copied("merge", other.location, "--as", "anna")
    assert ": 0 partitions, 0 fragments, 0 B merged; " in again.out
    assert faults(copied.lake) == dangling(copied.lake) == []


@pytest.mark.long
def test_a_benchmark_that_would_have_two_fit_sets_comes_under_another_name(copied: Commands, other: Commands) -> None:
    """With all of its datasets, of which those that agree are in both; then `score` has nothing to do in it."""
    replaced(other, "train", "fit", {"ant": 20, "bee": 20, "cat": 20})
    assert other.extract({"a": 1, "b": 2}, "train", options=("--replace",)).code == 0
    other.ok("score")
    expected = renamed(other, {"train": ("dataset", "train-anna"), "main": ("benchmark", "main-anna")})
    ours = fingerprints(copied.lake)
    copied.ok("merge", other.location, "--as", "anna")
    held = fingerprints(copied.lake)
    rows = {title for title in expected if title.startswith("datasets")}
    assert {title: held[title] for title in held if title not in rows} == {
        title: one for title, one in (expected | ours).items() if title not in rows
    }
    benchmarks = "select dataset, benchmarks from datasets order by dataset"
    both, own = ["main", "main-anna"], ["main"]
    assert copied.lake.sql(benchmarks).fetchall() == [
        ("far", both), ("test", both), ("train", own), ("train-anna", ["main-anna"]), ("unit-tests", both)
    ]  # fmt: skip
    assert faults(copied.lake) == dangling(copied.lake) == []
    assert ", 0 stale, 0 missing" in copied.ok("status")
    assert "0 score partitions made" in copied.ok("score")


def merged(theirs: Lake, ours: Lake, suffix: str = "x.y-z", *, dry_run: bool = False) -> list[str]:
    said: list[str] = []
    aside = Aside(suffix, learned_anew)
    merge(theirs.storage, ours.storage, say=said.append, aside=aside, dry_run=dry_run)
    return [line for line in said if " is taken as " in line]


def test_a_detector_of_another_recipe_and_a_question_come_under_other_names(ours: Lake, theirs: Lake) -> None:
    key = {"benchmark": "main", "model": "vit-b16", "dataset": "far"}
    put_rows(
        theirs,
        "scores",
        {**key, "detector": "msp"},
        {"sample": 0, "score": 1.0, "id_rank": 0.5},
        ingredients={"hyperparameters": ["k=50"]},
        replacing=True,
    )
    for lake, text in ((ours, b"-- ours"), (theirs, b"-- theirs")):
        lake.storage.put("questions/mine.sql", text)
    said = merged(theirs, ours)
    assert [line.partition(" (")[0] for line in said] == [
        "detector msp is taken as msp-x.y-z",
        "question questions/mine.sql is taken as questions/mine_x_y_z.sql",
    ]
    held = {part.key["detector"]: part for part in ours.partitions("scores", **key)[0].parts}
    assert held["msp-x.y-z"].ingredients["hyperparameters"] == ["k=50"]
    assert held["msp"].ingredients.get("hyperparameters") != ["k=50"]
    assert ours.storage.get("questions/mine_x_y_z.sql") == b"-- theirs"
    assert faults(ours) == []


@pytest.mark.parametrize("tables", [3, 4, 8, 12])
def test_the_same_samples_in_another_role_come_with_their_benchmark(ours: Lake, theirs: Lake, tables: int) -> None:
    """No image is judged in two roles; and it is so when a merge was killed after some of the tables, too."""
    change_row(theirs, "far", role="csid")
    said = [line.partition(" (")[0] for line in merged(theirs, ours, dry_run=True)]
    assert said == ["dataset far is taken as far-x.y-z", "benchmark main is taken as main-x.y-z"]
    before = set(ours.storage.names(""))
    merged(theirs, ours)
    whole = parts(ours.storage)
    later = [key for key in set(ours.storage.names("")) - before if key.partition("/")[0] in ORDER[tables:]]
    assert later
    ours.storage.delete(later)
    assert [line.partition(" (")[0] for line in merged(theirs, ours)] == said
    assert parts(ours.storage) == whole


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_another_thing_under_the_other_name_is_refused(ours: Lake, theirs: Lake, whose: str) -> None:
    change_row(theirs, "far", digest="e" * 64)
    row = theirs.read("datasets", dataset="far").to_pylist()[0] | {"digest": "d" * 64, "benchmarks": []}
    lake = {"ours": ours, "theirs": theirs}[whose]
    put(lake, "datasets", {"dataset": "far-b"}, pa.Table.from_pylist([row], TABLES["datasets"].columns), row)
    before = files(ours), files(theirs)
    with pytest.raises(ConflictError, match=r"far-b in .* give another suffix|Give another suffix than b") as refused:
        merged(theirs, ours, "b")
    assert "othing was merged" in str(refused.value)
    assert (files(ours), files(theirs)) == before


def test_a_suffix_is_a_slug(run: Run) -> None:
    code, _, err = run("merge", "nowhere", "--as", "Not one")
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot be the name of a suffix" in err
