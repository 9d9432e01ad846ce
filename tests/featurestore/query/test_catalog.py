from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from benchmarks.lakes import put
from featurestore import Lake
from featurestore.layout.tables import TABLES
from featurestore.query import catalog
from tests.featurestore.conftest import ROOT, python

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

FILES = sorted(file.stem for file in (ROOT / "sql" / "views").glob("*.sql"))


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """The catalog of an empty lake."""
    return Lake(tmp_path_factory.mktemp("empty")).connect()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """The catalog of a lake with a row in every table."""
    lake = Lake(tmp_path_factory.mktemp("filled"))
    for table in TABLES.values():
        first = table.columns.names[0]
        value = [1] if table.columns.field(first).type == "int64" else [None]
        put(lake, table.name, dict.fromkeys(table.path_columns, "x"), {first: value})
    return lake.connect()


def columns(connection: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    query = (
        "select column_name from duckdb_columns() where schema_name = 'main' and table_name = ? order by column_index"
    )
    return [row[0] for row in connection.execute(query, [name]).fetchall()]


def test_every_view_is_there_and_no_other(connection: duckdb.DuckDBPyConnection) -> None:
    """A file in sql/views is a view of every lake, and every table has one."""
    found = connection.execute(
        "select view_name from duckdb_views() where schema_name = 'main' and not internal order by 1"
    )
    assert [row[0] for row in found.fetchall()] == FILES
    assert set(FILES) >= set(TABLES)


@pytest.mark.parametrize("name", FILES)
def test_documented_columns_are_the_real_ones(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    assert list(catalog.views()[name].columns) == columns(connection, name)


@pytest.mark.parametrize("name", TABLES)
def test_a_view_shows_every_stored_column(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Nothing that a table stores is out of SQL's reach; what selective prediction says of OOD sets has a view of its own."""
    shown = {*columns(connection, name), *(columns(connection, "oscr") if name == "selective" else ())}
    assert shown >= set(TABLES[name].sql_schema.names)


@pytest.mark.parametrize("name", FILES)
def test_any_client_sees_the_documentation(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """The titles and column texts of the headers are DuckDB comments."""
    view = catalog.views()[name]
    comments = connection.execute(
        "select column_name, comment from duckdb_columns() where schema_name = 'main' and table_name = ?", [name]
    )
    assert dict(comments.fetchall()) == dict(view.columns)
    titles = connection.execute(
        "select comment from duckdb_views() where schema_name = 'main' and view_name = ?", [name]
    )
    assert titles.fetchall() == [(view.title,)]


@pytest.mark.parametrize("name", FILES)
def test_an_empty_lake_has_typed_empty_views(
    connection: duckdb.DuckDBPyConnection, filled: duckdb.DuckDBPyConnection, name: str
) -> None:
    """A view has the same types before the first row as after it."""
    empty = connection.sql(f"from {name}").pl()
    assert empty.is_empty() == (name != "published")
    assert pl.Null not in empty.dtypes
    assert filled.sql(f"from {name}").pl().schema == empty.schema


def test_names_that_look_like_numbers_stay_text(lake: Lake) -> None:
    """007, 1e5 and a date are names: no reader guesses types from paths."""
    names = ["007", "1e5", "2024-01-01", "7", "null", "true"]
    for name in names:
        put(lake, "accuracy", {"model": name, "dataset": name}, {"n": [1], "top1": [0.0], "top5": [0.0]})
    assert sorted(lake.sql("select model from accuracy").fetchall()) == sorted((name,) for name in names)
    assert lake.sql("select dataset from accuracy where model = '7'").fetchall() == [("7",)]
    assert sorted(lake.scan("accuracy").collect()["model"]) == sorted(names)


def test_a_query_gets_just_the_views_that_it_needs() -> None:
    """Tables are found in the statement: views, joins and subqueries, but not names in texts."""
    assert catalog.named_in("select 'scores' from metrics, models") == {"metrics", "models"}
    assert catalog.named_in("with x as (from scores) from x where exists (from fits)") == {"scores", "fits"}
    assert catalog.named_in("this is no sql") == set()


def test_a_query_whose_views_cannot_be_told_sees_all(lake: Lake) -> None:
    """`show tables` lists the whole catalog, and a join that DuckDB cannot bind without columns is answered."""
    assert {row[0] for row in lake.sql("show tables").fetchall()} == set(FILES)
    assert lake.sql("select count(*) from metrics join models using (model)").fetchall() == [(0,)]


@pytest.mark.parametrize("name", FILES)
def test_a_view_alone_brings_what_it_reads(lake: Lake, name: str) -> None:
    """A connection with one view has those that it reads, too, whatever their order."""
    found = catalog.connect(lake.storage, [name]).sql(f"from {name}").fetchall()
    assert (found == []) == (name != "published")


def test_partitions_without_rows_are_no_error(lake: Lake) -> None:
    put(lake, "failures", {"model": "m", "dataset": "d"}, {"sample": [], "path": [], "error": []})
    assert lake.sql("from failures").fetchall() == []
    assert lake.scan("failures").collect().is_empty()


def test_a_module_sql_of_the_user_is_in_nobody_s_way(lake: Lake, tmp_path: Path) -> None:
    """A script with a file `sql.py` beside it asks as any other does."""
    (tmp_path / "sql.py").touch()
    text = f"import sql\nfrom featurestore import Lake\nprint(len(Lake({lake.location!r}).ask('best_detector')))\n"
    (tmp_path / "study.py").write_text(text)
    assert python(tmp_path / "study.py").stdout.split() == ["0"]


# What DuckDB goes by; ipywidgets is not installed here.
JUPYTER = """
import sys, types
sys.modules["IPython"] = shell = types.ModuleType("IPython")
shell.get_ipython = lambda: types.SimpleNamespace(config={"IPKernelApp": {}})
import featurestore
print(featurestore.Lake(sys.argv[1]).sql("select count(*) from models").fetchall())
"""


def test_it_opens_in_jupyter_without_widgets() -> None:
    """DuckDB takes it for an error there to say that no bar is wanted."""
    done = python("-c", JUPYTER, ROOT / "tests" / "compat" / "lake_v1")
    assert done.stdout.startswith("[("), done.stderr
