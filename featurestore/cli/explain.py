"""What can be asked, as text: the list of questions, one of them in full, and the views with their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from featurestore.names import pick
from featurestore.query import TOPICS, catalog
from featurestore.shown_text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from featurestore.query import Library, SqlFile

_NO_TOPIC = "other"


def overview(library: Library) -> RenderableType:
    """All questions by topic, those of the package in its order, and what is wrong with files that are none."""
    parts: list[RenderableType] = []
    questions = library.questions.values()
    found = {question.topic or _NO_TOPIC for question in questions}
    for topic in [*(topic for topic in TOPICS if topic in found), *sorted(found - set(TOPICS))]:
        table = Table(
            "question", "what it answers", title=Text(plain(topic)), title_justify="left", box=None, pad_edge=False
        )
        table.columns[0].no_wrap = True
        for question in questions:
            if (question.topic or _NO_TOPIC) == topic:
                table.add_row(Text(question.name), Text(plain(question.question or question.title)))
        parts += [table, Text()]
    parts += [Text(plain(remark)) for remark in library.remarks]
    parts += [Text()] * bool(library.broken)
    return Group(
        *parts, Text("Ask one with `featurestore ask NAME`; `--explain` shows its parameters, columns and SQL.")
    )


def explanation(question: SqlFile) -> str:
    """One question in full: what it answers, parameters, columns, SQL."""
    parameters = [
        f"  --param {p.name}={p.default}   ({', '.join(filter(None, (p.type, p.allowed)))}) {p.description}"
        for p in question.parameters.values()
    ]
    columns = [f"  {column}: {text}" for column, text in question.columns.items()]
    lines = [question.title, "", question.question]
    if question.finding:
        lines += [f"Published finding: {question.finding}"]
    if question.asked_because:
        lines += [f"Asked because: {question.asked_because}"]
    lines += ["", "Parameters", *(parameters or ["  none"]), "", "Columns", *columns]
    if question.plot:
        channels = " ".join(f"{channel}={column}" for channel, column in question.plot.channels.items())
        lines += ["", f"Plot: {question.plot.kind} {channels}"]
    lines += ["", f"SQL, {question.origin}", question.body.strip("\n"), ""]
    return plain("\n".join(lines))


def schema_rows(name: str | None = None) -> list[dict[str, str | None]]:
    """Each view and macro with its arguments and columns: a row for itself, then one for each of these.

    Args:
        name: Just this one.

    Raises:
        MissingError: There is none of that name; the message names the nearest.
    """
    known = {**catalog.views(), **catalog.macros()}
    chosen = known.values() if name is None else [known[pick("view or macro", name, known)]]
    return [row for file in chosen for row in _of_file(file)]


def schema(rows: list[dict[str, str | None]]) -> str:
    """Rows of `schema_rows` as text."""
    width = max(len(row["column"] or "") for row in rows)
    lines = []
    for row in rows:
        column = row["column"]
        lines += [f"  {column:<{width}}  {row['meaning']}"] if column else ["", f"{row['name']}: {row['meaning']}"]
    return "\n".join(lines[1:]) + "\n"


def _of_file(file: SqlFile) -> Iterator[dict[str, str | None]]:
    kind = "macro" if file.name in catalog.macros() else "view"
    called = [a.name if a.default is None else f"{a.name} := {a.default}" for a in file.arguments.values()]
    shown = {"kind": kind, "name": f"{file.name}({', '.join(called)})" if kind == "macro" else file.name}
    yield {**shown, "column": None, "meaning": file.title}
    for argument in file.arguments.values():
        yield {**shown, "column": argument.name, "meaning": f"argument: {argument.description}"}
    for column, text in file.columns.items():
        yield {**shown, "column": column, "meaning": text}
