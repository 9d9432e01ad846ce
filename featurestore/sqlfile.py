"""SQL files with a documented header: comment lines such as `-- title: …`, then one SELECT. Parsing only; no database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from featurestore.errors import InputError
from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Value: TypeAlias = str | int | float | bool | None

_HEADER = re.compile(r"--\s?(?P<tag>[a-z]+)(?:\s+(?P<name>[^:=]+?))?(?:\s*=\s*(?P<default>[^:]*?))?\s*:\s*(?P<text>.*)")
PARAMETER_USE = re.compile(r"\$([a-z_][a-z0-9_]*)")
_TAGS = ("title", "question", "finding", "topic", "param", "column")


def _whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


_TYPES: Mapping[str, Callable[[Any], Value]] = {"text": str, "integer": _whole, "number": float}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a question.

    Attributes:
        name: As in `--param name=value` and `$name`.
        type: `text`, `integer` or `number`.
        default: Its value where the caller gives none.
        description: What it does, and what it may be.
    """

    name: str
    type: str
    default: Value
    description: str

    def parse(self, value: Value) -> Value:
        """Convert what a caller typed.

        Raises:
            InputError: It is not of the parameter's type.
        """
        if value is None:
            return None
        try:
            return _TYPES[self.type](value)
        except (ValueError, TypeError):
            raise InputError(f"The parameter {self.name!r} takes {_article(self.type)}, not {value!r}.") from None


@dataclass(frozen=True, slots=True)
class SqlFile:
    """One view or question.

    Attributes:
        name: The file's name without its ending.
        title: A few words.
        question: What it answers, in a sentence.
        finding: The published finding that it tests; empty if none.
        topic: The group that it is listed under.
        parameters: By name, in the order of the header.
        columns: Description of each result column, in order.
        sql: The whole text, header included.
        origin: The file's path, for messages.
    """

    name: str
    title: str
    question: str
    finding: str
    topic: str
    parameters: Mapping[str, Parameter]
    columns: Mapping[str, str]
    sql: str
    origin: str

    def bind(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Complete a caller's parameters with the defaults, each converted to its type.

        Raises:
            MissingError: A name is not one of the parameters.
            InputError: A value is not of its parameter's type.
        """
        for name in values:
            pick(f"parameter of {self.name}", name, self.parameters)
        return {name: spec.parse(values.get(name, spec.default)) for name, spec in self.parameters.items()}


def parse(text: str, name: str, origin: str) -> SqlFile:
    """Read one SQL file.

    Raises:
        InputError: The header is broken; the message gives file and line.
    """
    single = dict.fromkeys(_TAGS, "")
    parameters: dict[str, Parameter] = {}
    columns: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for number, line in _header_lines(text):
        place = f"{origin}, line {number}"
        match = _header(line, place)
        tag, name_ = match["tag"], (match["name"] or "").partition(" ")[0]
        if (tag, name_) in seen:
            raise InputError(f"{place}: the {f'{tag} {name_}'.rstrip()} is there already; got {line!r} again.")
        seen.add((tag, name_))
        if tag == "param":
            parameters[name_] = _parameter(match, place)
        elif tag == "column":
            columns[name_] = match["text"]
        else:
            single[tag] = match["text"]
    _check(text, origin, single, parameters)
    return SqlFile(
        name, single["title"], single["question"], single["finding"], single["topic"], parameters, columns, text, origin
    )


def _header_lines(text: str) -> Iterable[tuple[int, str]]:
    """The comment lines at the file's beginning; an indented line continues the one before."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("--"):
            break
        if line.startswith("--   ") and lines:
            lines[-1] = (lines[-1][0], f"{lines[-1][1]} {line[2:].strip()}")
        else:
            lines.append((number, line.rstrip()))
    return lines


def _header(line: str, place: str) -> re.Match[str]:
    match = _HEADER.fullmatch(line)
    if not match or match["tag"] not in _TAGS or not match["text"]:
        raise InputError(f"{place}: expected `-- tag: text` with a tag of {', '.join(_TAGS)}; got {line!r}.")
    words = (match["name"] or "").split()
    if match["tag"] != "param" and (match["default"] is not None or len(words) != (match["tag"] == "column")):
        raise InputError(f"{place}: a column takes its name before the colon, and other tags nothing; got {line!r}.")
    return match


def _parameter(match: re.Match[str], place: str) -> Parameter:
    name, _, type_ = (match["name"] or "").partition(" ")
    if type_ not in _TYPES or match["default"] is None:
        raise InputError(f"{place}: expected `-- param NAME {'|'.join(_TYPES)} = DEFAULT: text`.")
    default = None if match["default"] == "null" else match["default"]
    blank = Parameter(name, type_, None, match["text"])
    try:
        return Parameter(name, type_, blank.parse(default), match["text"])
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _check(text: str, origin: str, single: Mapping[str, str], parameters: Mapping[str, Parameter]) -> None:
    if not single["title"]:
        raise InputError(f"{origin}, line 1: expected `-- title: …`.")
    body = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    if not body.strip():
        raise InputError(f"{origin}: expected a SELECT after the header.")
    used = set(PARAMETER_USE.findall(body))
    if used != set(parameters):
        names = ", ".join(sorted(used ^ set(parameters)))
        raise InputError(
            f"{origin}: the parameters of the header and of the SQL must be the same; these differ: {names}."
        )


def _article(type_: str) -> str:
    return {"text": "text", "integer": "a whole number", "number": "a number"}[type_]
