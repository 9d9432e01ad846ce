from __future__ import annotations

import duckdb
import pytest

from featurestore.errors import InputError
from featurestore.query.conditions import FUNCTIONS, conditions

COLUMNS = {"model", "accuracy", "pretraining", "weight_decay", "soup_of", "recipe", "fpr95", "detector"}


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("pretraining = 'in21k'", [{"pretraining"}]),
        ("accuracy > 0.8 and weight_decay < 0.1", [{"accuracy"}, {"weight_decay"}]),
        ("accuracy > 0.8 and (detector = 'msp' or fpr95 < .1)", [{"accuracy"}, {"detector", "fpr95"}]),
        ("pretraining ilike '%21k%' or pretraining is null", [{"pretraining"}]),
        ("not (Accuracy between 0.1 and 0.2)", [{"accuracy"}]),
        ("cast(recipe ->> '$.epochs' as double) > 3", [{"recipe"}]),
        ("list_contains(soup_of, 'x') or len(soup_of) > 2", [{"soup_of"}]),
        ("weight_decay in (0.1, 0.01) -- both", [{"weight_decay"}]),
        ("case when accuracy > 0.5 then fpr95 < 0.1 else true end", [{"accuracy", "fpr95"}]),
        ("model ~ 'vit-.*' and model not like 'x WHERE y%'", [{"model"}, {"model"}]),
        ("round(accuracy * 100) % 2 = 0", [{"accuracy"}]),
    ],
)
def test_an_expression_is_split_at_its_ands(text: str, columns: list[set[str]]) -> None:
    """Each part with its columns; together they hold where the whole text holds."""
    parts = conditions(text, COLUMNS)
    assert [part.columns for part in parts] == columns
    with duckdb.connect() as connection:
        connection.execute(
            "create table t as select * from (values ('vit-b', 0.9, 'in21k', 0.1, ['x'], '{\"epochs\": 5}', 0.05, 'msp'),"
            "('r', 0.15, null, null, null, '{}', 0.5, 'gen')) as v(model, accuracy, pretraining, weight_decay, soup_of, recipe, fpr95, detector)"
        )
        whole = connection.execute(f"select model from t where {text}\n").fetchall()
        assert connection.execute(f"select model from t where {' and '.join(p.sql for p in parts)}").fetchall() == whole


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("accuracy >", "syntax error"),
        ("accuracy > 0.8 as x", "syntax error"),
        ("1 = 1", "it names no column"),
        ("pretrainig = 'x'", "there is no column 'pretrainig': did you mean 'pretraining'?"),
        ("results.accuracy > 0.5", "there is no column 'results.accuracy'"),
        ("current_user = 'x'", "there is no column 'current_user'"),
        ("accuracy > (select 1)", "it has a query inside it"),
        ("exists (from read_text('/etc/passwd'))", "it has a query inside it"),
        ("accuracy = any([1])", "it has a query inside it"),
        ("pretraining in (from glob('/*'))", "it has a query inside it"),
        ("read_text('/etc/passwd') = pretraining", "it cannot call 'read_text'"),
        ("getenv('HOME') = pretraining", "it cannot call 'getenv'"),
        ("query('select 1') = accuracy", "it cannot call 'query'"),
        ("sum(accuracy) > 1", "it cannot call 'sum'"),
        ("main.lower(pretraining) = 'x'", "it cannot call 'lower'"),
        ("row_number() over () > accuracy", "it has a window function"),
        ("list_filter(soup_of, x -> true) = []", "it cannot call 'list_filter'"),
        ("accuracy > $1", "it has a parameter"),
        ("columns('a.*') > 1", "it has a star"),
        ("#1 = accuracy", "it has a"),
        ("pretraining collate nocase = 'x'", "it has a collate"),
        ("accuracy::main.secret = 1", "it has a type other than|syntax error"),  # as DuckDB 2 and 1.5 have it
        ("accuracy > 1, accuracy < 2", "it cannot call 'row'"),
        ("accuracy > 1; drop table models", "syntax error"),
        ("accuracy > 1) union select (1", "it is more than one expression"),
        ("accuracy > 1) order by (1", "it is more than one expression"),
        ("accuracy > 1) group by all having (true", "it is more than one expression"),
        ("accuracy > 1); select (1", "it is more than one expression"),
        ("accuracy > 1); copy (select 1) to 'x'; select (1", "it holds another statement"),
        ("accuracy > 1 /*", "unterminated"),
        ("pragma version", "syntax error"),
    ],
)
def test_all_else_is_refused(text: str, reason: str) -> None:
    """Another statement, a query, a function that reads: refused with one sentence that says what it is."""
    with pytest.raises(InputError) as error:
        conditions(text, COLUMNS)
    assert str(error.value).startswith(
        f"--where takes one condition on columns, e.g. 'accuracy > 0.8', and {text!r} is none: "
    )
    assert any(each in str(error.value) for each in reason.split("|"))
    assert "\n" not in str(error.value).replace(repr(text), "")


def test_functions_are_those_of_duckdb_and_have_no_effect() -> None:
    """What is allowed exists, is a function of one row, and always gives the same for the same."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select function_name, list(distinct function_type), bool_or(coalesce(has_side_effects, false)), "
            "list(distinct stability) from duckdb_functions() group by 1"
        ).fetchall()
    known = {name: (types, effects, stability) for name, types, effects, stability in rows}
    for name in FUNCTIONS - {"~~", "list_value"}:
        types, effects, stability = known.get(name, (["scalar"], False, ["CONSISTENT"]))
        assert set(types) <= {"scalar", "macro"}, name
        assert not effects, name
        assert set(stability) <= {"CONSISTENT", None}, name
