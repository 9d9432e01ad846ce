"""Conditions that users type: one boolean expression over known columns, and nothing that could read, write or run.

DuckDB's own parser says what a text is; what it says is compared with a list of what is allowed, so that what nobody
thought of is refused. The SQL that is run is written anew from the checked syntax tree, never pasted from the text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featurestore.errors import InputError, one_line
from featurestore.names import nearest
from featurestore.query import catalog

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    Node = dict[str, Any]

FUNCTIONS = frozenset(
    [
        *("+", "-", "*", "/", "//", "%", "**", "^", "||"),
        *("abs", "ceil", "exp", "floor", "greatest", "least", "ln", "log10", "log2", "pow", "power", "round", "sign", "sqrt"),
        *("isfinite", "isinf", "isnan"),
        *("~~", "!~~", "~~*", "!~~*", "~~~", "like_escape", "not_like_escape", "ilike_escape", "not_ilike_escape"),
        *("regexp_matches", "regexp_full_match", "contains", "starts_with", "ends_with", "prefix", "suffix"),
        *("concat", "left", "length", "lower", "ltrim", "replace", "right", "rtrim", "substring", "trim", "upper"),
        *("len", "list_contains", "list_has", "list_value", "array_length"),
        *("->>", "json_extract_string", "json_exists"),
    ]
)  # fmt: skip
"""Functions and operators that a condition may call: each is computed from its arguments alone."""

_CLASSES = frozenset(
    {"BETWEEN", "CASE", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION", "OPERATOR"}
)
_TYPES = frozenset({"bigint", "boolean", "double", "float", "int", "integer", "text", "varchar"})
_REFUSED = {
    "SUBQUERY": "a query inside it",
    "WINDOW": "a window function",
    "PARAMETER": "a parameter",
    "STAR": "a star",
    "LAMBDA": "a function of its own",
    "TYPE": "a type other than text, integer, double and boolean",
}
_TEMPLATE = "select 1 where (\n{}\n)"


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the conditions that were joined by AND.

    Attributes:
        sql: The condition as DuckDB writes it.
        columns: The columns that it is about.
    """

    sql: str
    columns: frozenset[str]


def conditions(text: str, columns: Collection[str]) -> list[Condition]:
    """Split a condition at its outermost ANDs, after checking all of it.

    Args:
        text: What the user typed, e.g. `pretraining = 'in21k' and accuracy > 0.8`.
        columns: The columns that it may name.

    Raises:
        InputError: It is not one expression, is more than that, or names an unknown column or a function that it may not.
    """
    statement = _parsed(text)
    expression = statement["statements"][0]["node"]["where_clause"]
    _check(expression, text, columns)
    if not set(_columns(expression)):
        raise _refusal(text, "it names no column.")
    parts = expression["children"] if expression["type"] == "CONJUNCTION_AND" else [expression]
    return [Condition(_written(statement, part), frozenset(_columns(part))) for part in parts]


def _parsed(text: str) -> Node:
    """The syntax tree of a SELECT whose only condition is the text, and which is nothing else."""
    if not text.strip():
        raise _refusal(text, "it is empty.")
    statement, plain = catalog.syntax_tree(_TEMPLATE.format(text)), catalog.syntax_tree(_TEMPLATE.format("true"))
    if statement["error"]:
        # Other statements than SELECT are no error of syntax.
        reason = one_line(InputError(statement["error_message"])).rstrip(".")
        is_syntax = statement.get("error_type") == "parser"
        raise _refusal(text, f"{reason}." if is_syntax else "it holds another statement.")
    if _without_condition(statement) != _without_condition(plain):
        raise _refusal(text, "it is more than one expression.")
    return statement


def _without_condition(statement: Node) -> list[Any]:
    """All but the condition, and but the positions in the text."""
    return [_without_positions({**part["node"], "where_clause": None}) for part in statement["statements"]]


def _without_positions(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_positions(value) for key, value in node.items() if not key.startswith("query_location")}
    return [_without_positions(item) for item in node] if isinstance(node, list) else node


def _check(node: Any, text: str, columns: Collection[str]) -> None:
    """Refuse every part of a syntax tree that is not on the list of what is allowed."""
    if isinstance(node, list):
        for item in node:
            _check(item, text, columns)
    if not isinstance(node, dict):
        return
    kind = node.get("class")
    if kind == "TYPE":
        _check_type(node, text)
    elif kind == "COLUMN_REF":
        _check_column(node, text, columns)
    elif kind == "FUNCTION":
        _check_function(node, text)
    elif kind is not None and kind not in _CLASSES:
        raise _refusal(text, f"it has {_REFUSED.get(kind, f'a {kind.lower()}')}.")
    for value in node.values():
        _check(value, text, columns)


def _check_type(node: Node, text: str) -> None:
    if node.get("schema") or node.get("catalog") or node.get("children") or node["type_name"].lower() not in _TYPES:
        raise _refusal(text, f"it has {_REFUSED['TYPE']}.")


def _check_column(node: Node, text: str, columns: Collection[str]) -> None:
    name = ".".join(node["column_names"])
    if name.lower() not in columns:
        raise _refusal(text, f"there is no column {name!r}: {nearest(name, columns)}")


def _check_function(node: Node, text: str) -> None:
    name = node["function_name"].lower()
    if name not in FUNCTIONS or node.get("schema") or node.get("catalog"):
        raise _refusal(text, f"it cannot call {name!r}.")
    if node.get("distinct") or node.get("filter") or (node.get("order_bys") or {}).get("orders"):
        raise _refusal(text, f"it can call {name!r} with values only.")


def _columns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("class") == "COLUMN_REF":
            yield node["column_names"][-1].lower()
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _columns(item)


def _written(statement: Node, part: Node) -> str:
    """A part of the condition as SQL, written by DuckDB."""
    (one,) = statement["statements"]
    alone = {**statement, "statements": [{**one, "node": {**one["node"], "where_clause": part}}]}
    (sql,) = catalog.parser().execute("select json_deserialize_sql($1::json)", [json.dumps(alone)]).fetchall()[0]
    return str(sql).partition(" WHERE ")[2]


def _refusal(text: str, reason: str) -> InputError:
    return InputError(f"--where takes one condition on columns, e.g. 'accuracy > 0.8', and {text!r} is none: {reason}")
