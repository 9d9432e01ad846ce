"""SQL that is run: by `Lake.sql`, by a connection, and as a session does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from featurestore import InputError, Lake
from featurestore.query import catalog, statements
from featurestore.query.duckdb_file import write_catalog
from featurestore.query.statements import is_complete

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("select 1;", True),
        ("select 1; -- done", True),
        ("select 'ü;';", True),
        ("select 1", False),
        ("select ';", False),
        ("select ';'", False),
        ('select "a;', False),
        ("select 1 -- ;", False),
        ("select 1 /* ;", False),
        ("select $$;", False),
        ("", False),
    ],
)
def test_where_a_statement_ends(text: str, complete: bool) -> None:
    assert is_complete(text) == complete


def test_a_name_is_no_variable_of_a_program(lake: Lake, tmp_path: Path) -> None:
    """A table that is not there is an error, whatever the code that runs the query has under that name."""
    variable = lake.sql("select 1 as a").pl()
    assert variable.height == 1
    questions = [
        lambda: lake.sql("from variable"),
        lambda: lake.connect().sql("from variable"),
        lambda: catalog.connect(lake.storage, ["models"]).sql("from variable"),
        lambda: list(statements.results(lake.connect(), "from variable", "here")),
    ]
    for ask in questions:
        with pytest.raises((InputError, duckdb.CatalogException), match="variable"):
            ask()
    for name in ("needed", "query", "connection", "text", "storage"):
        with pytest.raises(InputError, match=f"DuckDB refuses the query: there is no table '{name}'"):
            lake.sql(f"from {name}")
    write_catalog(lake.storage, tmp_path / "catalog.duckdb")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("from modles", "DuckDB refuses the query: there is no table 'modles': did you mean 'models'?"),
        ("from metrics, modles", "there is no table 'modles': did you mean 'models'?"),
        ("from best_detector", "there is no table 'best_detector': did you mean 'best_detector()'?"),
        ("select 1; select 2", "There are 2 statements, and one relation"),
        (" -- nothing", "There is no statement: give a SELECT."),
    ],
)
def test_a_query_that_cannot_be_answered(lake: Lake, query: str, message: str) -> None:
    """One relation is the answer to one statement; a name that is mistyped gets the nearest of all views and questions."""
    with pytest.raises(InputError) as error:
        lake.sql(query)
    assert message in str(error.value)


def test_questions_are_tables_beside_the_views(lake: Lake) -> None:
    """A query that names both has both, however few views it needs."""
    assert lake.sql("select * from best_detector() join models on model = detector").fetchall() == []
    assert catalog.views_behind("from best_detector()") == catalog.views_behind("from results, ingredients")


def test_each_statement_is_run_when_the_one_before_it_was_looked_at(lake: Lake) -> None:
    """Those without rows give none; an error comes in its turn."""
    text = (
        "create table t as select 7 as a; from t; set threads = 1; pivot t on a using count(*); from nowhere; select 1"
    )
    results = statements.results(statements.connect_for(lake.storage, text), text, lake.location)
    assert [next(results).fetchall(), next(results).columns] == [[(7,)], ["7"]]
    with pytest.raises(InputError, match="there is no table 'nowhere'"):
        next(results)
