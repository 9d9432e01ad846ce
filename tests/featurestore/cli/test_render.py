from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from featurestore.cli.render import show
from featurestore.errors import InputError, StorageError

if TYPE_CHECKING:
    from pathlib import Path

QUERY = """
select * from (values
    ('vit|b', 1, 0.125, ['a', 'b|c'], true),
    ('[red]vit[/x] :smile:', null, null, null, null),
    (null, 3, 1e-9, [], false)
) as t(model, n, "fpr|95", failures, ok)
"""
HEADER = ["model", "n", "fpr|95", "failures", "ok"]


def shown(capsys: pytest.CaptureFixture[str], query: str, format_: str) -> str:
    with duckdb.connect() as connection:
        show(connection.sql(query), format_)
    return capsys.readouterr().out


def test_csv_has_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers in full, lists as JSON, a null of any type as nothing."""
    assert list(csv.reader(io.StringIO(shown(capsys, QUERY, "csv")))) == [
        HEADER,
        ["vit|b", "1", "0.125", '["a", "b|c"]', "true"],
        ["[red]vit[/x] :smile:", "", "", "", ""],
        ["", "3", "1e-9", "[]", "false"],
    ]


def test_json_has_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    """One object per row, typed."""
    assert json.loads(shown(capsys, QUERY, "json")) == [
        dict(zip(HEADER, row, strict=True))
        for row in (
            ["vit|b", 1, 0.125, ["a", "b|c"], True],
            ["[red]vit[/x] :smile:", None, None, None, None],
            [None, 3, 1e-9, [], False],
        )
    ]


def test_json_is_json_whatever_the_types(capsys: pytest.CaptureFixture[str]) -> None:
    """Sums are numbers, NaN and infinity are null, dates are text, structs are objects."""
    query = """
        select sum(i) as s, 'nan'::double as a, ['-inf'::float, 1] as b, date '2024-01-02' as d, {'x': 1.5::decimal(3, 1)} as e
        from range(4) t(i)
    """
    text = shown(capsys, query, "json")
    assert json.loads(text, parse_constant=pytest.fail) == [
        {"s": 6, "a": None, "b": [None, 1.0], "d": "2024-01-02", "e": {"x": 1.5}}
    ]


def test_markdown_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Pipes are escaped in cells and names, numbers go to the right, nulls are empty."""
    assert shown(capsys, QUERY, "markdown").splitlines() == [
        r"| model | n | fpr\|95 | failures | ok |",
        "| --- | ---: | ---: | --- | --- |",
        r"| vit\|b | 1 | 0.125 | a, b\|c | True |",
        "| [red]vit[/x] :smile: |  |  |  |  |",
        "|  | 3 | 1e-09 |  | False |",
    ]


def test_markdown_keeps_a_row_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A line break or a backslash cannot break the table."""
    query = r"select 'a' || chr(10) || 'b' || chr(13) || 'c\|d' as x"
    assert shown(capsys, query, "markdown").splitlines()[2:] == [r"| a b c\\\|d |"]


@pytest.mark.parametrize("format_", ["table", "csv", "json", "markdown"])
def test_no_rows_still_name_the_columns(capsys: pytest.CaptureFixture[str], format_: str) -> None:
    """An empty answer is an answer."""
    text = shown(capsys, "select 1 as x, [1] as y where false", format_)
    assert text == "[]\n" if format_ == "json" else "x" in text


def test_parquet_has_the_values() -> None:
    """Into a pipe, Parquet is the answer with its types and nothing else."""
    code = f"import duckdb\nfrom featurestore.cli.render import show\nshow(duckdb.sql({QUERY!r}), 'parquet')"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    frame = pl.read_parquet(io.BytesIO(out))
    with duckdb.connect() as connection:
        assert frame.equals(connection.sql(QUERY).pl())
    assert frame.schema["failures"] == pl.List(pl.String)


def test_parquet_is_not_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with duckdb.connect() as connection, pytest.raises(InputError, match=r"--format parquet > answer\.parquet"):
        show(connection.sql("select 1"), "parquet")


def test_an_error_in_the_middle_of_the_rows_is_explained() -> None:
    """DuckDB finds some mistakes only when it runs: they are errors of the query, too."""
    with duckdb.connect() as connection, pytest.raises(InputError, match="DuckDB cannot run the query"):
        show(connection.sql("select error('boom')"), "csv")


def test_a_file_that_vanishes_is_explained(tmp_path: Path) -> None:
    """A fragment that is deleted between the question and the answer is an error of the lake."""
    file = tmp_path / "x.parquet"
    pl.DataFrame({"x": [1]}).write_parquet(file)
    with duckdb.connect() as connection:
        relation = connection.sql(f"from read_parquet('{file}')")
        file.unlink()
        with pytest.raises(StorageError, match="DuckDB cannot read the lake"):
            show(relation, "csv")
