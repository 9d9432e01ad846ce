"""What can be asked, as text: the list of questions, one of them in full, and the views with their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from featurestore.names import pick
from featurestore.sqlfile import TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from featurestore.library import Library
    from featurestore.sqlfile import Parameter, SqlFile

_NO_TOPIC = "other"


def overview(library: Library) -> RenderableType:
    """All questions by topic, those of the package in its order, and what is wrong with files that are none."""
    parts: list[RenderableType] = []
    questions = library.questions.values()
    found = {question.topic or _NO_TOPIC for question in questions}
    for topic in [*(topic for topic in TOPICS if topic in found), *sorted(found - set(TOPICS))]:
        table = Table("question", "what it answers", title=topic, title_justify="left", box=None, pad_edge=False)
        table.columns[0].no_wrap = True
        for question in questions:
            if (question.topic or _NO_TOPIC) == topic:
                table.add_row(Text(question.name), Text(question.question or question.title))
        parts += [table, Text()]
    parts += [Text(f"Not a question: {error}") for error in library.broken.values()]
    parts += [Text()] * bool(library.broken)
    return Group(
        *parts, Text("Ask one with `featurestore ask NAME`; `--explain` shows its parameters, columns and SQL.")
    )


def explanation(question: SqlFile) -> str:
    """One question in full: what it answers, parameters, columns, SQL."""
    parameters = [
        f"  --param {p.name}={p.default}   ({_takes(p)}) {p.description}" for p in question.parameters.values()
    ]
    columns = [f"  {column}: {text}" for column, text in question.columns.items()]
    lines = [question.title, "", question.question]
    if question.finding:
        lines += [f"Published finding: {question.finding}"]
    lines += ["", "Parameters", *(parameters or ["  none"]), "", "Columns", *columns]
    if question.plot:
        channels = " ".join(f"{channel}={column}" for channel, column in question.plot.channels.items())
        lines += ["", f"Plot: {question.plot.kind} {channels}"]
    lines += ["", f"SQL, {question.origin}", question.body.strip("\n"), ""]
    return "\n".join(lines)


def schema_rows(views: Mapping[str, SqlFile], name: str | None = None) -> list[dict[str, str | None]]:
    """Each view with its columns and what they mean: a row for the view itself, then one per column.

    Args:
        views: The views by name.
        name: Just this one.

    Raises:
        MissingError: There is none of that name; the message names the nearest.
    """
    chosen = views.values() if name is None else [views[pick("view", name, views)]]
    return [row for view in chosen for row in _of_view(view)]


def schema(rows: list[dict[str, str | None]]) -> str:
    """Rows of `schema_rows` as text."""
    width = max(len(row["column"] or "") for row in rows)
    lines = []
    for row in rows:
        column = row["column"]
        lines += [f"  {column:<{width}}  {row['meaning']}"] if column else ["", f"{row['name']}: {row['meaning']}"]
    return "\n".join(lines[1:]) + "\n"


def _of_view(view: SqlFile) -> Iterator[dict[str, str | None]]:
    yield {"name": view.name, "column": None, "meaning": view.title}
    for column, text in view.columns.items():
        yield {"name": view.name, "column": column, "meaning": text}


def _takes(parameter: Parameter) -> str:
    return f"{parameter.type}, {parameter.allowed}" if parameter.allowed else parameter.type
