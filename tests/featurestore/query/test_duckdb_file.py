from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from benchmarks.lakes import put, put_rows
from featurestore import InputError, Lake, StorageError
from featurestore.query import catalog, duckdb_file
from featurestore.query.duckdb_file import write_catalog
from tests.conftest import random_activations
from tests.featurestore.conftest import ROOT
from tests.long import shortened

if TYPE_CHECKING:
    from tests.conftest import Run

QUERY = "select model, top1 from accuracy order by all"
CLIENT = """
import json, sys, duckdb
file, *statements, query = sys.argv[1:]
with duckdb.connect(file, read_only=bool(file)) as connection:
    for statement in statements:
        connection.execute(statement)
    print(json.dumps(connection.execute(query).fetchall()))
"""


def ask_elsewhere(cwd: Path, file: Path | str, *statements: str) -> Any:
    """What a plain DuckDB client, without this package, gets in another working directory."""
    command = [sys.executable, "-I", "-c", CLIENT, str(file), *statements]
    return json.loads(subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout)


def open_catalog(file: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(file, read_only=True)


@pytest.fixture
def filled(tmp_path: Path) -> Lake:
    return fill(tmp_path / "study")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Path]:
    """A lake that no test changes, and its catalog."""
    folder = tmp_path_factory.mktemp("written")
    lake = fill(folder / "study")
    write_catalog(lake.storage, folder / "lake.duckdb")
    return lake, folder / "lake.duckdb"


def fill(folder: Path) -> Lake:
    folder.mkdir()
    lake = Lake(folder / "lake")
    for model, top1 in (("a", 0.5), ("b", 0.75)):
        put(lake, "accuracy", {"model": model, "dataset": "test"}, {"n": [4], "top1": [top1], "top5": [1.0]})
        rows = random_activations(5, width=3 if model == "a" else 4)
        put(lake, "activations", {"model": model, "dataset": "test"}, rows)
    return lake


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.mark.parametrize("place", shortened(["inside", "beside", "above"]))
@pytest.mark.parametrize("name", ["moved", "mo[v]e*d 'ä"])
def test_a_catalog_moves_together_with_its_lake(
    filled: Lake, tmp_path: Path, elsewhere: Path, place: str, name: str
) -> None:
    """Beside, above or inside the lake: after a move, a client in any folder finds the lake beside the file."""
    out = {"beside": "study/lake.duckdb", "above": "lake.duckdb", "inside": "study/lake/lake.duckdb"}[place]
    write_catalog(filled.storage, tmp_path / out)
    moved = tmp_path / name
    moved.mkdir()
    shutil.move(tmp_path / "study", moved / "study")
    if place == "above":
        shutil.move(tmp_path / out, moved / out)
    for file in (moved / out, os.path.relpath(moved / out, elsewhere)):
        assert ask_elsewhere(elsewhere, file, QUERY) == [["a", 0.5], ["b", 0.75]]
    assert ask_elsewhere((moved / out).parent, Path(out).name, "select count(feature) from activations") == [[10]]


def test_a_catalog_elsewhere_knows_where_the_lake_is(filled: Lake, elsewhere: Path, tmp_path: Path) -> None:
    """A file that is moved away from its lake alone, or was never beside it, still reads it."""
    (tmp_path / "other").mkdir()
    write_catalog(filled.storage, tmp_path / "other" / "lake.duckdb")
    shutil.move(tmp_path / "other" / "lake.duckdb", elsewhere / "moved.duckdb")
    assert ask_elsewhere(tmp_path, elsewhere / "moved.duckdb", QUERY) == [["a", 0.5], ["b", 0.75]]


def test_an_attached_or_renamed_catalog_reads_the_lake_where_it_was(
    filled: Lake, tmp_path: Path, elsewhere: Path
) -> None:
    """What tells a view its file's folder is not there: the folder in which the catalog was made is used."""
    out = tmp_path / "study" / "lake.duckdb"
    write_catalog(filled.storage, out)
    query = "select model, top1 from lake.accuracy order by all"
    assert ask_elsewhere(elsewhere, "", f"attach '{out}' as lake (read_only)", query) == [["a", 0.5], ["b", 0.75]]
    attached = [f"attach '{out}' as lake (read_only)", "use lake", "select count(*) from best_detector()"]
    assert ask_elsewhere(elsewhere, "", *attached) == [[0]]
    out.rename(elsewhere / "renamed.duckdb")
    assert ask_elsewhere(elsewhere, elsewhere / "renamed.duckdb", QUERY) == [["a", 0.5], ["b", 0.75]]


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """A folder with two studies, each with a catalog and a lake of the same names, and the same model with other results."""
    for study, top1 in (("one", 0.25), ("two", 0.75)):
        (tmp_path / "both" / study).mkdir(parents=True)
        lake = Lake(tmp_path / "both" / study / "lake")
        put_rows(lake, "accuracy", {"model": "m", "dataset": "test"}, {"n": 4, "top1": top1, "top5": 1.0})
        write_catalog(lake.storage, tmp_path / "both" / study / "lake.duckdb")
    return tmp_path / "both"


@pytest.mark.parametrize("opened", shortened(["one", "", "two"]))
@pytest.mark.parametrize("is_moved", [False, True])
def test_catalogs_of_one_name_find_their_own_lakes(
    twins: Path, elsewhere: Path, opened: str, *, is_moved: bool
) -> None:
    """Attached together to an empty database, or one to the other; the one that is opened may have been moved, with its lake."""
    file: Path | str = twins / opened / "lake.duckdb" if opened else ""
    if opened and is_moved:
        shutil.move(twins / opened, elsewhere / "moved")
        file = elsewhere / "moved" / "lake.duckdb"
    others = [study for study in ("one", "two") if study != opened]
    attached = [f"attach '{twins / study / 'lake.duckdb'}' as {study} (read_only)" for study in others]
    names = {study: study if study in others else "lake" for study in ("one", "two")}
    query = " union all ".join(f"select '{study}', top1 from {name}.accuracy" for study, name in names.items())
    expected = [["one", 0.25], ["two", 0.75]]
    assert sorted(ask_elsewhere(elsewhere, file, *attached, query)) == expected
    for study, name in names.items():
        asked = ask_elsewhere(elsewhere, file, *attached, f"use {name}", "select top1 from accuracy")
        assert asked == [[dict(map(tuple, expected))[study]]]


@pytest.mark.parametrize(
    "name", shortened(["quo\"te's.db", "temp.db", "a.b.duckdb", "main.duckdb", ".hidden.duckdb", "LAKE"], to=2)
)
def test_a_catalog_may_have_any_name(filled: Lake, tmp_path: Path, elsewhere: Path, name: str) -> None:
    """Moved together with its lake, it finds it, whatever DuckDB calls a database of that name."""
    write_catalog(filled.storage, tmp_path / "study" / name)
    shutil.move(tmp_path / "study", elsewhere / "study")
    assert ask_elsewhere(tmp_path, elsewhere / "study" / name, QUERY) == [["a", 0.5], ["b", 0.75]]


def test_the_file_says_which_duckdb_it_needs(filled: Lake, tmp_path: Path) -> None:
    """The one that the package asks for, in a column and in the file's header, where DuckDB looks before it opens it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"duckdb>={duckdb_file.NEEDS}" in project["dependencies"]
    write_catalog(filled.storage, tmp_path / "lake.duckdb")
    with open_catalog(tmp_path / "lake.duckdb") as file:
        assert file.execute("select needs from stored.snapshot").fetchall() == [
            (f"DuckDB {duckdb_file.NEEDS} or newer",)
        ]
        assert file.execute(
            "select tags['storage_version'] from duckdb_databases() where database_name = 'lake'"
        ).fetchall() == [("v1.5.0+",)]


def test_the_file_holds_what_a_connection_holds(filled: Lake, tmp_path: Path) -> None:
    """Views, their documentation and the questions are the same, in memory and in the file."""
    write_catalog(filled.storage, tmp_path / "lake.duckdb")
    queries = (
        "select view_name, comment from duckdb_views() where schema_name = 'main' and not internal order by all",
        "select table_name, column_name, data_type, comment from duckdb_columns() where schema_name = 'main' order by all",
        "select function_name, parameters, comment from duckdb_functions() where comment is not null order by all",
    )
    with open_catalog(tmp_path / "lake.duckdb") as file, filled.connect() as memory:
        for query in queries:
            rows = file.execute(query).fetchall()
            assert rows
            assert rows == memory.execute(query).fetchall()


@pytest.mark.parametrize("name", sorted(catalog.questions()))
def test_every_question_is_a_macro(written: tuple[Lake, Path], name: str) -> None:
    """A question can be asked from any client, with its documented columns and the same defaults."""
    lake, catalog_file = written
    question = catalog.questions()[name]
    with open_catalog(catalog_file) as file:
        assert [row[0] for row in file.execute(f"describe from {name}()").fetchall()] == list(question.columns)
        # DuckDB's threads add in any order: equal but for the last digits.
        assert _rounded(file.execute(f"from {name}()").fetchall()) == _rounded(lake.ask(name).fetchall())


def test_a_macro_takes_parameters(filled: Lake, tmp_path: Path) -> None:
    """A parameter is named with `_` at the end, and does what `--param` does."""
    alike = {"id_dataset": "test", "ood_dataset": "unit-tests", "ood_class": "black", "aggregation": "class"}
    rows = [alike | {"detector": name, "n_id": 4, "n_ood": 4, "fpr95": 0.5, "auroc": 0.5} for name in ("msp", "knn")]
    put_rows(filled, "metrics", {"benchmark": "main", "model": "a"}, *rows)
    write_catalog(filled.storage, tmp_path / "lake.duckdb")
    expected = filled.ask("accuracy_vs_unit_test_fpr", detector="knn").fetchall()
    with open_catalog(tmp_path / "lake.duckdb") as file:
        assert file.execute("from accuracy_vs_unit_test_fpr(detector_ := 'knn')").fetchall() == expected
    assert [row[2] for row in expected] == ["knn"]


def test_a_catalog_is_replaced_and_says_what_it_shows(filled: Lake, tmp_path: Path) -> None:
    """Made again, it shows what was added; a log that a killed client left does not harm it."""
    out = tmp_path / "lake.duckdb"
    write_catalog(filled.storage, out)
    put(filled, "accuracy", {"model": "c", "dataset": "test"}, {"n": [4], "top1": [0.25], "top5": [1.0]})
    with open_catalog(out) as file:
        assert file.execute("select count(*) from accuracy").fetchall() == [(2,)]
    (tmp_path / "lake.duckdb.wal").write_bytes(b"")
    write_catalog(filled.storage, out)
    with open_catalog(out) as file:
        assert file.execute("select count(*) from accuracy").fetchall() == [(3,)]
        assert file.execute("select lake from stored.snapshot").fetchall() == [(filled.location,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake.duckdb", "study"]


def test_what_is_no_catalog_is_not_overwritten(filled: Lake, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    with duckdb.connect(tmp_path / "other.duckdb") as other:
        other.execute("create table mine as select 1")
    before = (tmp_path / "other.duckdb").read_bytes()
    for name in ("notes.txt", "folder", "other.duckdb"):
        with pytest.raises(InputError, match="is no catalog"):
            write_catalog(filled.storage, tmp_path / name)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "other.duckdb").read_bytes() == before


def test_a_missing_folder_or_lake_is_one_sentence(filled: Lake, tmp_path: Path, run: Run) -> None:
    """Nothing is made where there is nothing."""
    with pytest.raises(InputError, match="There is no folder"):
        write_catalog(filled.storage, tmp_path / "gone" / "lake.duckdb")
    code, _, err = run("catalog", str(tmp_path / "lake.duckdb"), "--lake", str(tmp_path / "nowhere"))
    assert (code, "There is no lake" in err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_a_failure_leaves_no_file_and_keeps_the_old_one(
    filled: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is made under another name and moved at the end."""
    out = tmp_path / "lake.duckdb"
    write_catalog(filled.storage, out)
    before = out.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise duckdb.IOException("no space left on device")

    monkeypatch.setattr(duckdb_file.catalog, "create", fail)
    with pytest.raises(StorageError, match="no space left"):
        write_catalog(filled.storage, out)
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake.duckdb", "study"]


def test_an_empty_lake_has_an_empty_catalog(lake: Lake, tmp_path: Path) -> None:
    write_catalog(lake.storage, tmp_path / "lake.duckdb")
    with open_catalog(tmp_path / "lake.duckdb") as file:
        for name in catalog.views():
            assert (file.execute(f"from {name}").fetchall() == []) == (name != "published")


def test_the_command_writes_it(filled: Lake, tmp_path: Path, run: Run) -> None:
    """`featurestore catalog OUT`: exit code 0 and a line that says how to go on; 1 and a sentence if it fails."""
    code, out, _ = run("catalog", str(tmp_path / "lake.duckdb"), "--lake", filled.location)
    assert (code, "any DuckDB client" in out) == (0, True)
    code, _, err = run("catalog", str(tmp_path / "study"), "--lake", filled.location)
    assert (code, "is no catalog" in err) == (1, True)


def _rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(round(value, 12) if isinstance(value, float) else value for value in row) for row in rows]
