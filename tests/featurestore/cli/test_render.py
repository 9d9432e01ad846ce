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

from featurestore.cli.options import FORMATS
from featurestore.cli.render import show
from featurestore.errors import InputError, StorageError
from featurestore.query import fetch
from tests.featurestore.conftest import ROOT, python

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


ODD = {
    "interval '3 days'": "3 days",
    "union_value(a := 1)": "1",
    "'infinity'::date": "infinity",
    "'-infinity'::timestamp": "-infinity",
    "'infinity'::timestamptz": "infinity",
    "date '290000-01-01'": "290000-01-01",
    "timestamp '20000-01-01 00:00:00'": "20000-01-01 00:00:00",
    "time '24:00:00'": "24:00:00",
    "timetz '01:02:03+04'": "01:02:03+04",
    "'\\xAA\\x00a'::blob": "\\xAA\\x00a",
    "'10101'::bit": "10101",
    "340282366920938463463374607431768211455::uhugeint": "340282366920938463463374607431768211455",
    "170141183460469231731687303715884105727::hugeint": 170141183460469231731687303715884105727,
    "[170141183460469231731687303715884105727::hugeint]": [170141183460469231731687303715884105727],
    "[interval '1 day']": "[1 day]",
    "{'size': interval '1 day', 'b': 'infinity'::date}": "{'size': 1 day, 'b': infinity}",
    "array_value(1, 2)": [1, 2],
    "map {'a': 1}": {"a": 1},
}


@pytest.mark.parametrize("format_", [each for each in FORMATS if each != "parquet"])
def test_values_of_every_type_are_shown(capsys: pytest.CaptureFixture[str], format_: str) -> None:
    """What frames cannot hold or show is text as DuckDB writes it, and whole numbers are exact; names may be the same."""
    query = f"select 1 as x, {', '.join(f'{value} as x' for value in ODD)}"
    text = shown(capsys, query, format_)
    if format_ == "json":
        *values, a_map = json.loads(text)[0].values()
        assert values == [1, *list(ODD.values())[:-1]]
        assert a_map in ({"a": 1}, [{"key": "a", "value": 1}])  # as DuckDB 2 and 1.5 hand it to polars
    else:
        assert all(str(value) in text for value in ODD.values() if value == "infinity" or isinstance(value, int))
    assert shown(capsys, f"{query} where false", format_)


def test_parquet_keeps_types_that_it_has() -> None:
    """Dates and bytes stay what they are; an interval becomes text."""
    query = "select date '2024-01-02' as d, 'a'::blob as b, interval '1 day' as i"
    with duckdb.connect() as connection:
        frame = fetch(connection.sql(query), typed=True)
    assert frame.schema == {"d": pl.Date, "b": pl.Binary, "i": pl.String}


def test_what_no_frame_can_hold_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type of a later DuckDB that converts to nothing: the column is to be cast."""
    monkeypatch.setattr("featurestore.query.statements._PLAIN", {"interval"})
    with duckdb.connect() as connection, pytest.raises(InputError, match="cast its column to text, `::varchar`"):
        fetch(connection.sql("select interval '1 day' as i"))


def test_latex_is_a_tabular_of_booktabs(capsys: pytest.CaptureFixture[str]) -> None:
    """All that means something to LaTeX is escaped, also to the line break before a cell; numbers have a minus sign."""
    query = r"""select * from (values ('a_b%&#$', -0.5, '[1] *'), ('c\d~^{}', 1e-9, 'x < y > z|w'), (null, 3, e'two\nlines')) t(name_1, "n%", x)"""
    assert shown(capsys, query, "latex").splitlines() == [
        r"\begin{tabular}{lrl}",
        r"\toprule",
        r"name\_1 & n\% & x \\",
        r"\midrule",
        r"a\_b\%\&\#\$ & $-0.5$ & {[}1{]} {*} \\",
        r"c\textbackslash{}d\textasciitilde{}\textasciicircum{}\{\} & $1 \times 10^{-9}$ & x \textless{} y \textgreater{} z\textbar{}w \\",
        r" & 3 & two lines \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def said(query: str, *options: str, **environment: str) -> tuple[str, str]:
    """What the command answers to SQL on standard output and error."""
    lake = ROOT / "tests" / "compat" / "lake_v1"
    done = python("-m", "featurestore", "sql", query, "--lake", lake, *options, **environment)
    return done.stdout, done.stderr


def test_an_output_without_the_letters_gets_escapes_or_a_sentence() -> None:
    """JSON has escapes of its own; a table spells out; CSV, which could not be read again, says what to do."""
    ascii_ = {"PYTHONIOENCODING": "ascii"}
    out, err = said("select 'caf\u00e9' as n", "--format", "json", **ascii_)
    assert (json.loads(out), err) == ([{"n": "caf\u00e9"}], "")
    assert said("select 'caf\u00e9' as n", **ascii_)[0].splitlines()[3] == r"| caf\xe9 |"
    out, err = said("select 'caf\u00e9' as n", "--format", "csv", **ascii_)
    assert out == ""
    assert err.startswith("Error: Standard output is ascii, which has no '\\xe9': set PYTHONIOENCODING=utf-8")


def test_sql_is_utf_8_whatever_the_locale() -> None:
    """Python hands over arguments in the locale's letters, and bytes that are none; they are text, or a sentence."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert json.loads(said("select 'caf\u00e9' as n", "--format", "json", **plain)[0]) == [{"n": "caf\u00e9"}]
    assert "is no text: write it in UTF-8." in said("select '\udcff' as n")[1]


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


@pytest.mark.parametrize("format_", [each for each in FORMATS if each != "parquet"])
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


HOSTILE = (
    "select '=1+1' as f, 'a' || chr(27) || '[2J' || chr(8238) || chr(155) as c, '<img src=x>[a](javascript:x)`*' as m"
)


def test_what_a_terminal_shows_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Controls and turns of direction are spelled out in every format; CSV in a file keeps its bytes."""
    assert "\x1b[2J\u202e" in shown(capsys, HOSTILE, "csv")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for format_ in (each for each in FORMATS if each != "parquet"):
        text = shown(capsys, HOSTILE, format_)
        assert text.replace("\n", "").isprintable(), format_
    assert json.loads(shown(capsys, HOSTILE, "json"))[0]["c"] == "a\x1b[2J\u202e\x9b"


def test_markdown_has_no_markup_of_a_lake(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, HOSTILE, "markdown")
    assert r"\<img src=x\>[a]\(javascript:x)\`\*" in text


def test_a_spreadsheet_is_given_no_formula(capsys: pytest.CaptureFixture[str]) -> None:
    """A text that it would compute begins with an apostrophe; numbers, negative ones too, stay numbers."""
    rows = list(
        csv.reader(
            io.StringIO(
                shown(capsys, "select '=1+1' as a, '-x' as b, -1 as c, 'x' as d, null::text as e", "spreadsheet")
            )
        )
    )
    assert rows[1] == ["'=1+1", "'-x", "-1", "x", ""]


@pytest.mark.once  # DuckDB 1.5 hands maps to polars as lists of keys and values
@pytest.mark.parametrize("format_", ["table", "csv", "json", "markdown", "latex"])
def test_answers_are_the_same_without_polars(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    """Lists, structs, dates, decimals, and more rows than are fetched as plain values."""
    nested = (
        "select i, [i, null] as l, {'a': i, 'b': ['x']} as s, date '2024-05-01' as d, 1.25 as c, 2::decimal(9, 0) as n, null as e, "
        "uuid '00000000-0000-0000-0000-000000000001' as u, timestamp '2024-05-01 10:00:00' as t, "
        "(i = 1) as b, [date '2024-05-01'] as dates, map {'k': 1.5} as m from range(3) as r (i)"
    )
    many = "select i, i / 3 as x from range(20001) as r (i)"
    expected = [shown(capsys, query, format_) for query in (nested, many)]
    monkeypatch.setitem(sys.modules, "polars", None)
    assert [shown(capsys, query, format_) for query in (nested, many)] == expected
