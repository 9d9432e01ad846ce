from __future__ import annotations

import os
import sys

import duckdb
import pexpect
import polars as pl
import pytest

from featurestore.cli.rows import Rows
from featurestore.cli.text_table import text_table
from tests.featurestore.conftest import python


def drawn(query: str) -> str:
    with duckdb.connect() as connection:
        return text_table(Rows.of(connection.sql(query).pl()))


def test_a_table_shows_every_value() -> None:
    """Cells are plain text: nothing is taken for markup, and in a pipe nothing is cut off."""
    columns = {
        "model": ["vit|b", "[red]vit[/x] :smile:", None],
        "n": [1, None, 3],
        "fpr|95": [0.125, None, 1e-9],
        "failures": [["a", "b|c"], None, []],
        "ok": [True, None, False],
    }
    lines = text_table(Rows.of(pl.DataFrame(columns))).splitlines()
    cells = [[cell.strip() for cell in line.strip("│").split("┆")] for line in lines if line[0] == "│"]
    assert cells == [
        list(columns),
        ["vit|b", "1", "0.125", "a, b|c", "True"],
        ["[red]vit[/x] :smile:", "", "", "", ""],
        ["", "3", "1e-09", "", "False"],
    ]
    assert lines[-1].strip() == "3 rows"


def test_a_wide_table_is_whole_in_a_pipe() -> None:
    """The terminal's width does not matter where there is no terminal."""
    assert f"│ {'x' * 300} │" in drawn(f"select '{'x' * 300}' as wide")
    assert drawn("select 1 as x").splitlines()[-1].strip() == "1 row"


def test_numbers_stand_below_each_other() -> None:
    """Numbers go to the right and texts to the left, whatever their script is wide, and of names that differ by spaces each has its own."""
    query = "select * from (values (1, 2.5, '猫'), (100, null, 'cat')) as t(n, \" n\", who)"
    assert drawn(query).splitlines() == [
        "┌─────┬─────┬─────┐",
        "│   n ┆   n ┆ who │",
        "╞═════╪═════╪═════╡",
        "│   1 ┆ 2.5 ┆ 猫  │",
        "│ 100 ┆     ┆ cat │",
        "└─────┴─────┴─────┘",
        "2 rows",
    ]


def test_a_cell_cannot_drive_the_terminal() -> None:
    """Escape codes and tabs are spelled out, a line break is one."""
    text = drawn("select chr(27) || '[31m' || chr(9) || 'red' || chr(10) || 'next' as x")
    assert "│ \\x1b[31m\\tred │\n│ next          │\n" in text


def test_lines_of_letters_where_nothing_else_can_be_written() -> None:
    """An output that is ASCII gets a table in ASCII."""
    code = "import duckdb\nfrom featurestore.cli.render import show\nshow(duckdb.sql('select 1 as x'), 'table')"
    out = python("-c", code, PYTHONIOENCODING="ascii").stdout
    assert out.splitlines() == ["+---+", "| x |", "+===+", "| 1 |", "+---+", "1 row"]


def on_a_terminal(query: str, columns: int) -> list[str]:
    """The lines of a table on a terminal of so many columns."""
    code = f"import duckdb\nfrom featurestore.cli.render import show\nshow(duckdb.sql({query!r}), 'table')"
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    child = pexpect.spawn(
        sys.executable, ["-c", code], encoding="utf-8", dimensions=(40, columns), timeout=60, env=environment
    )
    lines = str(child.read()).splitlines()
    child.close()
    return lines


@pytest.mark.parametrize("columns", [32, 40, 200])
def test_a_table_is_no_wider_than_its_terminal(columns: int) -> None:
    """Headings break at underscores first, then texts; numbers never."""
    query = "select 0.123456789::double as mean_auroc_difference, 'relative-mahalanobis' as detector, 7 as left_out"
    lines = on_a_terminal(query, columns)
    assert max(map(len, lines)) <= columns
    found = ["".join(line.split("┆")[number].strip(" │") for line in lines if "┆" in line) for number in range(3)]
    assert found == ["mean_auroc_difference0.1235", "detectorrelative-mahalanobis", "left_out7"]
    assert ("mean_auroc_difference" in "".join(lines)) == (columns == 200)
    assert "0.1235" in "".join(lines)


def test_columns_that_do_not_fit_are_named() -> None:
    """The first ones stay, whole, and how to see the others is said."""
    query = "select 'relative-mahalanobis' as detector, 'ninco 猫猫猫猫猫猫' as ood, 0.123456::double as fpr95, 123456789 as n, 5 as rank"
    lines = on_a_terminal(query, 40)
    *table, last = lines
    assert max(map(len, table)) <= 40
    assert [cell.strip() for cell in table[1].strip("│").split("┆")] == ["detector", "ood", "fpr95"]
    assert "0.1235" in "".join(table)
    assert last == "1 row; 2 columns more do not fit in here: n, rank (--format csv has all)"


def test_where_most_would_not_fit_rows_are_stacked() -> None:
    """A line for each column, with nothing left out."""
    query = "select i as first_number, 'relative mahalanobis distance' as detector, 1234567890 as second, i * 1e300 as third, 4 as fourth from range(2) t(i)"
    assert on_a_terminal(query, 32)[:9] == [
        "first_number  0",
        "detector      relative",
        "              mahalanobis",
        "              distance",
        "second        1234567890",
        "third         0",
        "fourth        4",
        "",
        "first_number  1",
    ]
