"""Allowed values of parameters, default plots, macros' arguments, and where a file's SQL is wrong."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from featurestore.errors import InputError
from featurestore.query import catalog, library
from featurestore.query.default_plot import Plot
from featurestore.query.header import TOPICS, Argument, parse
from featurestore.query.statements import question_result

GOOD = """\
-- title: Best
-- topic: accuracy
-- plot: heatmap x=dataset y=model color=fpr95
-- param way text = mean {mean, pooled}: How
-- param top integer = 5 [1, ]: How many
-- param share number = 0.5 [0, 1]: How much
-- param most number = null [, 2.5]: At most
-- param size integer = 2 {1, 2}: Which
-- param any text = main: Anything
-- column dataset: x
-- column model: x
-- column fpr95: x
select $way, $top, $share, $most, $size, $any
"""


def test_allowed_values_are_read_and_told() -> None:
    """Lists and ranges, open or closed, are part of the parameter and of its description."""
    parameters = parse(GOOD, "best", "best.sql").parameters
    assert {name: (p.default, p.allowed) for name, p in parameters.items()} == {
        "way": ("mean", "mean or pooled"),
        "top": (5, "at least 1"),
        "share": (0.5, "from 0.0 to 1.0"),
        "most": (None, "at most 2.5"),
        "size": (2, "1 or 2"),
        "any": ("main", ""),
    }
    assert parameters["size"].choices == (1, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"way": "poled"}, "The parameter 'way' cannot be 'poled': did you mean 'pooled'"),
        ({"size": "3"}, "The parameter 'size' cannot be '3': there are 1, 2"),
        ({"top": 0}, "The parameter 'top' takes a whole number at least 1, not 0"),
        ({"share": "1.01"}, "The parameter 'share' takes a number from 0.0 to 1.0, not '1.01'"),
        ({"share": "nan"}, "from 0.0 to 1.0, not 'nan'"),
        ({"most": 3}, "a number at most 2.5, not 3"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(given: dict[str, Any], message: str) -> None:
    """The sentence says what is allowed, or what was meant."""
    with pytest.raises(InputError) as error:
        parse(GOOD, "best", "best.sql").bind(given)
    assert message in str(error.value)


def test_limits_belong_to_the_allowed_values() -> None:
    """A range is closed."""
    bound = parse(GOOD, "best", "best.sql").bind({"share": 1, "top": "1", "most": "2.5", "way": "pooled"})
    assert bound == {"share": 1.0, "top": 1, "most": 2.5, "way": "pooled", "size": 2, "any": "main"}


def test_a_plot_is_read() -> None:
    """A kind, scatter if none is named, and a column of the answer per channel."""
    assert parse(GOOD, "best", "best.sql").plot == Plot("heatmap", {"x": "dataset", "y": "model", "color": "fpr95"})
    short = GOOD.replace("heatmap x=dataset y=model color=fpr95", "x=fpr95 y=model shape=dataset")
    assert parse(short, "best", "best.sql").plot == Plot("scatter", {"x": "fpr95", "y": "model", "shape": "dataset"})
    assert parse("-- title: x\nselect 1", "x", "x.sql").plot is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-- plot: heatmap x=dataset y=model", "A heatmap needs color=COLUMN"),
        ("-- plot: x=dataset", "A scatter needs y=COLUMN"),
        ("-- plot: x=dataset y=modle", "no column of the answer 'modle': did you mean 'model'"),
        ("-- plot: x=dataset y=model colour=model", "no channel of a plot 'colour': did you mean 'color'"),
        ("-- plot: heatmpa x=dataset y=model", "no kind of plot 'heatmpa': did you mean 'heatmap'"),
        ("-- plot: x=dataset x=model y=model", "each once; got 'x=model'"),
        ("-- plot: x=dataset y", "got 'y'"),
        ("-- param a text = x {y, z}: t", "cannot be 'x': there are y, z"),
        ("-- param a text = x [a, b]: t", "text, which has no range"),
        ("-- param a integer = 0 [1, 3]: t", "takes a whole number from 1 to 3, not '0'"),
        ("-- param a integer = 1 {1, two}: t", "takes a whole number, not 'two'"),
        ("-- argument a b: t", "a column takes its name"),
    ],
)
def test_a_broken_key_names_file_and_line(line: str, message: str) -> None:
    """As for the other keys."""
    with pytest.raises(InputError) as error:
        parse(f"-- title: x\n-- column dataset: x\n-- column model: x\n{line}\nselect $a", "q", "q.sql")
    assert str(error.value).startswith("q.sql, line 4: ")
    assert message in str(error.value)


def test_arguments_of_a_macro_are_read() -> None:
    """With a default, which is a SQL literal, or without."""
    arguments = parse("-- title: x\n-- argument a: A\n-- argument b = 'main': B\na || b", "m", "m.sql").arguments
    assert arguments == {"a": Argument("a", None, "A"), "b": Argument("b", "'main'", "B")}


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        ("select 1,\n from from x", "q.sql, line 4: ", "syntax error"),
        ("select 1; select 2", "q.sql, line 3: ", "expected one SELECT"),
        ("delete from x", "q.sql, line 3: ", "expected one SELECT"),
    ],
)
def test_broken_sql_names_file_and_line(body: str, place: str, message: str) -> None:
    """What does not parse is found when the file is read."""
    with pytest.raises(InputError) as error:
        library.read(f"-- title: x\n\n{body}", "q", "q.sql")
    assert str(error.value).startswith(place)
    assert message in str(error.value)


def test_sql_that_cannot_be_bound_names_file_and_line() -> None:
    """A column that is not there is found when the question is asked, and DuckDB's line becomes the file's."""
    text = "-- title: x\n-- param a integer = 1: x\n-- column b: x\nselect\n    nonsense as b\nfrom (select $a as a)"
    file = library.read(text, "q", "q.sql")
    with duckdb.connect() as connection, pytest.raises(InputError) as error:
        question_result(connection, file, file.bind({}), "here")
    assert str(error.value).startswith("q.sql, line 5: DuckDB refuses the SQL: Binder Error: Referenced column")


def test_the_questions_of_the_package_have_a_known_topic() -> None:
    """The list of questions has no topic of a single misspelt one."""
    assert {question.topic for question in catalog.questions().values()} <= set(TOPICS)
