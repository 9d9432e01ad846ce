from __future__ import annotations

from typing import Any

import pytest

from featurestore.errors import InputError, MissingError
from featurestore.query.header import SqlFile, parse

GOOD = """\
-- title: Best: a title
-- question: Which one
--   is the best?
-- finding: It depends,
--     says the paper.
-- topic: tests
-- param benchmark text = main: The benchmark
-- param top integer = 5: How many,
--   at most
-- param limit number = 0.1: A limit
-- param model text = null: One model
-- column model: The model's name
-- column score: Its score: higher is better
select model, score -- the rest is SQL
from t where benchmark = $benchmark and x < $limit and m = $model
-- not a header: any more
limit $top
"""


def good() -> SqlFile:
    return parse(GOOD, "best", "sql/questions/best.sql")


def test_a_good_header_is_read() -> None:
    """Every tag, with its continuation lines, in order; the SQL is the whole text."""
    file = good()
    assert (file.name, file.origin, file.sql) == ("best", "sql/questions/best.sql", GOOD)
    assert (file.title, file.question, file.topic) == ("Best: a title", "Which one is the best?", "tests")
    assert file.finding == "It depends, says the paper."
    assert file.columns == {"model": "The model's name", "score": "Its score: higher is better"}
    assert [(p.name, p.type, p.default, p.description) for p in file.parameters.values()] == [
        ("benchmark", "text", "main", "The benchmark"),
        ("top", "integer", 5, "How many, at most"),
        ("limit", "number", 0.1, "A limit"),
        ("model", "text", None, "One model"),
    ]


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        ("-- titel: x", 1, "expected `-- tag: text` with a tag of title"),
        ("-- just a comment", 1, "expected `-- tag: text`"),
        ("--", 1, "expected `-- tag: text`"),
        ("--   continues nothing: x", 1, "expected `-- tag: text`"),
        ("-- title:", 1, "expected `-- tag: text`"),
        ("-- title: x\n-- column a:", 2, "expected `-- tag: text`"),
        ("-- question: x?", 1, "expected `-- title: …`"),
        ("", 1, "expected `-- title: …`"),
        ("-- title: x\n-- title: y", 2, "the title is there already"),
        ("-- title: x\n-- column a: y\n-- column a: z", 3, "the column a is there already"),
        ("-- title: x\n-- param a text = 1: y\n-- param a text = 2: z", 3, "the param a is there already"),
        ("-- title: x\n-- column: y", 2, "a column takes its name"),
        ("-- title: x\n-- column a b: y", 2, "a column takes its name"),
        ("-- title: x\n-- column a = 3: y", 2, "a column takes its name"),
        ("-- title Effect: on pairs", 1, "other tags nothing"),
        ("-- title: x\n-- param a: y", 2, "expected `-- param NAME text|integer|number = DEFAULT: text`"),
        ("-- title: x\n-- param a text: y", 2, "expected `-- param NAME"),
        ("-- title: x\n-- param a date = 1: y", 2, "expected `-- param NAME"),
        ("-- title: x\n-- param text = 1: y", 2, "expected `-- param NAME"),
        ("-- title: x\n-- param a integer = many: y", 2, "takes a whole number, not 'many'"),
        ("-- title: x\n-- param a number = : y", 2, "takes a number, not ''"),
    ],
)
def test_a_broken_header_names_file_and_line(header: str, line: int, message: str) -> None:
    """Whoever writes a question is told where it is wrong, and what was expected."""
    with pytest.raises(InputError) as error:
        parse(f"{header}\nselect $a", "q", "sql/q.sql")
    assert str(error.value).startswith(f"sql/q.sql, line {line}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("-- title: x\nselect $b, $a", "a, b"),
        ("-- title: x\n-- param a text = 1: y\nselect 1", "a"),
        ("-- title: x\n-- param a text = 1: y\nselect $b\n  -- $a", "a, b"),
    ],
)
def test_header_and_sql_have_the_same_parameters(text: str, names: str) -> None:
    """A parameter that only one of them knows is an error that names it."""
    with pytest.raises(InputError, match=rf"sql/q\.sql: the parameters .* these differ: {names}\."):
        parse(text, "q", "sql/q.sql")


def test_a_header_alone_is_no_question() -> None:
    """There must be something to run."""
    with pytest.raises(InputError, match="expected a SELECT after the header"):
        parse("-- title: x\n\n  -- nothing\n", "q", "sql/q.sql")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"benchmark": "main", "top": 5, "limit": 0.1, "model": None}),
        ({"top": "7", "limit": "1e-3"}, {"benchmark": "main", "top": 7, "limit": 0.001, "model": None}),
        ({"top": 7.0, "limit": 2, "model": 3}, {"benchmark": "main", "top": 7, "limit": 2.0, "model": "3"}),
        ({"benchmark": None}, {"benchmark": None, "top": 5, "limit": 0.1, "model": None}),
    ],
)
def test_parameters_are_completed_and_converted(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Defaults where nothing is given; every value has its parameter's type."""
    bound = good().bind(given)
    assert bound == expected
    assert {name: type(value) for name, value in bound.items()} == {n: type(v) for n, v in expected.items()}


@pytest.mark.parametrize("value", ["5.5", "five", "", 5.5, float("inf"), float("nan"), [5], {}])
def test_a_value_of_another_type_is_refused(value: Any) -> None:
    """Nothing is rounded or guessed."""
    with pytest.raises(InputError, match="The parameter 'top' takes a whole number, not "):
        good().bind({"top": value})


def test_an_unknown_parameter_suggests_the_nearest() -> None:
    """A typo gets the name that was meant."""
    with pytest.raises(MissingError, match="no parameter of best 'benchmrk': did you mean 'benchmark'"):
        good().bind({"benchmrk": "x"})
