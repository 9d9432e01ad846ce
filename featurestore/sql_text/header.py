"""SQL files with a documented header: comment lines such as `-- title: …`, then one SELECT. Parsing only; no database."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from featurestore.errors import InputError, LakeError
from featurestore.layout.tables import TABLES
from featurestore.names import nearest, pick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Value: TypeAlias = str | int | float | bool | None

TOPICS = ("accuracy", "recipes", "detectors", "unit-tests", "samples", "published", "lake")
"""The topics of the questions that come with the package, in the order of the list; a user's own may have others."""

_PLOTS: Mapping[str, Sequence[str]] = {"scatter": ("x", "y"), "heatmap": ("x", "y", "color")}
"""Kinds of plots, each with the channels that it needs."""

_CHANNELS = ("x", "y", "color", "shape")
PARAMETER_USE = re.compile(r"\$([a-z_][a-z0-9_]*)")
_HEADER = re.compile(
    r"--\s?(?P<tag>asked because|[a-z]+)(?:\s+(?P<name>[^:=]+?))?(?:\s*=\s*(?P<default>[^:]*?))?\s*:\s*(?P<text>.*)"
)
_SINGLE = ("title", "question", "finding", "asked because", "topic", "plot")
_TAGS = (*_SINGLE, "param", "reads", "argument", "column", "columns")
_NAMED = {"reads", "argument", "column", "columns"}
_EQUAL = re.compile(r"([a-z_]+) = \$([a-z0-9_]+)")
_WIDE = ("all", "any", "", None)
"""Values of a parameter that choose nothing."""
_WRITTEN = re.compile(r"(?P<default>.*?)\s*(?:\{(?P<choices>[^{}]*)\}|\[(?P<range>[^\[\],]*,[^\[\],]*)\])?")
_DUCKDB_LINE = re.compile(r"^LINE (\d+):", re.MULTILINE)


def _whole(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


_TYPES: Mapping[str, Callable[[Any], Value]] = {"text": str, "integer": _whole, "number": float}
_ARTICLES = {"text": "text", "integer": "a whole number", "number": "a number"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a question.

    Attributes:
        name: As in `--param name=value` and `$name`.
        type: `text`, `integer` or `number`.
        default: Its value where the caller gives none.
        description: What it does.
        choices: The values that it may have; any if empty.
        low: The smallest number that it may be; None for no limit.
        high: The largest number that it may be; None for no limit.
    """

    name: str
    type: str
    default: Value
    description: str
    choices: tuple[Value, ...] = ()
    low: Value = None
    high: Value = None

    @property
    def allowed(self) -> str:
        """The allowed values as the end of a sentence; empty where any value of the type is."""
        if self.choices:
            *others, last = map(str, self.choices)
            return f"{', '.join(others)} or {last}" if others else last
        if self.low is not None and self.high is not None:
            return f"from {self.low} to {self.high}"
        if self.low is None and self.high is None:
            return ""
        return f"at least {self.low}" if self.high is None else f"at most {self.high}"

    def parse(self, value: Value) -> Value:
        """Convert what a caller typed.

        Raises:
            InputError: It is not of the parameter's type, or not an allowed value.
        """
        if value is None:
            return None
        try:
            converted = _TYPES[self.type](value)
        except (ValueError, TypeError):
            raise InputError(f"The parameter {self.name!r} takes {_ARTICLES[self.type]}, not {value!r}.") from None
        if self.choices and converted not in self.choices:
            hint = nearest(str(converted), map(str, self.choices))
            raise InputError(f"The parameter {self.name!r} cannot be {value!r}: {hint}")
        if not self._is_in_range(converted):
            raise InputError(f"The parameter {self.name!r} takes {_ARTICLES[self.type]} {self.allowed}, not {value!r}.")
        return converted

    def _is_in_range(self, value: Any) -> bool:
        # Written so that NaN lies in no range.
        low: Any = self.low
        high: Any = self.high
        return (low is None or value >= low) and (high is None or value <= high)


@dataclass(frozen=True, slots=True)
class Plot:
    """How an answer is drawn if nobody says otherwise.

    Attributes:
        kind: `scatter` (a point per row) or `heatmap` (a coloured cell per row).
        channels: The answer's column for each of `x`, `y`, `color` and `shape` that is used.
    """

    kind: str
    channels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a macro.

    Attributes:
        name: As in `name := value`.
        default: A SQL literal; None where the caller must give a value.
        description: What it is.
    """

    name: str
    default: str | None
    description: str


@dataclass(frozen=True, slots=True)
class SqlFile:
    """One view, macro or question.

    Attributes:
        name: The file's name without its ending.
        title: A few words.
        question: What it answers, in a sentence.
        finding: The published finding that it tests, with paper and place; empty if none.
        asked_because: Why it is asked, where no published finding answers it; empty if not said.
        topic: The group that it is listed under.
        parameters: By name, in the order of the header.
        reads: Of a table, the columns that its rows are chosen by before any is read, each with its parameter.
        columns: Description of each result column, in order.
        arguments: A macro's arguments by name, in order.
        plot: How the answer is drawn by default; None if the header does not say.
        sql: The whole text, header included.
        origin: The file's path, for messages.
    """

    name: str
    title: str
    question: str
    finding: str
    asked_because: str
    topic: str
    parameters: Mapping[str, Parameter]
    reads: Mapping[str, Mapping[str, str]]
    columns: Mapping[str, str]
    arguments: Mapping[str, Argument]
    plot: Plot | None
    sql: str
    origin: str

    @property
    def body(self) -> str:
        """The SQL after the header."""
        return "\n".join(self.sql.splitlines()[self._header_length :])

    def place(self, message: str) -> str:
        """Where the body is wrong, from DuckDB's message on it: the file, and the line if DuckDB names one."""
        line = _DUCKDB_LINE.search(message)
        return f"{self.origin}, line {self._header_length + int(line[1])}" if line else self.origin

    @property
    def _header_length(self) -> int:
        lines = self.sql.splitlines()
        return next(number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("--"))

    def bind(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Complete a caller's parameters with the defaults, each converted to its type.

        Raises:
            MissingError: A name is not one of the parameters.
            InputError: A value is not of its parameter's type, or not an allowed one.
        """
        for name in values:
            pick(f"parameter of {self.name}", name, self.parameters)
        return {name: spec.parse(values.get(name, spec.default)) for name, spec in self.parameters.items()}

    def chosen(self, bound: Mapping[str, Value]) -> dict[str, dict[str, str]]:
        """The values that rows of a table have in some columns, if any of it is to be read; `all` chooses nothing.

        Args:
            bound: All its parameters.
        """
        found = {
            table: {column: str(bound[name]) for column, name in by.items() if bound[name] not in _WIDE}
            for table, by in self.reads.items()
        }
        return {table: values for table, values in found.items() if values}


def parse(text: str, name: str, origin: str, documented: Callable[[str], Mapping[str, str]]) -> SqlFile:
    """Read one SQL file.

    Args:
        text: The file's text.
        name: Its name without the ending.
        origin: Its path, for messages.
        documented: The columns of a view or macro with their descriptions, which `-- columns VIEW: a, b` takes over.

    Raises:
        InputError: The header is broken; the message gives file and line.
    """
    single = dict.fromkeys(_SINGLE, "")
    parameters: dict[str, Parameter] = {}
    columns: dict[str, str] = {}
    arguments: dict[str, Argument] = {}
    reads: dict[str, Mapping[str, str]] = {}
    places: dict[tuple[str, str], str] = {}
    for number, line in _header_lines(text):
        place = f"{origin}, line {number}"
        match = _header(line, place)
        tag, name_ = match["tag"], (match["name"] or "").partition(" ")[0]
        inherited = _inherited(match, documented, place) if tag == "columns" else {}
        for key in [("column", column) for column in inherited] or [(tag, name_)]:
            if key in places:
                raise InputError(f"{place}: the {' '.join(key).rstrip()} is there already; got {line!r} again.")
            places[key] = place
        columns |= inherited
        if tag == "param":
            parameters[name_] = _parameter(match, place)
        elif tag == "reads":
            reads[name_] = _chosen_by(name_, match["text"], parameters, place)
        elif tag == "argument":
            arguments[name_] = Argument(name_, match["default"], match["text"])
        elif tag == "column":
            columns[name_] = match["text"]
        elif tag in single:
            single[tag] = match["text"]
    shown = _plot(single["plot"], columns, places["plot", ""]) if single["plot"] else None
    _check(text, origin, single, parameters)
    title, question, finding, because, topic = (single[tag] for tag in _SINGLE[:-1])
    return SqlFile(
        name, title, question, finding, because, topic, parameters, reads, columns, arguments, shown, text, origin
    )  # fmt: skip


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
    words, tag = (match["name"] or "").split(), match["tag"]
    if tag == "param":
        return match
    if (match["default"] is not None and tag != "argument") or len(words) != (tag in _NAMED):
        raise InputError(
            f"{place}: a column or table takes its name before the colon, and other tags nothing; got {line!r}."
        )
    return match


def _inherited(match: re.Match[str], documented: Callable[[str], Mapping[str, str]], place: str) -> dict[str, str]:
    """The columns that `-- columns VIEW: a, b` names, as the view describes them."""
    view = match["name"]
    try:
        known = documented(view)
        return {
            pick(f"column of {view}", name.strip(), known): known[name.strip()] for name in match["text"].split(",")
        }
    except LakeError as error:
        raise InputError(f"{place}: {error}") from error


def _limited(name: str, type_: str, written: str, description: str) -> Parameter:
    """A parameter from what stands after `=`: the default, then `{a, b}` for choices or `[low, high]` for a range."""
    match = _WRITTEN.fullmatch(written)
    default, choices, range_ = (match["default"], match["choices"], match["range"]) if match else (written, None, None)
    if range_ and type_ == "text":
        raise InputError(f"The parameter {name!r} is text, which has no range: list its values as {{a, b}}.")
    blank = Parameter(name, type_, None, description)
    listed = tuple(blank.parse(choice.strip()) for choice in choices.split(",")) if choices is not None else ()
    low, high = (blank.parse(end.strip() or None) for end in (range_ or ",").split(","))
    limited = replace(blank, choices=listed, low=low, high=high)
    return replace(limited, default=limited.parse(None if default == "null" else default))


def _parameter(match: re.Match[str], place: str) -> Parameter:
    name, _, type_ = (match["name"] or "").partition(" ")
    if type_ not in _TYPES or match["default"] is None:
        raise InputError(f"{place}: expected `-- param NAME {'|'.join(_TYPES)} = DEFAULT: text`.")
    try:
        return _limited(name, type_, match["default"], match["text"])
    except InputError as error:
        raise InputError(f"{place}: {error}") from error


def _chosen_by(table: str, written: str, parameters: Mapping[str, Parameter], place: str) -> Mapping[str, str]:
    """The columns of a table that its rows are chosen by, e.g. `detector = $detector, model = $model`, with their parameters."""
    found: dict[str, str] = {}
    try:
        keys = TABLES[pick("table", table, TABLES)].path_columns
        for each in written.split(","):
            match = _EQUAL.fullmatch(each.strip())
            if not match:
                raise InputError(
                    f"What a table's rows are chosen by is written as `COLUMN = $PARAMETER, …`; got {each!r}."
                )
            column = pick(f"column in the paths of {table}", match[1], keys)
            found[column] = pick("parameter above", match[2], parameters)
    except LakeError as error:
        raise InputError(f"{place}: {error}") from error
    return found


def _plot(written: str, columns: Mapping[str, str], place: str) -> Plot:
    """Read a plot, e.g. `x=accuracy y=fpr95 color=pretraining` or `heatmap x=dataset y=model color=fpr95`."""
    words = written.split()
    kind = words.pop(0) if words and "=" not in words[0] else next(iter(_PLOTS))
    channels: dict[str, str] = {}
    try:
        needed = _PLOTS[pick("kind of plot", kind, _PLOTS)]
        for word in words:
            channel, equals, column = word.partition("=")
            if not equals or channel in channels:
                raise InputError(f"A plot is written as `[KIND] x=COLUMN y=COLUMN …`, each once; got {word!r}.")
            channels[pick("channel of a plot", channel, _CHANNELS)] = pick("column of the answer", column, columns)
        missing = [channel for channel in needed if channel not in channels]
        if missing:
            raise InputError(f"A {kind} needs {missing[0]}=COLUMN.")
    except LakeError as error:
        raise InputError(f"{place}: {error}") from error
    return Plot(kind, channels)


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
