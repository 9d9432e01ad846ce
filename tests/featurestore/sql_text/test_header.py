from __future__ import annotations

from functools import partial
from typing import Any

import duckdb
import pytest

from featurestore.errors import InputError, MissingError
from featurestore.names import pick
from featurestore.query import catalog, library
from featurestore.query.statements import question_result
from featurestore.sql_text import header
from featurestore.sql_text.header import TOPICS, Argument, Plot, SqlFile

VIEWS = {"results": {"model": "The model's name", "fpr95": "Share of OOD accepted"}, "other": {"fpr95": "Another"}}
parse = partial(header.parse, documented=lambda view: VIEWS[pick("view or macro", view, VIEWS)])

GOOD = """\
-- title: Best: a title
-- question: Which one
--   is the best?
-- finding: It depends
--     (arXiv 2405.17447, section 4).
-- asked because: Nobody knows: not yet.
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
    assert file.finding == "It depends (arXiv 2405.17447, section 4)."
    assert file.asked_because == "Nobody knows: not yet."
    assert file.columns == {"model": "The model's name", "score": "Its score: higher is better"}
    assert [(p.name, p.type, p.default, p.description) for p in file.parameters.values()] == [
        ("benchmark", "text", "main", "The benchmark"),
        ("top", "integer", 5, "How many, at most"),
        ("limit", "number", 0.1, "A limit"),
        ("model", "text", None, "One model"),
    ]


def test_rows_are_chosen_by_the_values_of_parameters() -> None:
    """Before a table is read; a value that stands for all chooses nothing."""
    lines = (
        "-- title: x\n-- param d text = all: y\n-- param m text = null: y\n-- reads scores: detector = $d, model = $m\n"
    )
    file = parse(f"{lines}select $d, $m", "x", "x.sql")
    assert file.reads == {"scores": {"detector": "d", "model": "m"}}
    assert file.chosen(file.bind({})) == {}
    assert file.chosen(file.bind({"d": "any"})) == {}
    assert file.chosen(file.bind({"d": "knn"})) == {"scores": {"detector": "knn"}}
    assert file.chosen(file.bind({"d": "knn", "m": "a"})) == {"scores": {"detector": "knn", "model": "a"}}


BROKEN_KEYS = [
    ("-- asked why: a", "expected `-- tag: text`"),
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
    ("-- argument a b: t", "a column or table takes its name"),
    ("-- reads: detector = $d", "a column or table takes its name before the colon"),
    ("-- reads scroes: detector = $d", "There is no table 'scroes': did you mean 'scores'?"),
    ("-- reads scores: detector: $d", "written as `COLUMN = $PARAMETER, …`; got 'detector: $d'"),
    ("-- reads scores: score = $d", "There is no column in the paths of scores 'score'"),
    ("-- reads scores: detector = $d", "There is no parameter above 'd'"),
    ("-- columns results: modle", "There is no column of results 'modle': did you mean 'model'?"),
    ("-- columns resluts: fpr95", "There is no view or macro 'resluts': did you mean 'results'?"),
    ("-- columns: fpr95", "a column or table takes its name before the colon"),
    ("-- columns results: fpr95, model", "the column model is there already"),
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
        ("-- title: x\n-- asked because: a\n-- asked because: b", 3, "the asked because is there already"),
        ("-- title: x\n-- column: y", 2, "a column or table takes its name"),
        ("-- title: x\n-- column a b: y", 2, "a column or table takes its name"),
        ("-- title: x\n-- column a = 3: y", 2, "a column or table takes its name"),
        ("-- title Effect: on pairs", 1, "other tags nothing"),
        ("-- title: x\n-- param a: y", 2, "expected `-- param NAME text|integer|number = DEFAULT: text`"),
        ("-- title: x\n-- param a text: y", 2, "expected `-- param NAME"),
        ("-- title: x\n-- param a date = 1: y", 2, "expected `-- param NAME"),
        ("-- title: x\n-- param text = 1: y", 2, "expected `-- param NAME"),
        ("-- title: x\n-- param a integer = many: y", 2, "takes a whole number, not 'many'"),
        ("-- title: x\n-- param a number = : y", 2, "takes a number, not ''"),
        *((f"-- title: x\n-- column dataset: x\n-- column model: x\n{key}", 4, said) for key, said in BROKEN_KEYS),
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
    with pytest.raises(InputError, match=rf"sql/q\.sql: the parameters .* these differ: {names}\."):
        parse(text, "q", "sql/q.sql")


def test_a_header_alone_is_no_question() -> None:
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
    with pytest.raises(MissingError, match="no parameter of best 'benchmrk': did you mean 'benchmark'"):
        good().bind({"benchmrk": "x"})


def test_columns_of_a_view_are_described_by_it() -> None:
    """Each stands where the header names it, and one that the header describes itself is described so."""
    text = "-- title: x\n-- columns results: model\n-- column best: The best\n-- columns other: fpr95\nselect 1"
    described = parse(text, "q", "q.sql").columns
    assert list(described.items()) == [("model", "The model's name"), ("best", "The best"), ("fpr95", "Another")]
    wrapped = parse(
        "-- title: x\n-- columns results: fpr95,\n--   model\n-- plot: x=fpr95 y=model\nselect 1", "q", "q.sql"
    )
    assert list(wrapped.columns) == ["fpr95", "model"]
    assert wrapped.plot == Plot("scatter", {"x": "fpr95", "y": "model"})


LIMITED = """\
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


def limited() -> SqlFile:
    return parse(LIMITED, "best", "best.sql")


def test_allowed_values_are_read_and_told() -> None:
    """Lists and ranges, open or closed, are part of the parameter and of its description."""
    parameters = limited().parameters
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
    with pytest.raises(InputError) as error:
        limited().bind(given)
    assert message in str(error.value)


def test_limits_belong_to_the_allowed_values() -> None:
    bound = limited().bind({"share": 1, "top": "1", "most": "2.5", "way": "pooled"})
    assert bound == {"share": 1.0, "top": 1, "most": 2.5, "way": "pooled", "size": 2, "any": "main"}


def test_a_plot_is_read() -> None:
    """A kind, scatter if none is named, and a column of the answer per channel."""
    assert limited().plot == Plot("heatmap", {"x": "dataset", "y": "model", "color": "fpr95"})
    short = LIMITED.replace("heatmap x=dataset y=model color=fpr95", "x=fpr95 y=model shape=dataset")
    assert parse(short, "best", "best.sql").plot == Plot("scatter", {"x": "fpr95", "y": "model", "shape": "dataset"})
    assert parse("-- title: x\nselect 1", "x", "x.sql").plot is None


def test_arguments_of_a_macro_are_read() -> None:
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
    with pytest.raises(InputError) as error:
        library.read_question(f"-- title: x\n\n{body}", "q", "q.sql")
    assert str(error.value).startswith(place)
    assert message in str(error.value)


def test_sql_that_cannot_be_bound_names_file_and_line() -> None:
    """A column that is not there is found when the question is asked, and DuckDB's line becomes the file's."""
    text = "-- title: x\n-- param a integer = 1: x\n-- column b: x\nselect\n    nonsense as b\nfrom (select $a as a)"
    file = library.read_question(text, "q", "q.sql")
    with duckdb.connect() as connection, pytest.raises(InputError) as error:
        question_result(connection, file, file.bind({}), "here")
    assert str(error.value).startswith("q.sql, line 5: DuckDB refuses the SQL: Binder Error: Referenced column")


def test_the_questions_of_the_package_have_a_known_topic() -> None:
    """The list of questions has no topic of a single misspelt one."""
    assert {question.topic for question in catalog.questions().values()} <= set(TOPICS)
